//! Foreign text reaches a terminal as text: whatever is in a name, a reason, a query or a server message, no
//! control character and nothing invisible is printed, and the original can be recognized.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::{ProgramOutput, Project, terminal};

/// Sets the title, clears the screen, hides text, rings the bell, reverses the direction, has zero width, and
/// begins a sequence in one byte.
const EVIL: &str = "\u{1b}]0;t\u{7}\u{1b}[2J\u{1b}[35;8m\u{202e}\u{200b}\u{9b}4mx";
/// The beginning of it as it is displayed.
const SHOWN: &str = "\\x1b]0;t\\x07\\x1b[2J\\x1b[35;8m\\u{202e}\\u{200b}\\x9b4mx";

/// A text without our own styles, and the set of these styles.
fn unstyled(text: &str) -> (String, BTreeSet<String>) {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    let mut styles = BTreeSet::new();
    for part in parts {
        match part.split_once('m') {
            Some((code, rest)) if code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';') => {
                styles.insert(code.to_owned());
                plain.push_str(rest);
            }
            _ => plain.push_str(&format!("\u{1b}[{part}")),
        }
    }
    (plain, styles)
}

/// Asserts that a text does nothing to a terminal except colour.
#[track_caller]
fn is_harmless(text: &str) {
    let (plain, styles) = unstyled(text);
    let odd: String = plain
        .chars()
        .filter(|char| char.is_control() && !matches!(char, '\n' | '\t'))
        .chain(plain.chars().filter(|char| "\u{202e}\u{200b}\u{9b}".contains(*char)))
        .collect();
    assert!(odd.is_empty(), "{odd:?} in {text:?}");
    assert!(!styles.contains("35;8") && styles.len() < 12, "a style that is not ours: {styles:?} in {text:?}");
}

#[track_caller]
fn shows(said: &ProgramOutput) {
    let all = format!("{}{}", said.out, said.err);
    is_harmless(&all);
    let (plain, _) = unstyled(&all);
    assert!(plain.contains(SHOWN), "what was taken out is not shown: {plain}");
}

/// Runs it with colours in a pipe.
fn coloured(project: &Project, arguments: &[&str]) -> ProgramOutput {
    project.run(&[arguments, &["--color", "always"]].concat())
}

#[test]
fn names_reasons_and_messages_are_shown_in_a_pipe() {
    let project = Project::new();
    project.write(
        "migrate.toml",
        "[environments.development]\ndatabase = \"env:TEST_DATABASE_URL\"\nrecord = \"audit\"\n",
    );
    project.migration(
        1,
        "table",
        &format!("CREATE TABLE \"t{EVIL}\" (\"c{EVIL}\" int);"),
        &format!("DROP TABLE \"t{EVIL}\";"),
    );
    shows(&coloured(&project, &["migrate", "--dry-run"]).ok());
    shows(&coloured(&project, &["migrate", "--reason", EVIL]).ok());
    shows(&coloured(&project, &["history"]).ok());
    shows(&coloured(&project, &["rollback", "--dry-run", "--keep-data"]).ok());
    project.query(&format!("ALTER TABLE \"t{EVIL}\" ADD \"d{EVIL}\" int"));
    shows(&coloured(&project, &["drift"]));
    shows(&coloured(&project, &["rollback", "--keep-data"]).ok());
    shows(&coloured(&project, &["kept"]).ok());
    let record = fs::read_dir(project.path().join("audit")).unwrap().next().unwrap().unwrap().path();
    for file in ["record.md", "record.json"] {
        is_harmless(&fs::read_to_string(record.join(file)).unwrap());
    }
    project.end();
}

#[test]
fn what_the_server_says_is_shown() {
    let project = Project::new();
    let raise = |level: &str| format!("DO $$ BEGIN RAISE {level} '%', 'm{EVIL}' USING HINT = 'h{EVIL}'; END $$;");
    project.migration(1, "raise", &raise("EXCEPTION"), "SELECT 1;");
    shows(&coloured(&project, &["migrate"]));
    project.migration(1, "raise", &format!("SELECT 1 /* {EVIL} */, nonsense;"), "SELECT 1;");
    let caret = coloured(&project, &["migrate"]);
    shows(&caret);
    // The column is that in the file, not in what is displayed.
    let column = format!("SELECT 1 /* {EVIL} */, ").chars().count() + 1;
    let (plain, _) = unstyled(&caret.err);
    assert!(plain.contains(&format!(".up.sql:1:{column}")), "{plain}");
    let pointed: Vec<&str> = plain.lines().skip_while(|line| !line.contains("nonsense;")).take(2).collect();
    assert_eq!(pointed[1].find('^'), pointed[0].find("nonsense"), "{plain}");
    project.end();
}

