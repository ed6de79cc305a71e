//! With `--format json` every command prints one document: when it succeeds, when it fails, and when its
//! arguments are wrong.

use clap::{Command, CommandFactory};

use crate::support::{ProgramOutput, Project};

/// The arguments of a command with which it does something. A command that is not listed gets none.
const ARGUMENTS: [(&str, &[&str]); 18] = [
    ("new", &["add_column"]),
    ("migrate", &["--dry-run"]),
    ("rollback", &["--yes"]),
    ("redo", &["--dry-run"]),
    ("explain", &["--markdown"]),
    ("consumers export", &["billing", "--reads", "t"]),
    ("consumers add", &["missing.json"]),
    ("consumers capture", &["billing"]),
    ("consumers uses", &["t"]),
    ("audit show", &["-n", "1"]),
    ("runbook", &["--page"]),
    ("derive", &["20250101000001", "--dry-run"]),
    ("diff", &["migrations", "file:empty.sql", "--sql"]),
    ("baseline", &["--dry-run"]),
    ("squash", &["--to", "20250101000001", "--dry-run"]),
    ("kept restore", &["20250101000001", "--yes"]),
    ("completions", &["bash"]),
    ("notify test", &["--print"]),
];

/// Commands that hand over to another program.
const HANDS_OVER: [&str; 1] = ["db psql"];

/// The names of all commands that can be run, such as `consumers list` in a group.
fn leaves(command: &Command, name: &str, all: &mut Vec<String>) {
    if !command.has_subcommands() || !command.is_subcommand_required_set() && !name.is_empty() {
        all.push(name.to_owned());
    }
    for sub in command.get_subcommands() {
        leaves(sub, format!("{name} {}", sub.get_name()).trim(), all);
    }
}

fn commands() -> Vec<String> {
    let mut all = Vec::new();
    leaves(&migrate_cli::Cli::command(), "", &mut all);
    all.retain(|name| !HANDS_OVER.contains(&name.as_str()));
    assert!(all.len() > 30 && all.iter().any(|name| name == "db url"), "{all:?}");
    all
}

#[track_caller]
fn is_document(name: &str, said: &ProgramOutput) -> serde_json::Value {
    let read = serde_json::from_str::<serde_json::Value>(&said.out);
    let document = read.unwrap_or_else(|error| panic!("{name}: {error}: {said:?}"));
    // The output of `export` has its own format and format number.
    let is_exported = name == "consumers export" && document["kind"] == "consumer";
    assert!(document["format"] == 1 || is_exported, "{name}: {said:?}");
    match said.code {
        0 | 3 => {}
        code => assert_eq!(document["error"]["exit_code"], code, "{name}: {said:?}"),
    }
    document
}

#[test]
fn every_command_prints_a_document() {
    let project = Project::new();
    project.write("empty.sql", "");
    project.migration(1, "table", "CREATE TABLE t (id int PRIMARY KEY);", "DROP TABLE t;");
    project.run(&["migrate"]).ok();
    for name in commands() {
        let words: Vec<&str> = name.split(' ').collect();
        let own = ARGUMENTS.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, own)| own);
        // The requested address contains a password, which no other command may show.
        let target = if name == "db url" { "postgres://ann@h/d" } else { "env:TEST_DATABASE_URL" };
        let all = [&words[..], own, &["--format", "json", "--database", target]].concat();
        is_document(&name, &project.run_bare(&all));
    }
    project.end();
}

#[test]
fn a_command_that_cannot_begin_prints_a_document() {
    let project = Project::new();
    for name in commands() {
        let words: Vec<&str> = name.split(' ').collect();
        let own = ARGUMENTS.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, own)| own);
        let said = project.run_bare(&[&words[..], own, &["--format=json", "--nonsense"]].concat());
        let document = is_document(&name, &said);
        assert_eq!(document["error"]["findings"][0]["code"], "usage", "{name}: {said:?}");
        assert_eq!(said.code, 2, "{name}: {said:?}");
        let said = project.run_bare(&[&words[..], own, &["--format=json", "--config", "missing.toml"]].concat());
        is_document(&name, &said);
    }
    let said = project.run_bare(&["status", "--format", "json", "--database", "env:NOT_SET"]);
    assert_eq!(is_document("status", &said)["error"]["findings"][0]["code"], "variable-unset");
    let said = project.run_bare(&["--format", "json"]);
    assert_eq!((said.code, is_document("", &said)["error"]["kind"].as_str()), (2, Some("usage")));
    project.end();
}

#[test]
fn a_wrong_address_is_in_no_document() {
    let project = Project::new();
    let url = project.url();
    for format in ["text", "json"] {
        for arguments in [&["status", &url][..], &["migrate", "--databse", &url], &["diff", &url, "--format"]] {
            // `said` searches for the password in everything that is printed.
            assert_eq!(project.run_bare(&[arguments, &["--format", format]].concat()).code, 2);
        }
    }
    project.end();
}

#[test]
fn help_is_text() {
    let project = Project::new();
    let said = project.run_bare(&["status", "--help", "--format", "json"]).ok();
    assert!(said.out.starts_with("Show which migrations are applied"), "{said:?}");
    project.end();
}

#[test]
fn what_cannot_be_looked_at_first_is_not_told_so() {
    let project = Project::new();
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n");
    project.migration(1, "table", "CREATE TABLE t (id int PRIMARY KEY);", "DROP TABLE t;");
    let help = |arguments: &[&str]| {
        let said = project.run_bare(&[arguments, &["--env", "live", "--format", "json"]].concat());
        let json = said.json();
        assert_eq!(json["error"]["findings"][0]["code"], "needs-yes", "{said:?}");
        json["error"]["findings"][0]["help"][0].as_str().unwrap().to_owned()
    };
    assert!(help(&["migrate"]).contains("--dry-run"));
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    project.run_bare(&["rollback", "--env", "live", "--yes", "--keep-data", "--reason", "x"]).ok();
    let purge = help(&["kept", "purge", "--all"]);
    assert!(!purge.contains("--dry-run") && purge.contains("--yes"), "{purge}");
    project.end();
}
