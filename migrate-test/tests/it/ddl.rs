//! Statements from one schema to another: applied to the first schema they give the second, and the reverse
//! works as well.

mod captured;
mod dump;
mod hazards;
mod model;
mod pairs;
mod privileges;
pub(crate) mod seat;

use std::path::Path;

use futures_util::StreamExt;
use migrate_core::Database;
use migrate_schema::ddl::{self, Ddl, DdlStage, DdlStyle};
use migrate_schema::{self as schema, Kind, Schema, SchemaChange, SchemaDescription, SideNames};
use migrate_test::TestDatabase;
use seat::Seats;

use crate::support::{connect, execute};

const EVERYTHING: &str = include_str!("schema/everything.sql");
const CHANGES: &str = include_str!("schema/changes.txt");
const CORNERS: &str = include_str!("schema/corners.txt");
const SIDES: SideNames<'_> = SideNames { before: "wanted", after: "made" };

/// How many cases of a test run at the same time.
pub(crate) const AT_ONCE: usize = 2;

/// An object with a secret, or one that is known only by a digest: no statement can create it.
const SECRET: &str = "user mapping";

async fn describe(database: &TestDatabase) -> SchemaDescription {
    schema::describe(&Database::from(database.options())).await.unwrap()
}

async fn apply(database: &TestDatabase, ddl: &Ddl) -> Result<(), String> {
    let script = ddl.script(DdlStage::Main);
    let mut db = connect(database).await;
    let outcome = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("BEGIN;\n{script}COMMIT;"))).execute(&mut db).await;
    outcome.map(drop).map_err(|error| format!("{error}\n{script}"))
}

/// The statements from one schema to another, or what no statement can be written for.
fn between(from: &SchemaDescription, to: &SchemaDescription) -> Result<Ddl, String> {
    let ddl = ddl::between(from, to, DdlStyle::Whole);
    let unexpected: Vec<_> =
        ddl.uncovered.iter().map(ToString::to_string).filter(|id| !id.starts_with(SECRET)).collect();
    if unexpected.is_empty() { Ok(ddl) } else { Err(format!("uncovered: {unexpected:?}")) }
}

/// Differences that remain, each with its reason.
const REMAINING: [(&str, &str); 3] = [
    (": invalid → valid", "no statement makes an index that is half built"),
    (
        ": inherited only → and local",
        "a column of a table that joins a parent stays its own as well; the same column made with the table is not",
    ),
    (": not null inherited only → and local", "so does its NOT NULL"),
];

/// PostgreSQL and `pg_dump` forget the TOAST options of a table that no longer has a column with TOAST values.
const FORGOTTEN: [&str; 2] = [": toast options", "none"];

fn cannot_be_said(sentence: &str) -> bool {
    let is_forgotten =
        sentence.starts_with("table ") && sentence.contains(FORGOTTEN[0]) && sentence.ends_with(FORGOTTEN[1]);
    is_forgotten || sentence.starts_with(SECRET) || REMAINING.iter().any(|(end, _)| sentence.ends_with(end))
}

/// What is wrong with the statements from the schema of a database to another one; `None` if they lead there.
async fn leads(database: &TestDatabase, from: &SchemaDescription, to: &SchemaDescription) -> Option<String> {
    let ddl = match between(from, to) {
        Ok(ddl) => ddl,
        Err(why) => return Some(why),
    };
    if let Err(why) = apply(database, &ddl).await {
        return Some(why);
    }
    let made = describe(database).await;
    let change = SchemaChange::between(&ddl::unowned(&to.schema), &ddl::unowned(&made.schema));
    let told: Vec<_> = change.sentences(SIDES).into_iter().filter(|text| !cannot_be_said(text)).collect();
    (!told.is_empty()).then(|| format!("{}\n{}", told.join("\n"), ddl.script(DdlStage::Main)))
}

async fn run(case: &str, seats: &Seats) -> Option<String> {
    let sql: String = case.lines().take_while(|line| !line.starts_with(['=', '~', '*'])).collect();
    let (mut there, mut back) = (seats.take().await, seats.take().await);
    back.make(&sql).await.unwrap();
    let after = back.describe().await;
    let outcomes = [
        ("there", there.leads(&seats.before, &after).await, there),
        ("back", back.leads(&after, &seats.before).await, back),
    ];
    let mut wrong = String::new();
    for (way, outcome, seat) in outcomes {
        match outcome {
            Ok(made) => seats.give_back(seat, &made).await,
            Err(why) => {
                wrong += &format!("{way}: {why}\n");
                seat.end().await;
            }
        }
    }
    (!wrong.is_empty()).then(|| format!("{sql}\n{wrong}"))
}

