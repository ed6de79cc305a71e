//! Up, down and up again: the resulting objects, the ledger, and what was not touched.

use migrate_base::ident::QualifiedName;
use migrate_core::{
    CodeMigrations, Database, DownFrom, ErrorKind, Migration, MigrationSet, Migrator, Options, RunPolicy, Target,
};
use migrate_test::TestDatabase;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{ChainFolder, column, connect, events, execute, listening, migrator, quick, version};

fn three() -> ChainFolder {
    ChainFolder::new(&[
        (1, "a", "CREATE TABLE a (id int);", "DROP TABLE a;"),
        (2, "b", "CREATE TABLE b (id int); -- a comment at the end;", "DROP TABLE b;"),
        (3, "c", "CREATE VIEW c AS SELECT * FROM a;", "DROP VIEW c;"),
    ])
}

#[tokio::test]
async fn a_chain_goes_up_down_and_up_again() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    let chain = three();
    let mut runner = migrator(&database, &chain, quick()).await;
    let up = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    assert_eq!(up.done.iter().map(|done| done.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    runner.run(&Target::Down(2), RunPolicy::default()).await.unwrap();
    runner.run(&Target::UpTo(version(2)), RunPolicy::default()).await.unwrap();
    runner.run(&Target::DownTo(version(1)), RunPolicy::default()).await.unwrap();
    runner.run(&Target::Up(1), RunPolicy::default()).await.unwrap();
    runner.run(&Target::Zero, RunPolicy::default()).await.unwrap();
    let expected = [
        "applied 1",
        "applied 2",
        "applied 3",
        "rolled_back 3",
        "rolled_back 2",
        "applied 2",
        "rolled_back 2",
        "applied 2",
        "rolled_back 2",
        "rolled_back 1",
    ];
    assert_eq!(events(&mut db).await, expected);
    let left = column(&mut db, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace").await;
    assert_eq!(left, Vec::<String>::new());
    database.drop_now().await.unwrap();
}

/// The state does not depend on the path: after any walk it is the one that the last move requested.
#[test]
fn any_walk_ends_where_its_last_move_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(TestDatabase::create()).unwrap();
    let chain = three();
    let moves = prop::collection::vec(0u64..=3, 1..8);
    let mut walks = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let outcome = walks.run(&moves, |moves| {
        runtime.block_on(async {
            let mut runner = migrator(&database, &chain, quick()).await;
            for to in moves {
                let now = runner.state().await.unwrap().version().cloned();
                let target = match now {
                    _ if to == 0 => Target::Zero,
                    Some(now) if version(to) < now => Target::DownTo(version(to)),
                    _ => Target::UpTo(version(to)),
                };
                runner.run(&target, RunPolicy::default()).await.unwrap();
                let state = runner.state().await.unwrap();
                prop_assert_eq!(state.applied().count() as u64, to);
                let mut db = connect(&database).await;
                let tables = column(&mut db, "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace ORDER BY 1").await;
                prop_assert_eq!(tables, ["a", "b", "c"][..to as usize].to_vec());
            }
            Ok(())
        })
    });
    outcome.unwrap();
    runtime.block_on(database.drop_now()).unwrap();
}

#[tokio::test]
async fn nothing_pending_writes_nothing_and_takes_no_lock() {
    let database = TestDatabase::create().await.unwrap();
    let chain = three();
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let before = runner.state().await.unwrap();
    // With the lock taken, a run that requested it would fail after its timeout.
    let mut holder = connect(&database).await;
    execute(&mut holder, "SELECT pg_advisory_lock(6640134922425552076)").await;
    let again = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    assert!(again.done.is_empty());
    assert_eq!(runner.state().await.unwrap(), before);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn looking_writes_nothing_where_there_is_no_ledger() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    execute(&mut db, "DROP ROLE IF EXISTS rt_reader; CREATE ROLE rt_reader LOGIN").await;
    let options = database.options().username("rt_reader");
    let mut reader = Migrator::open(Database::from(options), three().set(), Default::default(), quick()).await.unwrap();
    let status = reader.status().await.unwrap();
    assert_eq!((status.applied.len(), status.pending.len(), status.has_ledger), (0, 3, false));
    assert!(reader.history().await.unwrap().is_empty());
    assert_eq!(reader.plan(&Target::Latest, RunPolicy::default()).await.unwrap().steps().len(), 3);
    assert_eq!(
        column(&mut db, "SELECT nspname FROM pg_namespace WHERE nspname = 'roundtrip'").await,
        Vec::<String>::new()
    );

    migrator(&database, &three(), quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let refused = reader.status().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Ledger);
    assert!(refused.findings()[0].help.iter().any(|help| help.contains("GRANT SELECT")), "{refused}");
    execute(&mut db, "GRANT USAGE ON SCHEMA roundtrip TO rt_reader; GRANT SELECT ON roundtrip.ledger TO rt_reader")
        .await;
    assert_eq!(reader.status().await.unwrap().applied.len(), 3);
    reader.close().await;
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_older_checkout_rolls_back_what_a_newer_one_applied() {
    let database = TestDatabase::create().await.unwrap();
    let chain = three();
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    chain.remove(3, "c");
    let mut older = migrator(&database, &chain, quick()).await;
    let missing = older.plan(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!(missing.findings()[0].code.as_str(), "missing-file");
    let report = older.run(&Target::Down(1), RunPolicy::default()).await.unwrap();
    assert_eq!(report.done[0].name, "c");
    assert_eq!(older.status().await.unwrap().problems.len(), 0);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_edited_down_runs_only_when_it_is_asked_for() {
    let database = TestDatabase::create().await.unwrap();
    let chain = three();
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    chain.write(3, "c", "CREATE VIEW c AS SELECT * FROM a;", "DROP VIEW c; CREATE TABLE edited ();");
    let mut runner = migrator(&database, &chain, quick()).await;
    let plan = runner.plan(&Target::Down(1), RunPolicy::default()).await.unwrap();
    assert_eq!(plan.warnings()[0].code.as_str(), "modified-down");
    runner.apply(&plan).await.unwrap();
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let mut db = connect(&database).await;
    assert_eq!(column(&mut db, "SELECT to_regclass('edited')").await, ["NULL"]);
    chain.write(3, "c", "CREATE VIEW c AS SELECT * FROM a;", "DROP VIEW c; CREATE TABLE asked_for ();");
    let mut runner = migrator(&database, &chain, quick()).await;
    let files = RunPolicy { down_from: DownFrom::Files, ..RunPolicy::default() };
    runner.run(&Target::Down(1), files).await.unwrap();
    assert_eq!(column(&mut db, "SELECT to_regclass('asked_for')").await, ["asked_for"]);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn obstacles_are_reported_all_at_once() {
    let database = TestDatabase::create().await.unwrap();
    let chain = three();
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    chain.write(1, "a", "CREATE TABLE a (id bigint);", "DROP TABLE a;");
    chain.remove(2, "b");
    chain.write(0, "late", "CREATE TABLE late ();", "DROP TABLE late;");
    let mut runner = migrator(&database, &chain, quick()).await;
    let error = runner.plan(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    let codes: Vec<_> = error.findings().iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["modified", "missing-file", "out-of-order"]);
    assert!(
        error.findings()[0]
            .message
            .starts_with("Migration file was modified after being applied. Create a new migration instead.")
    );
    assert!(error.findings()[2].notes[0].contains("_c.up.sql"), "{error}");
    let status = runner.status().await.unwrap();
    assert!(status.applied[0].modified && status.applied[1].missing && status.pending[0].out_of_order);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn out_of_order_runs_when_it_is_allowed() {
    let database = TestDatabase::create().await.unwrap();
    let chain = three();
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    chain.write(0, "late", "CREATE TABLE late ();", "DROP TABLE late;");
    let mut runner = migrator(&database, &chain, quick()).await;
    let allowed = RunPolicy { allow_out_of_order: true, ..RunPolicy::default() };
    runner.run(&Target::Latest, allowed).await.unwrap();
    // The migration that was applied last is rolled back first, whatever its version.
    let report = runner.run(&Target::Down(1), RunPolicy::default()).await.unwrap();
    assert_eq!(report.done[0].name, "late");
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn crlf_and_lf_checkouts_are_one_chain() {
    let database = TestDatabase::create().await.unwrap();
    let body = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\nSELECT 'a'\n$$;\n";
    let lf = ChainFolder::new(&[(1, "f", body, "DROP FUNCTION f();\n")]);
    let crlf = ChainFolder::new(&[(1, "f", &body.replace('\n', "\r\n"), "\u{feff}DROP FUNCTION f();\r\n")]);
    migrator(&database, &crlf, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let mut db = connect(&database).await;
    assert_eq!(column(&mut db, "SELECT prosrc FROM pg_proc WHERE proname = 'f'").await, ["\nSELECT 'a'\n"]);
    let status = migrator(&database, &lf, quick()).await.status().await.unwrap();
    assert_eq!((status.applied.len(), status.problems.len()), (1, 0));
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_application_can_ask_for_a_version() {
    let database = TestDatabase::create().await.unwrap();
    let ask = async |number| {
        let address = Database::from(database.options());
        Migrator::ensure_at_least(address, &version(number), &Options::default()).await.err().map(|error| error.kind())
    };
    assert_eq!(ask(2).await, Some(ErrorKind::Behind));
    migrator(&database, &three(), quick()).await.run(&Target::Up(2), RunPolicy::default()).await.unwrap();
    assert_eq!(ask(2).await, None);
    assert_eq!(ask(3).await, Some(ErrorKind::Behind));
    // Another ledger is another history; the options of the driver are also accepted as an address.
    let other = Options { ledger: QualifiedName::new("svc", "ledger"), ..Options::default() };
    let error = Migrator::ensure_at_least(database.options(), &version(1), &other).await.unwrap_err();
    assert!(error.findings()[0].notes[0].contains("svc.ledger"), "{error:?}");
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_older_program_runs_on_a_newer_database_where_its_policy_says_so() {
    let (database, chain) = (TestDatabase::create().await.unwrap(), three());
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    chain.remove(3, "c");
    chain.remove(2, "b");
    let codes = async |policy| {
        let outcome = migrator(&database, &chain, quick()).await.run(&Target::Latest, policy).await;
        outcome.err().map(|error| error.findings().iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>())
    };
    let newer = RunPolicy { allow_newer: true, ..RunPolicy::default() };
    assert_eq!(codes(RunPolicy::default()).await, Some(vec!["missing-file"]));
    assert_eq!(codes(newer).await, None);
    let (ear, options) = listening();
    migrator(&database, &chain, options).await.run(&Target::Latest, newer).await.unwrap();
    assert!(ear.heard().iter().any(|heard| heard.contains("2 migrations newer")), "{:?}", ear.heard());
    chain.write(3, "c", "CREATE VIEW c AS SELECT * FROM a;", "DROP VIEW c;");
    assert_eq!(codes(newer).await, Some(vec!["missing-file"]), "a hole is no newer database");
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_set_without_migrations_is_an_error_unless_it_is_allowed() {
    let (database, chain) = (TestDatabase::create().await.unwrap(), ChainFolder::new(&[]));
    let run = async |policy| migrator(&database, &chain, quick()).await.run(&Target::Latest, policy).await;
    let error = run(RunPolicy::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.findings()[0].code.as_str()), (ErrorKind::Plan, "no-migrations"));
    run(RunPolicy { allow_empty: true, ..RunPolicy::default() }).await.unwrap();
    let address = Database::from(database.options());
    let embedded = MigrationSet::embedded(&[]).unwrap();
    let mut migrator = Migrator::open(address, embedded, CodeMigrations::none(), quick()).await.unwrap();
    let error = migrator.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!(error.findings()[0].message, "this program has no migrations");
    migrator.close().await;
    database.drop_now().await.unwrap();
}

/// A target given as a number of migrations never includes migrations that were only recorded; a version and
/// "all" do.
#[tokio::test]
async fn a_number_of_migrations_does_not_reach_what_was_never_run() {
    let (database, chain) = (TestDatabase::create().await.unwrap(), three());
    execute(&mut connect(&database).await, "CREATE TABLE a (id int); CREATE TABLE b (id int);").await;
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.adopt(&version(2), "it was here before").await.unwrap();
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let refused = runner.run(&Target::Down(2), RunPolicy::default()).await.unwrap_err();
    assert_eq!(refused.findings()[0].code.as_str(), "never-run");
    assert_eq!(runner.run(&Target::Down(1), RunPolicy::default()).await.unwrap().done.len(), 1);
    let plan = runner.plan(&Target::DownTo(version(1)), RunPolicy::default()).await.unwrap();
    assert_eq!((plan.never_run(), plan.warnings()[0].code.as_str()), (&[version(2)][..], "never-run"));
    assert_eq!(runner.run(&Target::Zero, RunPolicy::default()).await.unwrap().done.len(), 2);
    // Migrations that were run here afterwards are rolled back as usual.
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    assert_eq!(runner.run(&Target::Down(3), RunPolicy::default()).await.unwrap().done.len(), 3);
    runner.close().await;
    database.drop_now().await.unwrap();
}

#[test]
fn an_embedded_chain_is_the_chain_of_its_folder() {
    let tell = |set: &MigrationSet| -> Vec<String> {
        let down = |m: &Migration| m.down_script().map(|script| script.checksum().to_string());
        set.iter().map(|m| format!("{} {} {} {:?}", m.version(), m.name(), m.up_checksum(), down(m))).collect()
    };
    let chain = three();
    let mut files: Vec<(&'static str, &'static [u8])> = Vec::new();
    for entry in std::fs::read_dir(chain.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        files.push((name.leak(), std::fs::read(&path).unwrap().leak()));
    }
    assert_eq!(tell(&MigrationSet::embedded(&files).unwrap()), tell(&chain.set()));
    let (name, _) = files.pop().unwrap();
    let error = MigrationSet::embedded(&files).unwrap_err();
    assert!(error.findings()[0].code.as_str().ends_with("-missing"), "{name}: {error}");
}

/// A package that embeds migrations is rebuilt when a migration is added, changed or removed.
#[test]
fn what_is_embedded_follows_the_folder() {
    let package = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = package.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let embed = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrate-embed");
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = 'p'\nedition = '2024'\n[build-dependencies]\nmigrate-embed = {{ package = 'roundtrip-embed', path = {embed:?} }}\n[workspace]\n"
        ),
    );
    write("build.rs", "fn main() { migrate_embed::folder(\"m\"); }");
    write(
        "src/main.rs",
        "fn main() { let files: &[(&str, &[u8])] = include!(concat!(env!(\"OUT_DIR\"), \"/embedded_migrations.rs\")); for (name, bytes) in files { println!(\"{name} {}\", bytes.len()); } }",
    );
    let run = || {
        let cargo = std::process::Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--offline"])
            .current_dir(package.path())
            .output()
            .unwrap();
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        String::from_utf8(cargo.stdout).unwrap()
    };
    write("m/1_a.up.sql", "a");
    assert_eq!(run(), "1_a.up.sql 1\n");
    // Cargo compares modification times, and a file system may store only whole seconds.
    let later = || std::thread::sleep(std::time::Duration::from_millis(1100));
    later();
    write("m/2_b.up.sql", "bb");
    assert_eq!(run(), "1_a.up.sql 1\n2_b.up.sql 2\n");
    later();
    write("m/1_a.up.sql", "aaaa");
    assert_eq!(run(), "1_a.up.sql 4\n2_b.up.sql 2\n");
    later();
    std::fs::remove_file(package.path().join("m/1_a.up.sql")).unwrap();
    assert_eq!(run(), "2_b.up.sql 2\n");
}
