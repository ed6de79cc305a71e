//! Chains that another tool runs: proven by driving it, and written as SQL from what it sends.
//!
//! The tool of these tests is a shell script around psql; the real ones are in `tools`.

mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{ProgramOutput, Project, said};

const TOOL: &str = include_str!("tool.sh");

/// A migration: its name, what applies it, and what rolls it back.
type Step = (&'static str, &'static str, &'static str);

const ACCOUNTS: Step = (
    "20250101000001_accounts",
    "CREATE TABLE accounts (id int PRIMARY KEY, name text NOT NULL, balance numeric(8,2) NOT NULL);",
    "DROP TABLE accounts;",
);

/// Migrations after that one, each of which breaks another law, or none.
const STEPS: [Step; 8] = [
    ("20250101000002_good", "ALTER TABLE accounts ADD note text;", "ALTER TABLE accounts DROP note;"),
    ("20250101000002_leaves", "ALTER TABLE accounts ADD a int, ADD b int;", "ALTER TABLE accounts DROP a;"),
    (
        "20250101000002_loses",
        "ALTER TABLE accounts DROP name;",
        "ALTER TABLE accounts ADD name text NOT NULL DEFAULT ''; ALTER TABLE accounts ALTER name DROP DEFAULT;",
    ),
    ("20250101000002_down_fails", "ALTER TABLE accounts ADD a int;", "ALTER TABLE accounts DROP b;"),
    ("20250101000002_up_fails", "ALTER TABLE accounts ADD a intt;", "SELECT 1;"),
    (
        "20250101000002_adds_rows",
        "INSERT INTO accounts SELECT max(id) + 1, 'x', 0 FROM accounts HAVING count(*) BETWEEN 1 AND 1000000;",
        "SELECT 1;",
    ),
    (
        "20250101000002_not_again",
        "CREATE TABLE IF NOT EXISTS other (a int); CREATE SEQUENCE numbers;",
        "DROP TABLE other;",
    ),
    ("20250101000002_rows_refuse", "ALTER TABLE accounts ADD CHECK (balance < -1e5);", "SELECT 1;"),
];

/// A project whose chain the tool runs, with these migrations and these lines in `[engine]`.
fn driven(steps: &[Step], engine: &str) -> Project {
    let project = Project::new();
    fs::create_dir(project.path().join("steps")).unwrap();
    for (name, up, down) in steps {
        project.write(&format!("steps/{name}.up"), up);
        project.write(&format!("steps/{name}.down"), down);
    }
    project.write("tool.sh", TOOL);
    project.write("migrate.toml", format!("migrations = \"steps\"\n[engine]\n{engine}\n"));
    project
}

/// The sections that drive the tool: it lists its migrations, or they are found by applying them.
const LISTED: &str = "list = \"sh tool.sh list\"\nup = \"sh tool.sh up {revision}\"\ndown = \"sh tool.sh down\"\n\
                      ledger = \"versions\"\napplied = \"SELECT name FROM versions\"";
const STEPPED: &str = "up = \"sh tool.sh next\"\ndown = \"sh tool.sh down\"\nledger = \"versions\"\n\
                       applied = \"SELECT name FROM versions\"";

/// Whether there is psql, of which the tool is made.
fn has_psql() -> bool {
    let has = Command::new("psql").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("NOT TESTED: psql is not installed");
    }
    has
}

/// The verdict of each law for each migration, by its number.
fn verdicts(document: &Value) -> BTreeMap<String, Vec<String>> {
    let one = |migration: &Value| {
        let laws = migration["laws"].as_object().unwrap();
        let mut told: Vec<String> =
            laws.iter().map(|(law, found)| format!("{law} {}", found["verdict"].as_str().unwrap())).collect();
        told.extend(migration["failure"].as_object().map(|_| "fails".to_owned()));
        (migration["version"].as_str().unwrap().to_owned(), told)
    };
    document["migrations"].as_array().unwrap().iter().map(one).collect()
}

fn proven(project: &Project) -> Value {
    let output = project.run_bare(&["verify", "--all", "--format", "json"]);
    assert!([0, 3].contains(&output.code), "{output:?}");
    output.json()
}