#[test]
fn files_and_arguments_are_shown() {
    let project = Project::new();
    project.migration(1, "one", "SELECT 1;", "SELECT 1;");
    for arguments in
        [&["explain", EVIL][..], &["rollback", "--to", EVIL], &["kept", EVIL], &[EVIL], &["status", "--env", EVIL]]
    {
        shows(&coloured(&project, arguments));
    }
    project.write(&format!("migrations/20250101000002_{EVIL}.up.sql"), "SELECT 1;");
    shows(&coloured(&project, &["status"]));
    shows(&coloured(&project, &["check"]));
    project.end();
}

#[test]
fn a_document_means_the_same_and_hides_nothing() {
    let project = Project::new();
    project.migration(1, "one", "SELECT 1;", "SELECT 1;");
    project.run(&["migrate", "--reason", EVIL]).ok();
    let said = project.run(&["history", "--format", "json", "--color", "always"]).ok();
    is_harmless(&said.out);
    assert_eq!(said.json()["events"][0]["note"], EVIL, "{said:?}");
    project.end();
}

/// Runs it on a terminal, and returns what was written there.
fn on_a_terminal(command: &mut Command) -> String {
    let (mut terminal, name) = terminal();
    let side = || fs::OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut child = command.env("TERM", "xterm").stdin(Stdio::null()).stdout(side()).stderr(side()).spawn().unwrap();
    // The command keeps its ends of the terminal open until it is dropped.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut said = Vec::new();
    // On Linux, reading from a terminal that nobody has open any more ends with an error.
    let _ = terminal.read_to_end(&mut said);
    child.wait().unwrap();
    // Progress clears the line that it is on.
    String::from_utf8(said).unwrap().replace("\r\n", "\n").replace("\r\u{1b}[2K", "")
}

#[test]
fn a_terminal_gets_nothing_but_colours() {
    let project = Project::new();
    project.migration(
        1,
        "table",
        &format!("CREATE TABLE \"t{EVIL}\" (c int); -- {EVIL}"),
        &format!("DROP TABLE \"t{EVIL}\";"),
    );
    let target = ["--database", "env:TEST_DATABASE_URL"];
    for arguments in [
        &["migrate", "--dry-run"][..],
        &["migrate", "--reason", EVIL],
        &["history"],
        &["runbook"],
        &["diff", "migrations", "file:empty.sql", "--sql"],
        &["rollback", "--dry-run"],
        &[EVIL],
    ] {
        project.write("empty.sql", "");
        let mut command = project.command(&[arguments, &target].concat());
        let said = on_a_terminal(command.env_remove("NO_COLOR"));
        is_harmless(&said);
        let (plain, styles) = unstyled(&said);
        assert!(plain.contains(SHOWN) || arguments[1..] == ["--reason", EVIL], "{arguments:?}: {plain}");
        // Scripts and statements have no colours.
        let is_plain = ["runbook", "diff"].contains(&arguments[0]);
        assert!(!styles.is_empty() || is_plain, "{arguments:?}: {said:?}");
    }
    project.end();
}

#[test]
fn who_is_in_the_way_is_shown() {
    let project = Project::new();
    project.query("CREATE TABLE t (id int)");
    project.write("migrate.toml", "[environments.development]\nlock_retries = 0\n");
    project.migration(1, "wait", "-- migrate: lock-timeout 1s\nALTER TABLE t ADD c int;", "ALTER TABLE t DROP c;");
    let holder = project.hold(&format!("BEGIN; LOCK TABLE t; SELECT 'q{EVIL}'\n\n, 2"));
    let said = coloured(&project, &["migrate"]);
    assert_eq!(said.code, 1, "{said:?}");
    shows(&said);
    drop(holder);
    project.end();
}

#[test]
fn a_runner_of_github_gets_no_command_of_others() {
    let project = Project::new();
    let raise = "DO $$ BEGIN RAISE EXCEPTION E'x\\n::error file=a::injected\\n##[error]injected'; END $$;";
    project.migration(1, "raise", raise, "SELECT 1;");
    let mut command = project.command(&["migrate", "--database", "env:TEST_DATABASE_URL"]);
    let said = crate::support::said(command.env("GITHUB_ACTIONS", "true").output().unwrap());
    let all = format!("{}{}", said.out, said.err);
    assert!(all.contains("injected"), "{all}");
    assert!(!all.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")), "{all}");
    project.end();
}
