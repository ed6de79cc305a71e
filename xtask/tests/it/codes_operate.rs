//! The codes of commands for environments: what is not there, not meant or not reachable is refused, and neither the
//! database nor its ledger is changed.

use std::process::{Command, Stdio};

use migrate_base::codes;

use crate::codes::{ProjectState, all_found, answered, failed, help, refused, refused_by};
use crate::support::{Project, said};

/// A project with two migrations, the first of which is applied.
fn project() -> Project {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    project.run(&["migrate"]).ok();
    project.migration(2, "b", "CREATE TABLE b (id int);\n", "DROP TABLE b;\n");
    project.migration(3, "c", "CREATE TABLE c (id int);\n", "DROP TABLE c;\n");
    project
}

/// Whatever is typed that is not the name of the environment means no.
#[test]
fn only_the_name_of_the_environment_confirms() {
    let project = project();
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n");
    let ask = |answer: &str| {
        let command = project.command(&["migrate", "--env", "live", "--color", "never"]);
        answered(command, "Type live to continue: ", || {}, answer)
    };
    for answer in ["", "y", "yes", "Live", "live!", "development"] {
        let before = ProjectState::of(&project);
        let (code, shown) = ask(answer);
        assert!(code == 2 && shown.contains("error[not-confirmed]"), "{answer:?}: {shown}");
        assert_eq!(ProjectState::of(&project), before, "{answer:?}");
    }
    let (code, shown) = ask("live");
    assert!(code == 0 && shown.contains("2 migrations applied"), "{shown}");
    project.end();
}

#[test]
fn a_baseline_is_recorded_only_in_an_empty_ledger() {
    let project = project();
    let finding = refused(&project, &["baseline", "--mark", "--to", "20250101000001"], (3, "already-applied", ""));
    assert!(finding["message"].as_str().unwrap().contains("20250101000001"), "{finding:#}");
    project.end();
}