/// Law: a tool that runs the same scripts gets the same verdicts, however its migrations are found.
#[test]
fn a_driven_chain_is_judged_as_the_same_scripts_are() {
    if !has_psql() {
        return;
    }
    for step in STEPS {
        let steps = [ACCOUNTS, step];
        let own = Project::new();
        for (name, up, down) in steps {
            own.write(&format!("migrations/{name}.up.sql"), up);
            own.write(&format!("migrations/{name}.down.sql"), down);
        }
        let expected = verdicts(&proven(&own));
        own.end();
        let project = driven(&steps, LISTED);
        assert_eq!(verdicts(&proven(&project)), expected, "{}", step.0);
        project.end();
    }
}

/// What is broken names the file of the tool, and its own message.
#[test]
fn a_finding_names_the_file_and_says_what_the_tool_said() {
    if !has_psql() {
        return;
    }
    let project = driven(&[ACCOUNTS, STEPS[3]], STEPPED);
    let output = project.run_bare(&["verify", "--all"]);
    let all = format!("{}{}", output.out, output.err);
    assert_eq!(output.code, 3, "{all}");
    for part in [
        "20250101000002_down_fails cannot be rolled back: `sh tool.sh down` ended with exit code",
        "--> steps/20250101000002_down_fails.up",
        "column \"b\" of relation \"accounts\" does not exist",
        "-- migrate: irreversible REASON",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    project.end();
    // What is declared in a comment of any language is no fault.
    let lossy = ("20250101000002_loses", "-- migrate: lossy names go\nALTER TABLE accounts DROP name;", STEPS[2].2);
    let project = driven(&[ACCOUNTS, lossy], LISTED);
    let laws = verdicts(&proven(&project));
    assert!(laws["20250101000002"].contains(&"data declared".to_owned()), "{laws:?}");
    project.end();
}

#[test]
fn an_engine_that_does_something_else_is_found_out() {
    if !has_psql() {
        return;
    }
    let engine = |up: &str, more: &str| {
        format!(
            "up = \"{up}\"\ndown = \"sh tool.sh down\"\nledger = \"versions\"\napplied = \"SELECT name FROM versions\"\n{more}"
        )
    };
    let list = "list = \"sh tool.sh list\"";
    let steps = [ACCOUNTS, STEPS[0]];
    for (up, more, code, said) in [
        ("true", list, "query", "or correct the query `applied`"),
        (
            "sh tool.sh next && sh tool.sh next",
            list,
            "engine-step",
            "this changed: 20250101000001_accounts, 20250101000002_good",
        ),
        ("sh tool.sh next && sh tool.sh next", "", "engine-step", "applied 2 migrations at once"),
        ("sh tool.sh list", "", "query", "have to use the database in DATABASE_URL"),
        ("sh tool.sh nothing", "", "engine-empty", "applied nothing in an empty database"),
        ("sh tool.sh next", "list = \"true\"", "engine-empty", "lists no migrations"),
        ("no-such-tool up", list, "engine-failed", "`no-such-tool up` ended with exit code 127"),
        (
            "sh tool.sh next",
            "list = \"no-such-tool\"",
            "engine-failed",
            "activate the environment in which the tool is installed",
        ),
        ("echo one; echo two >&2; exit 9", "", "engine-failed", "two"),
    ] {
        let project = driven(&steps, &engine(up, more));
        let output = project.run_bare(&["verify", "--all"]);
        let all = format!("{}{}", output.out, output.err);
        assert_ne!(output.code, 0, "{up}: {all}");
        assert!(all.contains(said), "{up} {more}: {all}");
        let json = project.run_bare(&["verify", "--all", "--format", "json"]).out;
        assert!(json.contains(code), "{code}: {json}");
        project.end();
    }
}

/// A tool may leave a process behind that keeps its output open: nobody waits for it.
#[test]
fn what_a_tool_leaves_running_is_not_waited_for() {
    if !has_psql() {
        return;
    }
    let up = "up = \"(setsid sleep 100 &) ; sh tool.sh up {revision}\"";
    let project = driven(&[ACCOUNTS], &LISTED.replace("up = \"sh tool.sh up {revision}\"", up));
    let begin = std::time::Instant::now();
    project.run_bare(&["verify", "--all"]).ok();
    assert!(begin.elapsed().as_secs() < 90);
    project.end();
}

/// An interrupt ends the tool with everything that it started, also while the chain is being found.
#[test]
fn an_interrupt_ends_the_tool() {
    for (list, code) in [("", 1), ("list = \"sh tool.sh list\"\n", 1)] {
        let up = "up = \"echo $$ > pid; exec sleep 300\"\n";
        let rest = "down = \"true\"\nledger = \"versions\"\napplied = \"SELECT 'x'::text WHERE false\"";
        let project = driven(&[ACCOUNTS], &format!("{list}{up}{rest}"));
        let mut child =
            project.command(&["verify", "--all"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = std::time::Instant::now();
        let pid = loop {
            let text = fs::read_to_string(project.path().join("pid")).unwrap_or_default();
            if let Ok(pid) = text.trim().parse::<i32>() {
                break rustix::process::Pid::from_raw(pid).unwrap();
            }
            assert!(begun.elapsed().as_secs() < 120, "the tool did not begin");
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        let ours = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(ours, rustix::process::Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{list}");
        assert!(rustix::process::test_kill_process(pid).is_err(), "the tool still runs");
        project.end();
    }
}

/// The tool gets the address of the shadow database, and nothing of ours that is secret.
#[test]
fn a_tool_gets_no_secret() {
    if !has_psql() {
        return;
    }
    let project = driven(
        &[ACCOUNTS],
        "list = \"env > seen; sh tool.sh list\"\nup = \"sh tool.sh next\"\nledger = \"versions\"\n\
         applied = \"SELECT name FROM versions\"\npass = [\"MY_KEY\"]",
    );
    let mut command = project.command(&["verify", "--all"]);
    for name in ["POETRY_PYPI_TOKEN_X", "BUNDLE_GITHUB__COM", "GEM_HOST_API_KEY", "MISE_GITHUB_TOKEN", "HTTPS_PROXY"] {
        command.env(name, "kept");
    }
    command.env("MY_KEY", "passed").env("OTHER_KEY", "kept").env("DATABASE_URL", project.url()).env("PGPASSWORD", "x");
    // Without `down`, nothing is rolled back, and that is not a success.
    assert_eq!(said(command.output().unwrap()).code, 3);
    let seen = fs::read_to_string(project.path().join("seen")).unwrap();
    assert!(seen.contains("MY_KEY=passed") && !seen.contains("=kept"), "{seen}");
    assert!(!seen.contains(crate::support::SECRET) && !seen.contains("PGPASSWORD=x"), "{seen}");
    let line = seen.lines().find(|line| line.starts_with("DATABASE_URL=")).unwrap();
    assert!(!line.contains(project.database.name()), "{line}");
    project.end();
}

/// Commands that would run the migrations, or read them as SQL, say who runs them.
#[test]
fn what_only_the_tool_may_do_is_left_to_it() {
    let project = driven(&[ACCOUNTS], LISTED);
    for command in [
        &["migrate"][..],
        &["rollback"],
        &["status"],
        &["new", "x"],
        &["lint"],
        &["check"],
        &["derive"],
        &["squash", "--to", "1"],
        &["adopt"],
        &["adopt", "--convert"],
        &["drift"],
    ] {
        let output = project.run(command);
        let all = format!("{}{}", output.out, output.err);
        assert_eq!(output.code, 2, "{command:?}: {all}");
        assert!(
            all.contains("error[engine-runs]: the engine runs the migrations of this project"),
            "{command:?}: {all}"
        );
    }
    let none = Project::new();
    let output = none.run(&["adopt", "--capture", "sql"]);
    assert!(output.code == 2 && output.err.contains("error[no-engine]"), "{output:?}");
    none.end();
    project.end();
}

/// `ci` proves what is new on the branch, and says what it cannot look at.
#[test]
fn ci_proves_the_new_migrations_of_the_tool() {
    if !has_psql() {
        return;
    }
    let project = driven(&[ACCOUNTS], LISTED);
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
        let output = Command::new("git").args(identity).args(arguments).current_dir(project.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    git(&["switch", "-qc", "more"]);
    let (name, up, down) = STEPS[1];
    project.write(&format!("steps/{name}.up"), up);
    project.write(&format!("steps/{name}.down"), down);
    let output = project.run_bare(&["ci", "--base", "main"]);
    let all = format!("{}{}", output.out, output.err);
    assert_eq!(output.code, 3, "{all}");
    for part in [
        "2 migrations, 1 new",
        "0 of 1 new migration proven",
        "law-identity",
        "the engine runs the migrations, so there is no SQL",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    project.write(&format!("steps/{name}.down"), "ALTER TABLE accounts DROP a, DROP b;");
    project.run_bare(&["ci", "--base", "main"]).ok();
    // What is released must not change: neither of its two files, and it must not go.
    for (file, change, code) in [
        ("steps/20250101000001_accounts.up", "CREATE TABLE accounts (id int PRIMARY KEY);", "migration-edited"),
        ("steps/20250101000001_accounts.down", "DROP TABLE accounts CASCADE;", "migration-edited"),
    ] {
        let before = fs::read_to_string(project.path().join(file)).unwrap();
        project.write(file, change);
        let output = project.run_bare(&["ci", "--base", "main"]);
        assert!(output.code == 3 && output.out.contains(code), "{output:?}");
        project.write(file, before);
    }
    fs::remove_file(project.path().join("steps/20250101000001_accounts.down")).unwrap();
    let output = project.run_bare(&["ci", "--base", "main"]);
    assert!(output.code == 3 && output.out.contains("migration-removed"), "{output:?}");
    project.end();
}

/// The files of a captured chain, without what they came from.
fn captured(project: &Project) -> BTreeMap<String, String> {
    let files = fs::read_dir(project.path().join("sql")).unwrap().map(|entry| entry.unwrap());
    let text = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        let heads = ["-- From ", "-- It was ", "-- migrate: captured"];
        let lines = text.lines().filter(|line| !heads.iter().any(|head| line.starts_with(head)));
        (entry.file_name().to_string_lossy().into_owned(), lines.collect::<Vec<_>>().join("\n"))
    };
    files.map(text).collect()
}

fn capture(project: &Project) -> ProgramOutput {
    project.run_bare(&["adopt", "--capture", "sql"])
}

/// Law: what is captured is what was sent, without what the tool does for itself.
#[test]
fn a_captured_chain_has_the_statements_of_the_tool() {
    if !has_psql() {
        return;
    }
    let rolled_back = (
        "20250101000003_partly",
        "CREATE TABLE kinds (id int, name text);\nINSERT INTO kinds VALUES (1, 'it''s -- here');\nSAVEPOINT a;\n\
         DROP TABLE accounts;\nROLLBACK TO a;\nCOMMENT ON TABLE accounts IS 'a; b';",
        "COMMENT ON TABLE accounts IS NULL;\nDROP TABLE kinds;",
    );
    let project =
        driven(&[ACCOUNTS, STEPS[0], rolled_back, ("20250101000004_leaves", STEPS[1].1, STEPS[1].2)], STEPPED);
    let output = capture(&project).ok();
    assert!(output.out.contains("captured 4 migrations of the engine, proven to make the same"), "{output:?}");
    assert!(output.out.contains("its rollback leaves the schema different"), "{output:?}");
    let files = captured(&project);
    let is = |name: &str, text: &str| assert_eq!(files[name], text, "{name}");
    is("20250101000001_accounts.up.sql", ACCOUNTS.1);
    is("20250101000001_accounts.down.sql", ACCOUNTS.2);
    is("20250101000002_good.down.sql", STEPS[0].2);
    let partly = "CREATE TABLE kinds (id int, name text);\nINSERT INTO kinds VALUES (1, 'it''s -- here');\n\
                  COMMENT ON TABLE accounts IS 'a; b';";
    is("20250101000003_partly.up.sql", partly);
    // The tool's own rollback does not restore the schema, so it is derived.
    assert!(files["20250101000004_leaves.down.sql"].contains("DROP COLUMN b"), "{files:?}");
    // A folder that has files is not mixed with others.
    let again = capture(&project);
    assert!(again.code == 2 && again.err.contains("sql has files already"), "{again:?}");
    // Then Roundtrip runs it, and the ledger of the tool says what is applied.
    project.write("migrate.toml", "migrations = \"sql\"\n");
    project.run_bare(&["verify", "--all"]).ok();
    project.end();
}

/// A value that is different each time is in no script either, and nothing is written.
#[test]
fn what_cannot_be_repeated_is_not_captured() {
    if !has_psql() {
        return;
    }
    let random = (
        "20250101000002_random",
        "CREATE TABLE kinds (id int, name text); INSERT INTO kinds VALUES (1, md5(random()::text));",
        "DROP TABLE kinds;",
    );
    let project = driven(&[ACCOUNTS, random], LISTED);
    let output = capture(&project);
    assert!(output.code != 0 && output.err.contains("error[capture-differs]"), "{output:?}");
    assert!(output.err.contains("--> steps/20250101000002_random.up"), "{output:?}");
    assert!(!project.path().join("sql").exists());
    project.end();
}

/// What a migration computes from rows is in no script, and that is reported.
#[test]
fn what_is_computed_in_code_is_told() {
    if !has_psql() {
        return;
    }
    // The second part of the script asks for the rows, and sends a statement for each of them.
    let computes = (
        "20250101000002_computes",
        "ALTER TABLE accounts ADD cents bigint;\n\
         SELECT format('UPDATE accounts SET cents = %s WHERE id = %s;', (balance * 100)::bigint, id) FROM accounts\n\\gexec\n",
        "ALTER TABLE accounts DROP cents;",
    );
    let project = driven(&[ACCOUNTS, computes], LISTED);
    let output = capture(&project).ok();
    assert!(output.out.contains("computes rows in code") && output.out.contains("not complete:"), "{output:?}");
    let files = captured(&project);
    let up = &files["20250101000002_computes.up.sql"];
    assert!(up.contains("-- NOT COMPLETE:") && up.contains("--   UPDATE accounts SET cents = "), "{up}");
    assert!(up.ends_with("ALTER TABLE accounts ADD cents bigint;"), "{up}");
    project.end();
}

/// A tool with branches records the newest migration of each: what is on no branch that it names was not applied.
#[test]
fn a_branch_that_was_not_applied_is_not_adopted() {
    let project = Project::new();
    for (number, key, after) in
        [(1, "aaaa", ""), (2, "bbbb", ""), (3, "cccc", " after aaaa"), (4, "dddd", " after bbbb, cccc")]
    {
        let up = format!("-- migrate: captured alembic {key}{after}\nCREATE TABLE t_{key} (a int);\n");
        project.migration(number, "x", &up, &format!("DROP TABLE t_{key};\n"));
    }
    project.query(
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('cccc'); \
         CREATE TABLE t_aaaa (a int); CREATE TABLE t_cccc (a int)",
    );
    let gap = project.run(&["adopt", "--yes"]);
    assert!(gap.code == 3 && gap.err.contains("error[other-ledger-gap]"), "{gap:?}");
    project.query("CREATE TABLE t_bbbb (a int); INSERT INTO alembic_version VALUES ('bbbb')");
    project.run(&["adopt", "--yes"]).ok();
    let status = project.run(&["status"]).ok().out;
    assert!(status.contains("3 applied, 1 pending, 0 problems"), "{status}");
    project.end();
}

/// Without `[engine]` any more, a chain that was captured takes over the ledger of the tool.
#[test]
fn a_captured_chain_knows_the_ledger_of_its_tool() {
    let project = Project::new();
    for (number, key, up, down) in [
        (1, "1975ea83b712", "CREATE TABLE a (b int);", "DROP TABLE a;"),
        (2, "27c6a30d7c24", "ALTER TABLE a ADD c int;", "ALTER TABLE a DROP c;"),
        (3, "33c6a30d7c24", "ALTER TABLE a ADD d int;", "ALTER TABLE a DROP d;"),
    ] {
        project.migration(number, "x", &format!("-- migrate: captured alembic {key}\n{up}\n"), down);
    }
    let ledger = "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)";
    let steps =
        format!("{ledger}; INSERT INTO alembic_version VALUES ('27c6a30d7c24'); CREATE TABLE a (b int, c int);");
    project.query(&steps);
    project.run(&["adopt", "--yes"]).ok();
    let status = |expected: &str| {
        let output = project.run(&["status"]);
        assert!(output.out.contains(expected), "{output:?}");
        output
    };
    status("2 applied, 1 pending, 0 problems");
    // The tool goes on, to a revision that is known, and then to one that is not.
    project.query("ALTER TABLE a ADD d int; UPDATE alembic_version SET version_num = '33c6a30d7c24'");
    assert!(status("2 applied, 1 pending, 1 problem").err.contains("alembic applied more migrations"));
    project.run(&["adopt", "--yes"]).ok();
    status("3 applied, 0 pending, 0 problems");
    project.query("UPDATE alembic_version SET version_num = 'ffffffffffff'");
    let unknown = status("1 problem");
    assert!(unknown.err.contains("applied more") && !unknown.err.contains("rolled back"), "{unknown:?}");
    // And back: the older ones are still there.
    project.query("ALTER TABLE a DROP d; UPDATE alembic_version SET version_num = '27c6a30d7c24'");
    assert!(
        status("1 problem").err.contains("alembic rolled back migrations after its ledger was adopted: 20250101000003")
    );
    project.run(&["adopt", "--yes"]).ok();
    status("2 applied, 1 pending, 0 problems");
    project.end();
}
