//! Common mistakes: each has a message with a code, a next step and an exit code, in text and in JSON, and
//! never a panic, the driver's own wording or a password.

use crate::support::{Project, SECRET};

/// Runs a command in both formats and checks exit code, finding code, a part of the message,
/// and that there is a next step.
#[track_caller]
fn check(project: &Project, arguments: &[&str], exit: i32, code: &str, part: &str) {
    let text = project.run_bare(arguments);
    assert_eq!(text.code, exit, "{text:?}");
    assert!(
        text.err.contains(&format!("[{code}]")) && text.err.contains(part) && text.err.contains("help: "),
        "{text:?}"
    );
    let json = project.run_bare(&[arguments, &["--format", "json"]].concat());
    assert_eq!(json.code, exit, "{json:?}");
    let finding = &json.json()["error"]["findings"][0];
    assert_eq!(finding["code"], code, "{json:?}");
    assert!(!finding["help"].as_array().unwrap().is_empty(), "{json:?}");
}

#[test]
fn a_wrong_address_is_explained() {
    let project = Project::new();
    let with = |url: &str| vec!["status".to_owned(), "--database".to_owned(), url.to_owned()];
    let host = project.database.url().split(['@', ':']).nth(2).unwrap().to_owned();
    for (url, exit, code, part) in [
        (format!("postgres://u:{SECRET}@127.0.0.1:1/d"), 1, "connection-refused", "127.0.0.1:1"),
        (format!("postgres://u:{SECRET}@%2Fnowhere/d"), 1, "connection-refused", "/nowhere"),
        (format!("postgres://u:{SECRET}@no.such.host.invalid/d"), 1, "connection", "no.such.host.invalid"),
        (format!("postgres://u:{SECRET}@h:port/d"), 2, "database-url", "not valid"),
        (format!("postgres://u:{SECRET}@h/d?sslmod=x"), 2, "database-url", "did you mean `sslmode`?"),
        (format!("postgres://postgres:{SECRET}@{host}/nope"), 1, "no-database", "nope"),
        (format!("postgres://nobody_here:{SECRET}@{host}/postgres"), 1, "not-let-in", "nobody_here"),
        ("env:NOT_SET_ANYWHERE".to_owned(), 2, "variable-unset", "NOT_SET_ANYWHERE"),
    ] {
        let arguments = with(&url);
        check(&project, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), exit, code, part);
    }
    check(&project, &["status", "--database", &format!("mysql://u:{SECRET}@h/d")], 2, "database-url", "not a database");
    project.end();
}

#[test]
fn a_wrong_configuration_is_pointed_at() {
    let project = Project::new();
    for (text, code, part) in [
        ("[environments.a]\nprotectd = true\n".to_owned(), "config", "migrate.toml:2:1"),
        (format!("[environments.a]\ndatabase = \"postgres://u:{SECRET}@h/d\nx"), "config", "migrate.toml:"),
        ("[environments.a]\nlock_timeout = 5\n".to_owned(), "config", "migrate.toml:2:16"),
        ("[environments.b]\n".to_owned(), "no-environment", "the environments are"),
    ] {
        project.write("migrate.toml", text);
        check(&project, &["status", "--env", "a"], 2, code, part);
    }
    check(&project, &["status", "--config", "nowhere.toml"], 2, "config-unreadable", "nowhere.toml");
    project.end();
}