#[tokio::test]
async fn every_change_has_statements_there_and_back() {
    let seats = Seats::with(EVERYTHING).await;
    let cases: Vec<&str> = CHANGES.split("\n\n").collect();
    let outcomes = futures_util::stream::iter(&cases).map(|case| run(case, &seats)).buffer_unordered(AT_ONCE);
    let wrong: Vec<String> = outcomes.filter_map(std::future::ready).collect().await;
    seats.end().await;
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[tokio::test]
async fn everything_is_made_from_nothing_and_removed_again() {
    let original = TestDatabase::create().await.unwrap();
    execute(&mut connect(&original).await, EVERYTHING).await;
    let everything = describe(&original).await;
    let database = TestDatabase::create().await.unwrap();
    let nothing = describe(&database).await;
    assert_eq!(leads(&database, &nothing, &everything).await, None);
    let made = describe(&database).await;
    assert_eq!(leads(&database, &made, &nothing).await, None);
    assert_eq!(leads(&database, &nothing, &nothing).await, None);
}

/// Databases that were upgraded from PostgreSQL 8.2 have such casts; they make `smallint || text` ambiguous.
const IMPLICIT: &str = "DO $$ DECLARE kind regtype; BEGIN
    FOR kind IN SELECT oid FROM pg_type WHERE typtype = 'b' AND typcategory <> 'A' AND oid < 16384 LOOP
        BEGIN EXECUTE format('CREATE CAST (%s AS text) WITH INOUT AS IMPLICIT', kind); EXCEPTION WHEN others THEN NULL; END;
    END LOOP; END $$";

#[tokio::test]
async fn everything_is_read_where_all_casts_to_text_are_implicit() {
    let database = TestDatabase::create().await.unwrap();
    execute(&mut connect(&database).await, EVERYTHING).await;
    let plain = describe(&database).await;
    execute(&mut connect(&database).await, IMPLICIT).await;
    let with_casts = describe(&database).await;
    let no_casts = |schema: &Schema| schema.clone().as_in(&Schema::default(), |one| one.id.kind == Kind::Cast);
    assert!(SchemaChange::between(&no_casts(&plain.schema), &no_casts(&with_casts.schema)).is_empty());
    assert!(with_casts.schema.objects().count() > plain.schema.objects().count() + 30);
    let around = schema::Surroundings::open(&Database::from(database.options()), true).await.unwrap();
    around.close().await;
    database.drop_now().await.unwrap();
}

/// A change by a statement of the manual is detected, and statements are written for it. A server version
/// without the statement says so.
async fn corner(statement: &str, seats: &Seats) -> Option<String> {
    let mut seat = seats.take().await;
    let newest = statement.strip_prefix("18: ");
    let run = seat.make(newest.unwrap_or(statement)).await;
    let after = seat.describe().await;
    seats.give_back(seat, &after).await;
    let seen = !SchemaChange::between(&seats.before.schema, &after.schema).is_empty();
    let ddl = ddl::between(&seats.before, &after, DdlStyle::Whole);
    let wrong = match run {
        Err(error) if newest.is_some() && error.as_database_error().is_some() => return None,
        Err(error) => error.to_string(),
        Ok(()) if !seen => "nothing of it is seen".to_owned(),
        // Owners are ignored.
        Ok(()) if ddl.is_empty() && !statement.contains(" OWNER TO ") => "no statement is written".to_owned(),
        Ok(()) => return None,
    };
    Some(format!("{statement}\n  {wrong}"))
}

#[tokio::test]
async fn every_form_of_alter_is_seen() {
    let (more, statements) = CORNERS.split_once("\n\n").unwrap();
    let seats = Seats::with(&format!("{EVERYTHING}\n{more}")).await;
    let statements: Vec<&str> = statements.lines().filter(|line| !line.is_empty() && !line.starts_with("--")).collect();
    let outcomes = futures_util::stream::iter(&statements).map(|one| corner(one, &seats)).buffer_unordered(AT_ONCE);
    let wrong: Vec<String> = outcomes.filter_map(std::future::ready).collect().await;
    seats.end().await;
    assert!(wrong.is_empty(), "{} of {} statements:\n{}", wrong.len(), statements.len(), wrong.join("\n"));
}

/// Two schemas in a folder: statements from the first to the second and back, and from the second as it was
/// created.
async fn pair(folder: &Path, seats: &Seats) -> Option<String> {
    let (mut first, mut second) = (seats.take().await, seats.take().await);
    for (seat, file) in [(&mut first, "a.sql"), (&mut second, "b.sql")] {
        seat.make(&std::fs::read_to_string(folder.join(file)).unwrap()).await.unwrap();
    }
    let (a, b) = (first.describe().await, second.describe().await);
    let mut ways = async || {
        let made = first.leads(&a, &b).await.map_err(|wrong| format!("a to b: {wrong}"))?;
        let first_now = first.leads(&made, &a).await.map_err(|wrong| format!("b to a: {wrong}"))?;
        let second_now = second.leads(&b, &a).await;
        second_now.map(|second_now| [first_now, second_now]).map_err(|wrong| format!("from b as it was made: {wrong}"))
    };
    let now: Result<[SchemaDescription; 2], String> = ways().await;
    match now {
        Ok([first_now, second_now]) => {
            seats.give_back(first, &first_now).await;
            seats.give_back(second, &second_now).await;
            None
        }
        Err(wrong) => {
            first.end().await;
            second.end().await;
            Some(format!("{}\n{wrong}\n", folder.display()))
        }
    }
}

#[tokio::test]
async fn one_schema_becomes_another() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/ddl");
    let folders: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let folders: Vec<_> = folders.into_iter().filter(|path| path.join("a.sql").is_file()).collect();
    assert!(folders.len() > 20);
    let seats = Seats::with("").await;
    let outcomes = futures_util::stream::iter(&folders).map(|folder| pair(folder, &seats)).buffer_unordered(AT_ONCE);
    let wrong: Vec<String> = outcomes.filter_map(std::future::ready).collect().await;
    seats.end().await;
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), folders.len(), wrong.join("\n"));
}

