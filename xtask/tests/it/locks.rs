//! What the table of locks and lint say about a text, compared with what the observer sees the server do:
//! statement by statement.
//!
//! The statements are in `locks/statements.sql`. The server provides the truth, so a new case is one line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_base::ident::QualifiedName;
use migrate_base::lock_mode::LockMode;
use migrate_core::{CodeMigrations, Database, Direction, Migration, MigrationSet};
use migrate_review::config::LintConfig;
use migrate_review::effect;
use migrate_review::lint::{self, LintSubject};
use migrate_review::locks::{RowWork, StatementLock};
use migrate_schema::{self as schema, Id, Kind, SchemaDescription};
use migrate_test::TestDatabase;
use migrate_test::observe::{StatementObservation, observe};
use migrate_test::shape::ShadowDatabase;

const HEAD: &str = "-- migrate: no-transaction\n";

/// Rules about rows that are read or written under a lock, each with words one of which its statement contains.
const OF_WORK: [(&str, &[&str]); 13] = [
    ("require-concurrent-index-creation", &["INDEX"]),
    ("require-concurrent-reindex", &["REINDEX"]),
    ("constraint-missing-not-valid", &["CHECK", "VALIDATE", "DOMAIN"]),
    ("adding-foreign-key-constraint", &["FOREIGN KEY", "REFERENCES", "ENFORCED"]),
    ("disallowed-unique-constraint", &["UNIQUE", "EXCLUDE"]),
    ("adding-serial-primary-key-field", &["PRIMARY KEY"]),
    ("adding-field-with-default", &["ADD COLUMN"]),
    ("adding-not-nullable-field", &["NOT NULL", "PRIMARY KEY USING INDEX"]),
    ("changing-column-type", &["TYPE"]),
    ("prefer-repack", &["VACUUM", "CLUSTER"]),
    ("rewriting-alter", &["SET"]),
    ("attach-partition-scans", &["PARTITION"]),
    ("refresh-blocks-readers", &["REFRESH"]),
];

/// Rules about locks that block others, whatever is done under them.
const OF_LOCKS: [&str; 4] = [
    "lock-table",
    "refresh-blocks-readers",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
];

/// A fixture of this test.
const WRITES: &str = "DO $$ DECLARE t regclass; BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace NOT IN (11, 'information_schema'::regnamespace)
    LOOP EXECUTE format('LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE', t); END LOOP; END $$;";

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/it/locks/{name}.sql", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The effect of a statement: the strongest lock on each relation, and whether rows were read or written under
/// a lock that blocks others.
#[derive(Default)]
struct ObservedEffect {
    locks: BTreeMap<String, LockMode>,
    work: BTreeMap<String, RowWork>,
    works: bool,
    unseen: bool,
}

impl ObservedEffect {
    fn take(&mut self, at: &SchemaDescription, seen: &StatementObservation) {
        for lock in &seen.locks {
            let mode = self.locks.entry(shown(&lock.relation)).or_insert(lock.mode);
            *mode = (*mode).max(lock.mode);
        }
        let in_the_way = |table: &QualifiedName| {
            // Nobody writes to a materialized view.
            let least = if is_view(at, table) { LockMode::AccessExclusive } else { LockMode::Share };
            self.locks.get(&shown(table)).is_some_and(|mode| *mode >= least)
        };
        let rewritten =
            seen.rewritten.iter().filter(|one| one.rows > 0).map(|one| (shown(&one.table), RowWork::Rewrites));
        let scanned = seen.scanned.iter().map(|one| (shown(&one.table), RowWork::Reads));
        for (table, work) in rewritten.chain(scanned) {
            let known = self.work.entry(table).or_default();
            *known = (*known).max(work);
        }
        self.works |= seen.rewritten.iter().any(|one| one.rows > 0);
        self.works |= seen.scanned.iter().any(|one| in_the_way(&one.table));
        self.unseen |= seen.unseen.is_some();
    }
}

fn is_view(at: &SchemaDescription, table: &QualifiedName) -> bool {
    let id = Id {
        kind: Kind::MaterializedView,
        schema: table.schema().into(),
        parent: "".into(),
        name: table.name().into(),
        signature: "".into(),
    };
    at.schema.get(&id).is_some()
}

fn shown(name: &QualifiedName) -> String {
    match name.schema() {
        "public" => name.name().to_owned(),
        schema => format!("{schema}.{}", name.name()),
    }
}

