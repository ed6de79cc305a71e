//! Schemas: every property of every object is seen, and nothing else; a watcher sees the same as a reader.

use futures_util::StreamExt;
use migrate_core::Database;
use migrate_schema::ddl::{self, DdlStage, DdlStyle};
use migrate_schema::{self as schema, Schema, SchemaChange, SideNames};
use migrate_test::TestDatabase;
use migrate_test::provider::binaries::Binaries;

use crate::ddl::AT_ONCE;
use crate::ddl::seat::Seats;
use crate::support::{column, connect, execute};

const EVERYTHING: &str = include_str!("schema/everything.sql");
const CHANGES: &str = include_str!("schema/changes.txt");
const SIDES: SideNames<'_> = SideNames { before: "before", after: "after" };

async fn read(database: &TestDatabase) -> Schema {
    schema::read(&Database::from(database.options())).await.unwrap()
}

/// One case: statements, and their changes in the words of a difference.
///
/// `=` is a sentence of the difference, and together these are all of it; `~` is one of several; `* word`
/// allows further sentences with this word. A `*` in a sentence matches anything, and `§` is the role that
/// created everything.
struct SchemaCase {
    sql: String,
    exactly: Vec<String>,
    among: Vec<String>,
    may: Vec<String>,
}

fn cases(owner: &str) -> Vec<SchemaCase> {
    let of = |text: &str, mark: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.strip_prefix(mark)?.replace('§', owner))).collect()
    };
    let case = |text: &str| SchemaCase {
        sql: text.lines().take_while(|line| !line.starts_with(['=', '~', '*'])).collect(),
        exactly: of(text, "= "),
        among: of(text, "~ "),
        may: of(text, "* "),
    };
    CHANGES.split("\n\n").map(case).collect()
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = pattern.rsplit_once('*').unwrap_or(("", pattern));
    for part in middle.split('*') {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// What is wrong with the outcome of a case.
fn judge(case: &SchemaCase, found: &[String]) -> Option<String> {
    let seen = |pattern: &String| found.iter().any(|sentence| matches(pattern, sentence));
    let missing: Vec<_> = case.exactly.iter().chain(&case.among).filter(|pattern| !seen(pattern)).collect();
    let expected = |sentence: &&String| {
        !case.among.is_empty()
            || case.exactly.iter().any(|pattern| matches(pattern, sentence))
            || case.may.iter().any(|word| sentence.contains(word.as_str()))
    };
    let surplus: Vec<_> = found.iter().filter(|sentence| !expected(sentence)).collect();
    (!missing.is_empty() || !surplus.is_empty())
        .then(|| format!("{}\n  missing: {missing:#?}\n  too much: {surplus:#?}\n  found: {found:#?}", case.sql))
}

async fn run(case: &SchemaCase, seats: &Seats) -> Option<String> {
    let (before, mut seat) = (&seats.before.schema, seats.take().await);
    let watched = seat.watcher().await.schema();
    assert_eq!(SchemaChange::between(before, watched).to_string(), "", "a watcher begins with the whole schema");
    if let Err(error) = seat.make(&case.sql).await {
        return Some(format!("{}\n  {error}", case.sql));
    }
    let after = seat.describe().await;
    let change = SchemaChange::between(before, &after.schema);
    let watched = seat.watcher().await.look().await.unwrap();
    seats.give_back(seat, &after).await;
    let found = change.sentences(SIDES);
    if watched.sentences(SIDES) != found {
        return Some(format!(
            "{}\n  the watcher saw {:#?}\n  the reader {found:#?}",
            case.sql,
            watched.sentences(SIDES)
        ));
    }
    judge(case, &found)
}

#[test]
fn patterns_match_whole_sentences() {
    assert!(matches("a * c", "a b c") && matches("*c", "abc") && matches("abc", "abc"));
    assert!(!matches("a * c", "a b d") && !matches("ab", "abc") && !matches("a*b", "abc"));
}

#[tokio::test]
async fn every_property_of_every_object_is_seen() {
    let seats = Seats::with(EVERYTHING).await;
    let mut seat = seats.take().await;
    let owner = column(&mut seat.session, "SELECT current_user").await.remove(0);
    let now = seat.describe().await;
    seats.give_back(seat, &now).await;
    let cases = cases(&owner);
    let outcomes = futures_util::stream::iter(&cases).map(|case| run(case, &seats)).buffer_unordered(AT_ONCE);
    let wrong: Vec<String> = outcomes.filter_map(std::future::ready).collect().await;
    seats.end().await;
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Restores a dump of a database into another one.
async fn restored(original: &TestDatabase) -> TestDatabase {
    let binaries = match std::env::var_os("ROUNDTRIP_TEST_BINDIR") {
        Some(folder) => Binaries::probe(std::path::Path::new(&folder)).unwrap(),
        None => Binaries::find(None).unwrap(),
    };
    let dump = binaries.program("pg_dump").arg("--dbname").arg(original.url()).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.sql");
    std::fs::write(&file, dump.stdout).unwrap();
    let copy = TestDatabase::create().await.unwrap();
    let mut psql = binaries.program("psql");
    let psql = psql.args(["-qX", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file).arg("--dbname").arg(copy.url());
    let restored = psql.output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    copy
}

#[tokio::test]
async fn a_restored_dump_has_the_same_schema() {
    let original = TestDatabase::create().await.unwrap();
    execute(&mut connect(&original).await, EVERYTHING).await;
    let copy = restored(&original).await;
    let change = SchemaChange::between(&read(&original).await, &read(&copy).await);
    assert!(change.is_empty(), "{change}");
}

/// An expression may occur anywhere: a restore casts the elements of an array that was cast as a whole.
const CAST_ARRAYS: &str = include_str!("ddl/arrays_cast_as_a_whole/b.sql");

#[tokio::test]
async fn arrays_whose_casts_a_restore_moves_are_no_difference() {
    let original = TestDatabase::create().await.unwrap();
    execute(&mut connect(&original).await, CAST_ARRAYS).await;
    let copy = restored(&original).await;
    let describe = async |database: &TestDatabase| schema::describe(&Database::from(database.options())).await.unwrap();
    let (before, after) = (describe(&original).await, describe(&copy).await);
    let differing = before.schema.objects().filter(|one| {
        let other = after.schema.get(&one.id).unwrap();
        one.facts != other.facts
    });
    assert!(differing.count() > 8, "a restore changes these texts");
    assert!(before.schema == after.schema, "{}", SchemaChange::between(&before.schema, &after.schema));
    let ways = [(&before, &after), (&after, &before)];
    for ddl in ways.map(|(from, to)| ddl::between(from, to, DdlStyle::Whole)) {
        assert!(ddl.is_empty(), "{}", ddl.script(DdlStage::Main));
    }
    let change = "ALTER TABLE orders DROP CONSTRAINT orders_state_check, \
        ADD CONSTRAINT orders_state_check CHECK (state IN ('new', 'seen'))";
    execute(&mut connect(&copy).await, change).await;
    let told = SchemaChange::between(&before.schema, &describe(&copy).await.schema).to_string();
    assert!(told.contains("constraint public.orders.orders_state_check: CHECK") && told.lines().count() == 1, "{told}");
}