#[test]
fn only_pending_migrations_are_marked_and_in_their_order() {
    let project = project();
    project.query("CREATE TABLE c (id int)");
    let mark = |versions: &str, code: &str| refused(&project, &["drift", "--mark", versions], (2, code, ""));
    for versions in ["20250101000001", "20250101000009", "20250101000002,20250101000001"] {
        assert!(help(&mark(versions, "not-pending")).contains("status"), "{versions}");
    }
    let finding = mark("20250101000003", "mark-order");
    assert!(help(&finding).contains("--to 20250101000002"), "{finding:#}");
    project.query("CREATE TABLE b (id int)");
    project.run(&["drift", "--mark", "20250101000003,20250101000002"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM roundtrip.ledger WHERE event = 'baselined'"), ["2"]);
    project.end();
}

#[test]
fn data_that_nobody_kept_is_not_restored() {
    let project = project();
    let refuse = || {
        let finding = refused(&project, &["kept", "restore", "20250101000001"], (3, "nothing-kept", ""));
        assert!(help(&finding).contains("cargo xtask kept"), "{finding:#}");
    };
    refuse();
    // What was kept and is purged is not there any more.
    project.query("INSERT INTO a VALUES (1)");
    project.run(&["rollback", "--keep-data"]).ok();
    project.run(&["kept", "purge", "--all"]).ok();
    project.run(&["migrate"]).ok();
    refuse();
    assert_eq!(project.query("SELECT count(*) FROM a"), ["0"]);
    project.end();
}

#[test]
fn an_audit_that_something_depends_on_goes_on() {
    let project = project();
    project.run(&["audit", "install"]).ok();
    let table =
        "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND obj_description(oid) ~ '^Every DDL command'";
    let table = project.query(table).remove(0);
    project.query(&format!("CREATE VIEW seen AS SELECT * FROM {table}"));
    let triggers = || project.query("SELECT evtname || evtenabled::text FROM pg_event_trigger ORDER BY 1");
    let before = triggers();
    let finding = refused(&project, &["audit", "uninstall", "--purge"], (1, "audit-failed", ""));
    assert!(finding["notes"].to_string().contains("view public.seen"), "{finding:#}");
    assert!(!before.is_empty() && triggers() == before, "{before:?}");
    project.query("DROP VIEW seen");
    project.run(&["audit", "uninstall", "--purge"]).ok();
    assert_eq!(triggers(), Vec::<String>::new());
    project.end();
}

#[test]
fn nobody_is_told_where_nobody_is_named() {
    let project = project();
    let no_hook = |more: &[&str]| refused(&project, &[&["notify", "test"][..], more].concat(), (2, "no-hook", ""));
    assert!(help(&no_hook(&[])).contains("[notify.NAME]"));
    assert!(help(&no_hook(&["team"])).contains("docs/FORMATS.md"));
    let team = "[environments.development]\n[notify.team]\nslack = \"env:HOOK\"\n";
    project.write("migrate.toml", team);
    // Only protected environments have messages, unless a webhook names others.
    no_hook(&[]);
    assert!(help(&no_hook(&["tema"])).contains("the webhooks are team"));
    project.end();
}

/// The address is as secret as a password: it is not shown, and nothing is sent to it.
#[test]
fn an_address_that_cannot_be_used_is_not_shown() {
    let project = project();
    let secret = "T0KEN-of-the-channel";
    for (address, authorization, why) in [
        (format!("https://[{secret}"), "", "not a URL"),
        (format!("ftp://host.invalid/{secret}"), "", "https://"),
        (secret.to_owned(), "", "https://"),
        (format!("http://host.invalid/{secret}"), "authorization = \"env:HOOK\"\n", "unencrypted"),
    ] {
        let live = "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n";
        project.write("migrate.toml", format!("{live}[notify.team]\nurl = \"env:HOOK\"\n{authorization}"));
        let run = |arguments: &[&str]| {
            let mut command = project.command(&[arguments, &["--env", "live"]].concat());
            let said = said(command.env("HOOK", &address).output().unwrap());
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "the address was shown: {said:?}");
            said
        };
        let test = run(&["notify", "test", "--format", "json"]);
        let hook = test.json()["hooks"][0].clone();
        let answer = hook["answer"].as_str().unwrap();
        assert!(answer.contains("[hook-address]") && answer.contains(why), "{test:?}");
        assert_eq!((test.code, hook["taken"].as_bool()), (1, Some(false)), "{test:?}");
        // A run does not depend on it.
        let redone = run(&["redo", "--yes"]).ok();
        assert!(
            redone.err.contains("team could not be notified") && redone.err.contains("[hook-address]"),
            "{redone:?}"
        );
    }
    project.end();
}

#[test]
fn a_server_of_somebody_else_is_not_started_or_stopped() {
    let project = project();
    for command in [&["up"][..], &["down"], &["down", "--destroy"], &["status"]] {
        let finding = refused(&project, &[&["db"], command].concat(), (2, "not-managed", ""));
        assert!(help(&finding).contains("auto"), "{finding:#}");
    }
    project.end();
}

/// A role that may log in, but not here, or not now.
#[test]
fn a_role_that_may_not_connect_is_told_why() {
    let project = project();
    let name = project.query("SELECT current_database()").remove(0);
    let role = format!("role_of_{name}");
    project.query(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA roundtrip TO {role}; GRANT SELECT ON roundtrip.ledger TO {role}"));
    let status = || {
        let mut command = project.command(&["status", "--format", "json", "--database", "env:TEST_DATABASE_URL"]);
        command.env("TEST_DATABASE_URL", project.database.url().replacen("postgres@", &format!("{role}@"), 1));
        said(command.output().unwrap())
    };
    status().ok();
    project.query(&format!("REVOKE CONNECT ON DATABASE \"{name}\" FROM PUBLIC"));
    let finding = failed(&status(), (1, "no-connect", ""));
    // What the help says, pasted as it stands, is enough.
    let grant = help(&finding).strip_prefix("grant it: ").unwrap().to_owned();
    project.query(&grant);
    status().ok();
    project.query(&format!("ALTER ROLE {role} CONNECTION LIMIT 0"));
    let finding = failed(&status(), (1, "too-many-connections", ""));
    assert!(finding["message"].as_str().unwrap().contains(&role), "{finding:#}");
    project.query(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    project.end();
}

/// What is only useful is a note, and no failure.
#[test]
fn what_the_setup_lacks_is_told_and_is_no_failure() {
    let project = project();
    let said = project.run(&["doctor", "--format", "json"]).ok();
    let all = all_found(&said, codes::MISSING.as_str());
    let git = all.iter().find(|one| one["message"].as_str().unwrap().contains("no commit")).unwrap();
    assert_eq!(git["code"], "missing", "{git:#}");
    assert_eq!(git["severity"], "note", "{git:#}");
    project.end();
}

#[test]
fn without_the_client_of_postgresql_the_way_to_another_client_is_told() {
    let project = project();
    let finding = refused_by(&project, (1, "psql", ""), || {
        let all = ["db", "psql", "--env", "development", "--database", "env:TEST_DATABASE_URL", "--format", "json"];
        said(project.command(&all).env("PATH", project.path().join("nowhere")).output().unwrap())
    });
    assert!(help(&finding).contains("cargo xtask db url"), "{finding:#}");
    project.end();
}

/// The folder for the server of this project cannot be made where a file is.
#[test]
fn a_server_that_has_no_folder_is_not_started() {
    let project = project();
    let file = project.write("file", "it is not a folder\n");
    let finding = refused_by(&project, (1, "server", ""), || {
        let up = ["db", "up", "--database", "local", "--format", "json"];
        said(project.command(&up).env("ROUNDTRIP_HOME", file.join("home")).output().unwrap())
    });
    assert!(help(&finding).contains("ROUNDTRIP_HOME"), "{finding:#}");
    project.end();
}

/// Somebody removed the folder while a shell was in it.
#[test]
fn a_folder_that_is_gone_says_so() {
    let project = project();
    let finding = refused_by(&project, (2, "folder", ""), || {
        let ours = project.command(&["status", "--format", "json"]);
        let mut command = Command::new("sh");
        let inside = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" \"$@\"";
        command.args(["-c", inside]).arg(ours.get_program()).args(ours.get_args());
        said(command.current_dir(project.path()).stdin(Stdio::null()).output().unwrap())
    });
    assert!(finding["message"].as_str().unwrap().contains("current folder"), "{finding:#}");
    project.end();
}

/// A process that may open only one more file cannot start; it says so, and that is all it does.
#[test]
fn a_process_that_may_open_no_file_says_so() {
    let project = project();
    let finding = refused_by(&project, (2, "runtime", ""), || {
        let ours = project.command(&["migrate", "--env", "development", "--format", "json"]);
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 4; exec \"$0\" \"$@\""]).arg(ours.get_program()).args(ours.get_args());
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        said(command.current_dir(project.path()).stdin(Stdio::null()).output().unwrap())
    });
    assert!(finding["message"].as_str().unwrap().contains("runtime"), "{finding:#}");
    project.end();
}