/// The lines that a server of this version supports; those in a transaction, and those outside of one.
fn lines(statements: &str, major: u32) -> (Vec<&str>, Vec<&str>) {
    let all = statements.lines().filter(|line| !line.is_empty() && !line.starts_with("--"));
    let (mut inside, mut alone) = (Vec::new(), Vec::new());
    for line in all {
        match line.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
            Some(("alone", line)) => alone.push(line),
            Some((from, line)) if from.parse::<u32>().unwrap() <= major => inside.push(line),
            Some(_) => {}
            None => inside.push(line),
        }
    }
    (inside, alone)
}

pub(crate) fn migration(text: &str) -> Arc<Migration> {
    let folder = tempfile::tempdir().unwrap();
    let drafts = [
        ("20250101000002_case.up.sql".to_owned(), text.to_owned()),
        ("20250101000002_case.down.sql".to_owned(), "SELECT;\n".to_owned()),
    ];
    MigrationSet::load_with(folder.path(), &drafts).unwrap().iter().next().unwrap().clone()
}

/// Runs a script on top of the base, and returns the effect of each of its lines.
async fn truths<'a>(at: &SchemaDescription, script: &str, lines: &[&'a str]) -> Vec<(&'a str, ObservedEffect)> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    for (name, up) in [("20250101000001_base", &*file("base")), ("20250101000002_case", script)] {
        write(&format!("{name}.up.sql"), &format!("-- migrate: irreversible a test\n{up}"));
    }
    // The rows are those of the base: tables that a fixture may have written to get no others.
    write("20250101000002_case.fixture.sql", WRITES);
    let set = MigrationSet::load(folder.path()).unwrap();
    let version = set.iter().last().unwrap().version().clone();
    let script = set.get(&version).unwrap().up_script().unwrap().text().to_string();
    let seen = observe(&set, &CodeMigrations::none(), &BTreeSet::from([version]), 7).await.unwrap();
    if let Some(error) = &seen[0].failed {
        let failed = seen[0].statements.last().map(|one| &script[one.span.clone()]);
        panic!("{failed:?}: {error:?}");
    }
    let (mut all, mut from) = (Vec::new(), 0);
    for line in lines {
        let start = script[from..].find(line).unwrap() + from;
        from = start + line.len();
        let mut truth = ObservedEffect::default();
        let own = seen[0].statements.iter().filter(|one| (start..from).contains(&one.span.start));
        own.for_each(|one| truth.take(at, one));
        all.push((*line, truth));
    }
    all
}

/// The errors in what is said about a line.
fn wrong(at: &SchemaDescription, major: u32, text: &str, truth: &ObservedEffect) -> Vec<String> {
    let migration = migration(text);
    let script = migration.up_script().unwrap();
    let (mut said, mut works): (BTreeMap<String, LockMode>, BTreeMap<String, RowWork>) = Default::default();
    let known = |one: &StatementLock| one.work != RowWork::Unknown;
    for one in effect::locks([&**script], &at.schema, major).remove(0).into_iter().filter(known) {
        let name = QualifiedName::new(one.table.schema.clone().unwrap(), &*one.table.name);
        said.insert(shown(&name), one.mode);
        works.insert(shown(&name), one.work);
    }
    // There can be more locks that block nobody: those of keys that are looked up, and of views that are read.
    let strong = |all: &BTreeMap<String, LockMode>| {
        let strong = all.iter().filter(|(_, mode)| **mode >= LockMode::ShareUpdateExclusive);
        strong.map(|(name, mode)| format!("{mode} {name}")).collect::<Vec<_>>().join("; ")
    };
    let mut wrong = Vec::new();
    if strong(&said) != strong(&truth.locks) {
        wrong.push(format!("the server took [{}], the table says [{}]", strong(&truth.locks), strong(&said)));
    }
    let weak = said.iter().filter(|(_, mode)| **mode < LockMode::ShareUpdateExclusive);
    for (name, mode) in weak.filter(|(name, _)| !truth.unseen && !truth.locks.contains_key(*name)) {
        wrong.push(format!("the table says {mode} on {name}, which the server did not take"));
    }
    // Sampling some rows does not count as work.
    let samples = text.contains("ANALYZE") || text.contains("VACUUM") && !text.contains("FULL");
    for (name, mode) in said.iter().filter(|_| !samples) {
        let (says, does) = (works[name], truth.work.get(name).copied().unwrap_or_default());
        if says != does && (says > RowWork::Nothing || *mode >= LockMode::ShareUpdateExclusive) {
            wrong.push(format!("rows of {name}: the server {does:?}, the table says {says:?}"));
        }
    }
    let subject = LintSubject { script, direction: Direction::Up, before: Some(at), after: None, released: Some(at) };
    let found = lint::judge(&subject, &LintConfig::default());
    let codes: Vec<&str> = found.iter().map(|one| one.code.as_str()).collect();
    wrong.extend(misjudged(text, truth, &codes));
    wrong
}