/// Tables with foreign keys to one another, checks, indexes, and views and triggers on some of them.
fn many_tables(count: usize) -> String {
    let mut sql = String::from(
        "CREATE TYPE state AS ENUM ('a', 'b');
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';",
    );
    for n in 0..count {
        let refers = if n == 0 { String::new() } else { format!("REFERENCES t{}", n / 2) };
        sql += &format!(
            "CREATE TABLE t{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, up bigint {refers}, name text NOT NULL,
                 state state DEFAULT 'a', total numeric(10,2) CHECK (total >= 0), code varchar(20) UNIQUE);
             CREATE INDEX t{n}_state ON t{n} (state, name) WHERE total IS NULL;"
        );
        if n % 10 == 0 {
            sql += &format!(
                "CREATE VIEW v{n} AS SELECT id, name FROM t{n}; COMMENT ON VIEW v{n} IS 'of t{n}';
                 CREATE TRIGGER touched BEFORE UPDATE ON t{n} FOR EACH ROW EXECUTE FUNCTION touch();"
            );
        }
    }
    sql
}

#[tokio::test]
async fn a_schema_of_four_hundred_tables_is_captured() {
    let database = TestDatabase::create().await.unwrap();
    execute(&mut connect(&database).await, &many_tables(400)).await;
    let source = describe(&database).await;
    let baseline = migrate_test::shape::baseline(source.clone()).await.unwrap();
    assert!(
        baseline.is_proven() && baseline.left_out.is_empty(),
        "{:?} {:?}",
        baseline.remaining,
        baseline.left_behind
    );
    let difference =
        migrate_test::shape::difference(source.clone(), source, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.ddl.is_empty());
    database.drop_now().await.unwrap();
}

/// A thousand functions that call one another, and an unrelated object. This takes as long as reading them, not
/// as long as following every call from every function.
#[tokio::test]
async fn functions_that_call_one_another_are_followed_from_what_runs_them() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    let count = 1000;
    let calls = |n: usize| (1..9).map(|k| format!("f{}()", (n * 7 + k * 131) % count)).collect::<Vec<_>>().join(" + ");
    let functions = (0..count)
        .map(|n| format!("CREATE FUNCTION f{n}() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN {}; END';", calls(n)));
    execute(&mut db, &functions.collect::<String>()).await;
    execute(&mut db, "CREATE TABLE t (a int)").await;
    let before = describe(&database).await;
    execute(&mut db, "ALTER TABLE t ADD b int; ALTER TABLE t ADD c int DEFAULT f0()").await;
    let after = describe(&database).await;
    let start = std::time::Instant::now();
    let ddl = ddl::between(&before, &after, DdlStyle::Whole);
    assert!(ddl.statements.len() == 2 && start.elapsed().as_secs() < 20, "{:?} {ddl:?}", start.elapsed());
    drop(db);
    database.drop_now().await.unwrap();
}