/// What to do depends on what went wrong.
#[test]
fn the_help_fits_what_could_not_be_read() {
    let project = Project::new();
    check(
        &project,
        &["seed", "nowhere.sql", "--database", "env:TEST_DATABASE_URL", "--env", "development"],
        3,
        "seed-unreadable",
        "write this file",
    );
    project.write("migrate.toml", b"base = \"\xff\"\n");
    check(&project, &["status"], 2, "config-unreadable", "save it as UTF-8");
    std::fs::remove_file(project.path().join("migrate.toml")).unwrap();
    check(&project, &["status", "--config", "nowhere.toml"], 2, "config-unreadable", "check the path after --config");
    let file = project.write("file", "x").display().to_string();
    let status = ["status", "--database", "env:TEST_DATABASE_URL", "--migrations", &file];
    check(&project, &status, 3, "folder-unreadable", "pass the folder with --migrations DIR");
    assert!(!project.run_bare(&status).err.contains(" new NAME"));
    project.write("migrate.toml", "[environments.legacy]\ndatabase = \"env:TEST_DATABASE_URL\"\n");
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    check(&project, &["drift", "--env", "legacy"], 1, "no-ledger", "diff migrations env:legacy");
    for (arguments, part) in [
        (&["explain", "x\ny"][..], "there is no code x\\ny"),
        (&["status", "--env", "a\nb"], "there is no environment a\\nb"),
        (&["new", "a\nb"], "`\\n` cannot be part"),
        (&["consumers", "export", "", "--sql", "x"], "a consumer needs a name"),
    ] {
        let said = project.run_bare(arguments);
        assert!(said.code == 2 && said.err.contains(part), "{said:?}");
    }
    project.end();
}

#[test]
fn a_password_in_a_file_that_git_keeps_is_refused() {
    let project = Project::new();
    project.write("migrate.toml", format!("[environments.development]\ndatabase = \"{}\"\n", project.url()));
    project.run_bare(&["status"]).ok();
    for arguments in [&["init", "-q"][..], &["add", "migrate.toml"]] {
        assert!(
            std::process::Command::new("git").args(arguments).current_dir(project.path()).status().unwrap().success()
        );
    }
    check(&project, &["status"], 2, "password-in-git", "DEVELOPMENT_DATABASE_URL");
    // Nor does it stay unnoticed in another environment.
    project.write("migrate.toml", format!("[environments.staging]\ndatabase = \"{}\"\n", project.url()));
    project.migration(1, "one", "CREATE TABLE one ();", "DROP TABLE one;");
    for command in [&["check"][..], &["ci"], &["doctor"]] {
        let said = project.run_bare(command);
        assert!(said.code == 3 && (said.out + &said.err).contains("error[password-in-git]"), "{command:?}");
    }
    project.end();
}