/// The errors in the findings for a line.
fn misjudged(text: &str, truth: &ObservedEffect, codes: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_work: Vec<&(&str, &[&str])> = OF_WORK.iter().filter(|(code, _)| codes.contains(code)).collect();
    for (code, words) in &of_work {
        if !words.iter().any(|word| text.contains(word)) {
            wrong.push(format!("lint says {code}, which this is not"));
        }
    }
    if truth.works && of_work.is_empty() {
        wrong.push(format!("rows are read or written under a lock, and lint says {codes:?}"));
    }
    let of_work = of_work.iter().filter(|(code, _)| !OF_LOCKS.contains(code));
    if !truth.works && of_work.clone().count() > 0 {
        wrong.push(format!("nothing is read or written under a lock, and lint says {codes:?}"));
    }
    let blocks = truth.locks.values().any(|mode| *mode >= LockMode::Share);
    if !blocks && codes.iter().any(|code| OF_LOCKS.contains(code)) {
        wrong.push(format!("no lock is in the way of anybody, and lint says {codes:?}"));
    }
    wrong
}

/// A database with the base, its description, and the major version of the server.
pub(crate) async fn ground() -> (ShadowDatabase, SchemaDescription, u32) {
    let database = TestDatabase::create().await.unwrap();
    let address = Database::from(database.options());
    let mut shadow = ShadowDatabase::on(database, CodeMigrations::none()).await.unwrap();
    shadow.rehearsal().query_all(&file("base")).await.unwrap();
    let (_, rows) = shadow.rehearsal().query("SHOW server_version_num").await.unwrap();
    let number: u32 = rows[0][0].as_ref().unwrap().parse().unwrap();
    let described = schema::describe(&address).await.unwrap();
    (shadow, described, number / 10_000)
}

#[tokio::test]
async fn the_table_of_locks_and_lint_say_what_the_server_does() {
    let (shadow, at, major) = ground().await;
    shadow.end().await.unwrap();
    let statements = file("statements");
    let (inside, alone) = lines(&statements, major);
    let script: String = inside.iter().map(|line| format!("SAVEPOINT s;\n{line}\nROLLBACK TO s;\n")).collect();
    let mut bad = Vec::new();
    for (line, truth) in truths(&at, &script, &inside).await {
        bad.extend(wrong(&at, major, line, &truth).into_iter().map(|why| format!("{line}\n    {why}")));
    }
    for (line, truth) in truths(&at, &format!("{HEAD}{}", alone.join("\n")), &alone).await {
        let text = format!("{HEAD}{line}");
        bad.extend(wrong(&at, major, &text, &truth).into_iter().map(|why| format!("{line}\n    {why}")));
    }
    assert!(inside.len() + alone.len() > 300 && bad.is_empty(), "{} wrong:\n{}", bad.len(), bad.join("\n"));
}

