//! What the table of locks and lint say of a text, against what the observer sees the server do: statement by statement.
//!
//! The statements are in `locks/statements.sql`; what is right is asked of the server, so a new case is one line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_core::config::Lint;
use migrate_core::effect;
use migrate_core::ident::QualifiedName;
use migrate_core::ledger::Direction;
use migrate_core::lint::{self, Class, Subject};
use migrate_core::lock_mode::LockMode;
use migrate_core::schema::{self, Described, Id, Kind};
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Database, MigrationSet};
use migrate_test::TestDatabase;
use migrate_test::observe::{Observed, observe};
use migrate_test::shape::Shadow;

const HEAD: &str = "-- migrate: no-transaction\n";

/// Rules about locks that are taken, not about rows that are read or written under them.
const OF_LOCKS: [&str; 6] = [
    "lock-table",
    "refresh-blocks-readers",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "unbatched-change",
    "change-under-lock",
];

/// A file of this test.
fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/it/locks/{name}.sql", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What a statement did: the strongest lock on each relation, and whether rows were read or written under a lock that is in
/// the way of others.
#[derive(Default)]
struct Truth {
    locks: BTreeMap<String, LockMode>,
    works: bool,
    unseen: bool,
}

impl Truth {
    fn take(&mut self, at: &Described, seen: &Observed) {
        for lock in &seen.locks {
            let mode = self.locks.entry(shown(&lock.relation)).or_insert(lock.mode);
            *mode = (*mode).max(lock.mode);
        }
        let in_the_way = |table: &QualifiedName| {
            // Nobody writes to a materialized view.
            let least = if is_view(at, table) { LockMode::AccessExclusive } else { LockMode::Share };
            self.locks.get(&shown(table)).is_some_and(|mode| *mode >= least)
        };
        self.works |= seen.rewritten.iter().any(|one| one.rows > 0);
        self.works |= seen.scanned.iter().any(|one| in_the_way(&one.table));
        self.unseen |= seen.unseen.is_some();
    }
}

fn is_view(at: &Described, table: &QualifiedName) -> bool {
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

/// The lines that a server of this version knows; those in a transaction, and those outside of one.
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

fn migration(text: &str) -> Arc<Migration> {
    let folder = tempfile::tempdir().unwrap();
    let drafts = [
        ("20250101000002_case.up.sql".to_owned(), text.to_owned()),
        ("20250101000002_case.down.sql".to_owned(), "SELECT;\n".to_owned()),
    ];
    MigrationSet::load_with(folder.path(), &drafts).unwrap().iter().next().unwrap().clone()
}

/// Runs a script on top of the base, and tells what each of its lines did.
async fn truths<'a>(at: &Described, script: &str, lines: &[&'a str]) -> Vec<(&'a str, Truth)> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    for (name, up) in [("20250101000001_base", &*file("base")), ("20250101000002_case", script)] {
        write(&format!("{name}.up.sql"), &format!("-- migrate: irreversible a test\n{up}"));
    }
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
        let mut truth = Truth::default();
        let own = seen[0].statements.iter().filter(|one| (start..from).contains(&one.span.start));
        own.for_each(|one| truth.take(at, one));
        all.push((*line, truth));
    }
    all
}

/// What is wrong with what is said of a line.
fn wrong(at: &Described, major: u32, text: &str, truth: &Truth) -> Vec<String> {
    let migration = migration(text);
    let script = migration.up_script().unwrap();
    let mut said: BTreeMap<String, LockMode> = BTreeMap::new();
    for one in effect::locks(script, &at.schema, major) {
        let name = QualifiedName::new(one.table.schema.clone().unwrap(), &*one.table.name);
        said.insert(shown(&name), one.mode);
    }
    // Locks that are in nobody's way can be more: those of keys that are looked up, and of views that are read.
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
    let subject = Subject { script, direction: Direction::Up, before: Some(at), after: None, released: Some(at) };
    let found = lint::judge(&subject, &Lint::default());
    let codes: Vec<&str> = found.iter().map(|one| one.code).collect();
    let of_class = codes.iter().filter(|code| lint::rule(code).is_some_and(|rule| rule.class == Class::Locks));
    let of_work: Vec<&&str> = of_class.clone().filter(|code| !OF_LOCKS.contains(code)).collect();
    if truth.works && of_class.clone().count() == 0 {
        wrong.push(format!("rows are read or written under a lock, and lint says {codes:?}"));
    }
    if !truth.works && !of_work.is_empty() {
        wrong.push(format!("nothing is read or written under a lock, and lint says {of_work:?}"));
    }
    let blocks = truth.locks.values().any(|mode| *mode >= LockMode::Share);
    let told = of_class.filter(|code| OF_LOCKS[..4].contains(code)).count() > 0;
    if told && !blocks {
        wrong.push(format!("no lock is in the way of anybody, and lint says {codes:?}"));
    }
    wrong
}

/// A database with the base, its description, and the major version of the server.
async fn ground() -> (Shadow, Described, u32) {
    let database = TestDatabase::create().await.unwrap();
    let address = Database::from(database.options());
    let mut shadow = Shadow::on(database, CodeMigrations::none()).await.unwrap();
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
        let subject = Subject { script, direction: Direction::Up, before: Some(&at), after: None, released: Some(&at) };
        let found = lint::judge(&subject, &Lint::default()).iter().any(|one| one.code == "unbatched-change");
        if found != all {
            wrong.push(format!("{line}: all rows {all}, found {found}"));
        }
    }
    shadow.end().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands inside of a block is found where it stands; what cannot be read is reported.
#[test]
fn what_a_block_does_is_found_at_its_place() {
    let text = "SELECT 1;\nDO $$\nBEGIN\n  IF true THEN\n    DROP TABLE t;\n  END IF;\n  EXECUTE 'ALTER TABLE t\n    DROP COLUMN n';\n  \
                EXECUTE made;\nEND\n$$;\n";
    let migration = migration(text);
    let script = migration.up_script().unwrap();
    let subject = Subject { script, direction: Direction::Up, before: None, after: None, released: None };
    let found = lint::judge(&subject, &Lint::default());
    let told: Vec<(&str, (usize, usize))> =
        found.iter().map(|one| (one.code, one.place.as_ref().unwrap().line_column().unwrap())).collect();
    assert!(told.contains(&("ban-drop-table", (5, 5))), "{told:?}");
    assert!(told.contains(&("ban-drop-column", (8, 5))), "{told:?}");
    assert!(told.contains(&("unread-statement", (9, 3))), "{told:?}");
}