#[test]
fn wrong_files_are_reported_together_and_nothing_runs() {
    let project = Project::new();
    project.migration(1, "good", "CREATE TABLE good ();", "DROP TABLE good;");
    project.migration(2, "bad", "BEGIN;\nSELECT 1;", "\\restrict x");
    project.write("migrations/typo.sql", "SELECT 1;");
    let said = project.run(&["migrate"]);
    assert_eq!(said.code, 3);
    for part in ["[transaction-control]", "_bad.up.sql:1:1", "[meta-command]", "[file-name]", "typo.sql", "3 problems"]
    {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    assert_eq!(project.query("SELECT to_regclass('good')"), ["NULL"]);
    project.end();
    let empty = Project::new();
    check(
        &empty,
        &["status", "--database", "env:TEST_DATABASE_URL", "--migrations", "nowhere"],
        3,
        "folder-unreadable",
        "nowhere",
    );
    for command in [&["derive"][..], &["derive", "20250101000001"]] {
        check(&empty, &[command, &["--migrations", "nowhere"]].concat(), 3, "folder-unreadable", "nowhere");
        check(&empty, command, 3, "no-migrations", "no migrations in migrations");
    }
    empty.end();
}

#[test]
fn sql_that_fails_is_shown_with_its_line_and_a_caret() {
    let project = Project::new();
    let lines: Vec<String> =
        (1..=12).map(|n| if n == 7 { "SELECT nothing FROM nowhere;".into() } else { format!("SELECT {n};") }).collect();
    project.migration(1, "bad", &lines.join("\n"), "SELECT 1;");
    let said = project.run(&["migrate"]);
    assert_eq!(said.code, 1);
    for part in
        ["_bad.up.sql:7:21", "7 | SELECT nothing FROM nowhere;", "^^^^^^^", "statement 7 of 12", "SQLSTATE 42P01"]
    {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    project.end();
}

#[test]
fn a_syntax_error_in_the_only_pending_migration_is_shown_like_any_other() {
    let project = Project::new();
    project.migration(1, "bad", "-- a\nSELECT 1;\nCREATE TABEL t ();\n", "SELECT 1;");
    project.write("seed.sql", "SELECT 'ü';\nSELEC 2;\n");
    let said = project.run(&["migrate"]);
    assert_eq!(said.code, 1);
    for part in ["_bad.up.sql:3:8", "3 | CREATE TABEL t ();", "^^^^^", "statement 2 of 2 of migration", "help: "] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    assert!(!said.err.contains("kept data"), "{said:?}");
    project.migration(1, "bad", "SELECT 1;", "SELECT 1;");
    project.run(&["migrate"]).ok();
    let said = project.run(&["seed", "seed.sql"]);
    assert!(said.code == 1 && said.err.contains("seed.sql:2:1"), "{said:?}");
    project.end();
}

#[test]
fn wrong_versions_and_arguments_are_refused() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a ();", "DROP TABLE a;");
    let database = ["--database", "env:TEST_DATABASE_URL"];
    check(
        &project,
        &[&["migrate", "--to", "20250101000002"][..], &database].concat(),
        3,
        "no-such-version",
        "did you mean 20250101000001?",
    );
    check(
        &project,
        &[&["rollback", "--to", "20250101000001"][..], &database].concat(),
        3,
        "not-applied",
        "not applied",
    );
    for arguments in
        [&["migrate", "--to", "x"][..], &["rollback", "--all", "-n", "1"], &["nothing"], &["status", "--dry-run"]]
    {
        assert_eq!(project.run_bare(arguments).code, 2, "{arguments:?}");
    }
    project.end();
}

#[test]
fn names_that_cannot_be_shown_are_refused_whatever_tool_the_folder_is_of() {
    use std::os::unix::ffi::OsStrExt;
    let project = Project::new();
    for (folder, odd, shown) in [
        ("sqlx", &b"0002_b\nc.up.sql"[..], "0002_b\\nc.up.sql"),
        ("control", b"0002_b\x1b[31m.up.sql", "0002_b\\x1b[31m.up.sql"),
        ("bytes", b"0002_b\xff.up.sql", "0002_b\\xff.up.sql"),
        ("bidi", "0002_\u{202e}lqs.pu.sql".as_bytes(), "0002_\\u{202e}lqs.pu.sql"),
        ("flyway", "V2__b\u{2066}.sql".as_bytes(), "V2__b\\u{2066}.sql"),
        ("ours", b"20250101000002_b\xff.up.sql", "20250101000002_b\\xff.up.sql"),
    ] {
        let path = project.path().join(folder);
        std::fs::create_dir(&path).unwrap();
        let plain = match folder {
            "flyway" => "V1__a.sql",
            "ours" => "20250101000001_a.up.sql",
            _ => "0001_a.up.sql",
        };
        for name in [plain.as_bytes(), odd] {
            std::fs::write(path.join(std::ffi::OsStr::from_bytes(name)), "SELECT 1;\n").unwrap();
        }
        let said = project.run(&["migrate", "--migrations", folder]);
        assert_eq!(said.code, 3, "{folder}: {said:?}");
        assert!(said.err.contains("[file-name]") && said.err.contains(shown), "{folder}: {said:?}");
        assert!(!said.err.contains(['\u{1b}', '\u{202e}', '\u{2066}', '\u{fffd}']), "{folder}: {said:?}");
    }
    assert_eq!(project.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'roundtrip'"), ["0"]);
    project.end();
}

#[test]
fn a_migration_is_not_named_by_a_number() {
    let project = Project::new();
    for (name, part) in
        [("2", "is a number"), ("20250101000000", "is a number"), ("a.sql", "cannot be part"), ("_", "needs a name")]
    {
        check(&project, &["new", name], 2, "name", part);
    }
    check(&project, &["new", &"x".repeat(300)], 2, "name", "at most");
    project.end();
}