#[tokio::test]
async fn a_change_of_all_rows_is_found_however_its_condition_is_written() {
    let (mut shadow, at, _) = ground().await;
    let mut wrong = Vec::new();
    for line in file("changes").lines().filter(|line| !line.starts_with("--")) {
        let count = "SELECT sum(pg_stat_get_xact_tuples_updated(oid) + pg_stat_get_xact_tuples_deleted(oid)) FROM pg_class \
                     WHERE relname IN ('keyed', 't', 'numbered')";
        let text = format!("BEGIN; {count}; {line}; {count}; ROLLBACK");
        let answers = shadow.rehearsal().query_all(&text).await.unwrap();
        let counts = answers.iter().flat_map(|(_, rows)| rows).flatten().flatten();
        let counts: Vec<i64> = counts.filter_map(|value| value.parse().ok()).collect();
        let all = counts.last().unwrap() - counts[0] >= 5;
        let migration = migration(line);
        let script = migration.up_script().unwrap();
        let subject =
            LintSubject { script, direction: Direction::Up, before: Some(&at), after: None, released: Some(&at) };
        let found = lint::judge(&subject, &LintConfig::default()).iter().any(|one| one.code == "unbatched-change");
        if found != all {
            wrong.push(format!("{line}: all rows {all}, found {found}"));
        }
    }
    shadow.end().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Queries in WITH that each use the previous one twice are examined once each, and a long chain ends.
#[test]
fn a_chain_of_queries_does_not_take_for_ever() {
    let link = |at: usize| format!("a{at} AS (SELECT x.id FROM a{0} AS x JOIN a{0} AS y ON x.id = y.id)", at - 1);
    for length in [6, 60, 2000] {
        let links: Vec<String> = (1..length).map(link).collect();
        let (links, last) = (links.join(", "), length - 1);
        let text =
            format!("WITH a0 AS (SELECT id FROM t), {links} UPDATE t SET n = 0 FROM a{last} WHERE a{last}.id = t.id;");
        let migration = migration(&text);
        let script = migration.up_script().unwrap();
        let subject = LintSubject { script, direction: Direction::Up, before: None, after: None, released: None };
        let found = lint::judge(&subject, &LintConfig::default()).iter().any(|one| one.code == "unbatched-change");
        assert_eq!(found, length < 8, "{length}");
    }
}

/// What is inside of a block is found at its location; what cannot be parsed is reported.
#[test]
fn what_a_block_does_is_found_at_its_place() {
    let text = "SELECT 1;\nDO $$\nBEGIN\n  IF true THEN\n    DROP TABLE t;\n  END IF;\n  EXECUTE 'ALTER TABLE t\n    DROP COLUMN n';\n  \
                EXECUTE made;\nEND\n$$;\n";
    let migration = migration(text);
    let script = migration.up_script().unwrap();
    let subject = LintSubject { script, direction: Direction::Up, before: None, after: None, released: None };
    let found = lint::judge(&subject, &LintConfig::default());
    let told: Vec<(&str, (usize, usize))> =
        found.iter().map(|one| (one.code.as_str(), one.place.as_ref().unwrap().line_column().unwrap())).collect();
    assert!(told.contains(&("ban-drop-table", (5, 5))), "{told:?}");
    assert!(told.contains(&("ban-drop-column", (8, 5))), "{told:?}");
    assert!(told.contains(&("unread-statement", (9, 3))), "{told:?}");
}

/// The lists of what PostgreSQL provides are correct: no function that may return another value for each row is
/// in the one, and every type that can be named without its schema is in the other.
#[tokio::test]
async fn the_lists_of_functions_and_types_are_those_of_the_server() {
    let (mut shadow, _, major) = ground().await;
    let list = |name: &str| {
        let path = format!("{}/../migrate-review/src/locks/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let mut ask = async |query: &str| {
        let (_, rows) = shadow.rehearsal().query(query).await.unwrap();
        rows.into_iter().flatten().flatten().collect::<BTreeSet<String>>()
    };
    let of = "FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace";
    let all = ask(&format!("SELECT DISTINCT proname {of}")).await;
    let volatile = ask(&format!("SELECT DISTINCT proname {of} AND provolatile = 'v'")).await;
    // Words that look like calls but are not.
    let words = [
        "coalesce",
        "greatest",
        "least",
        "nullif",
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
    ];
    let (functions, words) = (list("functions"), words.map(str::to_owned).into());
    let wrong: Vec<&String> = functions.intersection(&volatile).collect();
    assert!(wrong.is_empty(), "these are volatile: {wrong:?}");
    let gone: Vec<&String> = functions.difference(&all).filter(|name| !BTreeSet::contains(&words, *name)).collect();
    assert!(major < 18 || gone.is_empty(), "these are no functions: {gone:?}");
    let types = ask("SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype <> 'c' \
         AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = pg_type.oid)")
    .await;
    let missing: Vec<String> = types.difference(&list("types")).cloned().collect();
    assert!(missing.is_empty(), "these types are missing: {missing:?}");
    shadow.end().await.unwrap();
}

/// A function of the schema whose body changes something is not visible in the statements of the migration that
/// calls it, or that fires it as a trigger.
#[tokio::test]
async fn a_call_of_what_changes_something_is_reported() {
    let database = TestDatabase::create().await.unwrap();
    let address = Database::from(database.options());
    let mut shadow = ShadowDatabase::on(database, CodeMigrations::none()).await.unwrap();
    let code = "LANGUAGE plpgsql AS $$ BEGIN UPDATE u SET a = 1; RETURN NULL; END $$;";
    let schema = format!(
        "CREATE TABLE t (a int); CREATE TABLE u (a int); CREATE TABLE v (a int);
         CREATE FUNCTION f() RETURNS int {code} CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT f()';
         CREATE FUNCTION h() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE s; CREATE FUNCTION tf() RETURNS trigger {code}
         CREATE TRIGGER one AFTER UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION tf();
         CREATE TRIGGER off AFTER INSERT ON v FOR EACH ROW EXECUTE FUNCTION tf(); ALTER TABLE v DISABLE TRIGGER off;"
    );
    shadow.rehearsal().query_all(&schema).await.unwrap();
    let at = schema::describe(&address).await.unwrap();
    shadow.end().await.unwrap();
    for (call, expected) in [
        ("SELECT f();", true),
        ("SELECT g();", true),
        ("DO $$ BEGIN PERFORM f(); END $$;", true),
        ("DO $$ DECLARE n int := f(); BEGIN NULL; END $$;", true),
        ("DO $$ BEGIN IF g() > 1 THEN NULL; END IF; END $$;", true),
        ("DO $$ DECLARE n int; BEGIN n := f(); END $$;", true),
        ("CREATE TABLE x AS SELECT f();", true),
        ("INSERT INTO v SELECT 1 WHERE f() = 1;", true),
        ("UPDATE t SET a = 2 WHERE a = 1;", true),
        ("MERGE INTO t USING v ON v.a = t.a WHEN MATCHED THEN DELETE;", true),
        ("INSERT INTO t VALUES (1);", false),
        ("INSERT INTO v VALUES (1);", false),
        ("SELECT h();", false),
        ("DO $$ DECLARE n int := h(); BEGIN NULL; END $$;", false),
        ("SELECT setval('s', 1);", false),
    ] {
        let migration = migration(call);
        let script = migration.up_script().unwrap();
        let subject =
            LintSubject { script, direction: Direction::Up, before: Some(&at), after: None, released: Some(&at) };
        let found = lint::judge(&subject, &LintConfig::default()).iter().any(|one| one.code == "unread-statement");
        assert_eq!(found, expected, "{call}");
    }
}

/// What a script creates and runs is read: its statements are found at their locations, with their locks.
#[test]
fn what_a_function_of_the_script_does_is_found_at_its_place() {
    let made = "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  ALTER TABLE t ALTER a TYPE bigint;\n  RETURN 1;\nEND $$;\n";
    let sql = "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS $$ SELECT f() $$;\n";
    let procedure = "CREATE PROCEDURE p() LANGUAGE sql AS '\n  ALTER TABLE t ALTER a TYPE bigint';\n";
    let atomic = "CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC\n  DELETE FROM t;\nEND;\n";
    let fires = "CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n\n  DELETE FROM t; RETURN NEW; END $$;\n\
                 CREATE TRIGGER one AFTER INSERT ON u FOR EACH ROW EXECUTE FUNCTION tf();\n";
    let run =
        "CREATE FUNCTION f(x text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n  EXECUTE x; END $$;\nSELECT f('a');";
    let (retyped, all) = ("changing-column-type", "unbatched-change");
    for (text, expected) in [
        (format!("{made}SELECT f();"), Some((retyped, 3))),
        (format!("{made}{sql}SELECT g();"), Some((retyped, 3))),
        (format!("{made}DO $$ DECLARE n int := f(); BEGIN NULL; END $$;"), Some((retyped, 3))),
        (format!("{made}DO $$ BEGIN IF f() > 1 THEN NULL; END IF; END $$;"), Some((retyped, 3))),
        (format!("{made}CREATE TABLE x AS SELECT f();"), Some((retyped, 3))),
        (format!("{procedure}CALL p();"), Some((retyped, 2))),
        (format!("{atomic}CALL p();"), Some((all, 2))),
        (format!("{fires}INSERT INTO u VALUES (1);"), Some((all, 3))),
        (run.to_owned(), Some(("unread-statement", 2))),
        ("DO $$ BEGIN EXECUTE 'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ SELECT 1 $x$'; PERFORM f(); END $$;".to_owned(), None),
        (format!("{fires}DELETE FROM u WHERE id = 1;"), None),
        (format!("INSERT INTO u VALUES (1);\n{fires}"), None),
        (format!("{made}SELECT h();"), None),
        (made.to_owned(), None),
    ] {
        let migration = migration(&text);
        let script = migration.up_script().unwrap();
        let subject = LintSubject { script, direction: Direction::Up, before: None, after: None, released: None };
        let found = lint::judge(&subject, &LintConfig::default());
        let found: Vec<(&str, usize)> = found
            .iter()
            .map(|one| (one.code.as_str(), one.place.as_ref().unwrap().line_column().unwrap().0))
            .filter(|(code, _)| [retyped, all, "unread-statement"].contains(code))
            .collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

/// A loop that commits in each iteration changes a part of the rows at a time.
#[test]
fn a_loop_that_commits_is_in_parts() {
    let part = "UPDATE keyed SET done = true WHERE id IN (SELECT id FROM keyed WHERE NOT done LIMIT 1000); EXIT WHEN NOT FOUND;";
    let loops = |commit: &str| format!("BEGIN LOOP {part} {commit} END LOOP; END");
    let procedure =
        |commit: &str| format!("CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ {} $$; CALL fill();", loops(commit));
    for (text, expected) in [
        (format!("DO $$ {} $$;", loops("")), true),
        (format!("DO $$ {} $$;", loops("COMMIT;")), false),
        (procedure(""), true),
        (procedure("COMMIT;"), false),
    ] {
        let migration = migration(&format!("{HEAD}{text}"));
        let script = migration.up_script().unwrap();
        let subject = LintSubject { script, direction: Direction::Up, before: None, after: None, released: None };
        let found = lint::judge(&subject, &LintConfig::default()).iter().any(|one| one.code == "unbatched-change");
        assert_eq!(found, expected, "{text}");
    }
}

/// A lock on a table that is not in the schema is shown too; what the script itself creates does not exist yet.
#[tokio::test]
async fn a_lock_on_a_table_that_is_not_in_the_schema_is_shown() {
    let (shadow, at, major) = ground().await;
    shadow.end().await.unwrap();
    let text = "CREATE TABLE made (id int);\nALTER TABLE made ADD COLUMN x int;\nALTER TABLE elsewhere.strange ADD COLUMN x int;\n\
                INSERT INTO stranger (id) SELECT id FROM t;\nDROP TABLE IF EXISTS nobody;\nDROP TABLE made;\nALTER TABLE t RENAME TO u;\n\
                UPDATE u SET n = 1 WHERE id = 1;\nCREATE INDEX own ON u (n);\nDROP INDEX own;\n";
    let migration = migration(text);
    let script = migration.up_script().unwrap();
    let locks = effect::locks([&**script], &at.schema, major).remove(0);
    let unknown: Vec<String> = locks
        .iter()
        .filter(|one| one.work == RowWork::Unknown)
        .map(|one| format!("{} {}", one.mode, one.table))
        .collect();
    assert_eq!(unknown, ["access exclusive elsewhere.strange", "row exclusive stranger"]);
}

/// What a script rolls back is not done, and its locks are released; those from before the savepoint are kept.
#[test]
fn what_goes_back_to_a_savepoint_is_not_done() {
    let codes = |text: &str| {
        let migration = migration(text);
        let script = migration.up_script().unwrap();
        let subject = LintSubject { script, direction: Direction::Up, before: None, after: None, released: None };
        let found = lint::judge(&subject, &LintConfig::default());
        let effects = effect::Effects::of(script);
        (found.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), effects.taken.len())
    };
    let (back, drop, change) = ("ROLLBACK TO SAVEPOINT s;", "DROP TABLE t;", "UPDATE u SET a = 1 WHERE id < 5;");
    let (found, taken) = codes(&format!("SAVEPOINT s; {drop} {back}"));
    assert!(!found.contains(&"ban-drop-table") && taken == 0, "{found:?}");
    let (found, taken) = codes(&format!("SAVEPOINT s; RELEASE s; SAVEPOINT s; {back} {drop}"));
    assert!(found.contains(&"ban-drop-table") && taken == 1, "{found:?}");
    let (found, taken) = codes(&format!("SAVEPOINT s; {drop} SAVEPOINT r; ROLLBACK TO r; {back} SAVEPOINT r; {drop}"));
    assert!(found.contains(&"ban-drop-table") && taken == 1, "{found:?}");
    for (text, held) in [
        (format!("LOCK TABLE u; SAVEPOINT s; {back} {change}"), true),
        (format!("SAVEPOINT s; LOCK TABLE u; {back} {change}"), false),
        (format!("SAVEPOINT s; LOCK TABLE u; RELEASE s; {change}"), true),
        (format!("SAVEPOINT s; LOCK TABLE u; SAVEPOINT r; ROLLBACK TO r; {change}"), true),
    ] {
        assert_eq!(codes(&text).0.contains(&"change-under-lock"), held, "{text}");
    }
}
