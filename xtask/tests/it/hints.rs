//! Every command that a text names exists, applies to the same project and database as the current one, and can
//! be pasted as it stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use clap::error::ErrorKind;
use migrate_base::hint;

use crate::chores::cli::DevCli;
use crate::rust_source::{Token, files_ending, rust_files, tokens};
use crate::support::{ProgramOutput, Project, SECRET, root, said, sources};

/// Possible replacements for a value in a text.
const VALUES: [&str; 5] = ["20250101000000", "name", "", "--env name", "status"];

/// The value of a literal at run time, as far as it matters here.
fn unescaped(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match (char, rest.peek().copied()) {
            ('\\', Some('\n')) => while rest.next_if(|char| char.is_whitespace()).is_some() {},
            ('\\', Some('n')) => {
                rest.next();
                written.push('\n');
            }
            ('\\', Some(_)) => written.extend(rest.next()),
            _ => written.push(char),
        }
    }
    written
}

/// The command with every possible replacement for each `{…}`, and for words in capitals.
fn filled(command: &str) -> Vec<String> {
    let mut parts = command.split('{');
    let mut texts = vec![parts.next().unwrap_or_default().to_owned()];
    for part in parts {
        let (_, rest) = part.split_once('}').unwrap_or(("", part));
        texts = texts.iter().flat_map(|text| VALUES.map(|value| format!("{text}{value}{rest}"))).collect();
    }
    let word = |word: &str| match word {
        "VERSION" => "20250101000000".to_owned(),
        "N" => "1".to_owned(),
        "TIME" => "1s".to_owned(),
        "…" | "\\" => String::new(),
        word => word.to_owned(),
    };
    texts.iter().map(|text| text.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect()
}

/// The words of a command as a shell takes them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for char in command.chars() {
        match (quote, char) {
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == char => quote = None,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.into_iter().chain(word).collect()
}

/// Whether a command can be run. A page may also mention a command by its relevant words.
fn is_command(command: &str, may_mention: bool) -> bool {
    let incomplete = [ErrorKind::MissingRequiredArgument, ErrorKind::MissingSubcommand, ErrorKind::InvalidValue];
    filled(command).iter().any(|command| {
        let arguments = [vec!["xtask".to_owned()], words(command)].concat();
        let outcome = match arguments.get(1) {
            // Without a chore it shows their list.
            Some(first) if first == "dev" && arguments.len() == 2 => return true,
            Some(first) if first == "dev" => DevCli::command().try_get_matches_from(&arguments[1..]),
            _ => migrate_cli::Cli::command().try_get_matches_from(arguments),
        };
        match outcome {
            Ok(_) => true,
            Err(error) => (may_mention && incomplete.contains(&error.kind())) || error.kind() == ErrorKind::DisplayHelp,
        }
    })
}

#[test]
fn every_command_in_a_text_is_one() {
    let (mut files_of_code, mut pages) =
        (Vec::new(), ["README.md", "CONTRIBUTING.md", "HACKING.md"].map(|page| root().join(page)).to_vec());
    for folder in sources() {
        rust_files(&folder, &mut files_of_code);
        files_ending(&folder, "md", &mut pages);
    }
    files_ending(&root().join("docs"), "md", &mut pages);
    let texts = files_of_code.iter().flat_map(|path| {
        let all = tokens(&fs::read_to_string(path).unwrap());
        let texts = all.into_iter().filter_map(|token| match token {
            Token::Text(text) => Some(unescaped(&text)),
            _ => None,
        });
        texts.map(move |text| (path.clone(), text))
    });
    // Files with their own tests name commands that do not exist.
    let is_test =
        |path: &Path| path.ends_with("migrate-base/src/hint.rs") || path.ends_with("migrate-cli/src/invocation.rs");
    let all: Vec<(PathBuf, String)> = texts
        .filter(|(path, _)| !is_test(path))
        .chain(pages.iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())))
        .collect();
    let commands = all.iter().flat_map(|(path, text)| hint::commands(text).into_iter().map(move |one| (path, one)));
    let commands: Vec<_> = commands.filter(|(_, one)| !one.is_empty()).collect();
    assert!(commands.len() > 150, "the texts are not read any more");
    let odd: Vec<_> = commands
        .into_iter()
        .filter(|(path, one)| !is_command(one, path.extension().is_some_and(|end| end == "md")))
        .collect();
    assert!(odd.is_empty(), "these are no commands: {odd:#?}");
}

#[test]
fn a_chore_in_a_text_is_one() {
    assert!(is_command("dev split /tmp/tools 200000 7", false) && is_command("dev bench looks --any", false));
    assert!(is_command("dev split", true) && !is_command("dev split", false));
    assert!(!is_command("dev nonsense", true) && !is_command("dev documents --check", true));
}

/// A renamed executable, called by its path, outside of a project whose migrations, configuration and
/// environment all have to be named.
struct RenamedExecutable {
    project: Project,
    program: PathBuf,
}

const AIM: [&str; 6] = ["--env", "staging", "--migrations", "it's other", "--config", "x.toml"];
const SHOWN: &str = r"--env staging --migrations 'it'\''s other' --config x.toml";

impl RenamedExecutable {
    fn new(settings: &str) -> Self {
        let project = Project::new();
        fs::create_dir(project.path().join("it's other")).unwrap();
        project.write("x.toml", format!("[environments.staging]\ndatabase = \"env:TEST_DATABASE_URL\"\n{settings}"));
        let program = project.path().join("my roundtrip");
        fs::hard_link(env!("CARGO_BIN_EXE_xtask"), &program)
            .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_xtask"), &program).map(drop))
            .unwrap();
        Self { project, program }
    }

    fn migration(&self, number: u64, name: &str, up: &str, down: &str) {
        let stem = format!("it's other/{}_{name}", 20_250_101_000_000 + number);
        self.project.write(&format!("{stem}.up.sql"), up);
        self.project.write(&format!("{stem}.down.sql"), down);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(AIM).current_dir(self.project.path()).stdin(Stdio::null());
        command.env("TEST_DATABASE_URL", self.project.url()).env("ROUNDTRIP_HOME", self.project.path().join("home"));
        command.env_remove("GITHUB_ACTIONS");
        command
    }

    fn run(&self, arguments: &[&str]) -> ProgramOutput {
        said(self.command(arguments).output().unwrap())
    }

    /// The name of the program in texts.
    fn called(&self) -> String {
        format!("'{}'", self.program.display())
    }

    /// Asserts that a text names commands, each in the form in which it has to be run here.
    #[track_caller]
    fn says(&self, text: &str) {
        assert!(!text.contains(hint::PROGRAM), "{text}");
        let called = self.called();
        let commands: Vec<&str> = text.split(&called).skip(1).collect();
        assert!(!commands.is_empty(), "no command in {text}");
        for command in commands {
            let command = command.split(['`', '\n']).next().unwrap();
            assert!(command.ends_with(SHOWN), "{command:?} in {text}");
        }
    }
}

#[test]
fn every_command_goes_where_this_one_went() {
    let here = RenamedExecutable::new("lock_wait = \"1s\"\n");
    here.migration(1, "one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    here.says(&here.run(&["status"]).ok().out);
    here.says(&here.run(&["migrate"]).ok().out);
    here.says(&here.run(&["rollback"]).ok().out);
    here.says(&here.run(&["kept"]).ok().out);
    here.says(&here.run(&["seed"]).err);
    here.says(&here.run(&["explain", "nonsense"]).err);
    here.says(&here.run(&["lint", "--no-server"]).out);
    let broken = "-- migrate: no-transaction\nCREATE TABLE two (id bigint);\nSELECT nonsense;";
    here.migration(2, "two", broken, "DROP TABLE two;");
    here.says(&here.run(&["migrate"]).err);
    here.says(&here.run(&["migrate"]).err);
    here.says(&here.run(&["resolve"]).out);
    let failed = here.run(&["status", "--format", "json"]);
    let help = |json: &serde_json::Value| json.to_string().replace("\\\\", "\\");
    here.says(&help(&failed.json()["problems"]));
    let record = here.run(&["drift", "--format", "json"]);
    here.says(&help(&record.json()));
    here.project.end();
}

/// What others wrote is shown as they wrote it, even if it names the program, and a caret stays under its word.
#[test]
fn only_our_own_words_are_rewritten() {
    let here = RenamedExecutable::new("");
    let up = "/* `cargo xtask status` */ SELECT nonsense;\n";
    here.migration(1, "one", up, "SELECT 1;\n");
    let failed = here.run(&["migrate"]);
    let source = format!("1 | {}", up.trim_end());
    assert!(failed.err.contains(&source), "{failed:?}");
    let line = |start: &str| failed.err.lines().find(|line| line.trim_start().starts_with(start)).unwrap();
    assert_eq!(line("1 | /*").find("nonsense"), line("| ").find("^^^"), "{failed:?}");
    here.migration(1, "one", "SELECT 1;\n", "SELECT 1;\n");
    here.run(&["migrate"]).ok();
    here.run(&["rollback", "--reason", "`cargo xtask ci` said so", "--record", "records"]).ok();
    let folder = fs::read_dir(here.project.path().join("records")).unwrap().next().unwrap().unwrap().path();
    let page = fs::read_to_string(folder.join("record.md")).unwrap();
    assert!(page.contains("<code>cargo xtask ci</code> said so"), "{page}");
    let history = here.run(&["history"]).ok();
    assert!(history.out.contains("`cargo xtask ci` said so"), "{history:?}");
    let wrong = here.run(&["resolve", "cargo xtask"]);
    assert!(wrong.err.contains("'cargo xtask'"), "{wrong:?}");
    here.project.end();
}

#[test]
fn a_printed_command_can_be_pasted() {
    let here = RenamedExecutable::new("");
    here.migration(1, "one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    here.run(&["migrate"]).ok();
    let out = here.run(&["status"]).ok().out + &here.run(&["rollback"]).ok().out;
    let pasted = out.rsplit('`').find(|text| text.contains(" migrate ")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", pasted]).current_dir(here.project.path()).env("TEST_DATABASE_URL", here.project.url());
    let said = said(shell.env("ROUNDTRIP_HOME", here.project.path().join("home")).output().unwrap()).ok();
    assert!(said.out.contains("1 migration applied"), "{said:?}");
    assert!(!here.project.path().join("home").exists(), "a development server was made");
    here.project.end();
}

#[test]
fn an_address_is_repeated_without_its_password() {
    let project = Project::new();
    let url = project.url();
    assert!(url.contains(SECRET));
    // If a variable contains the address, the variable is named.
    let named = project.run_bare(&["kept", "--database", &url]).ok();
    assert!(named.out.contains("rollback --keep-data --database env:TEST_DATABASE_URL`"), "{named:?}");
    let other = url.replacen("postgres://", "postgresql://", 1);
    let shown = project.run_bare(&["kept", "--database", &other]).ok();
    let bare = project.database.url().replacen("postgres://", "postgresql://", 1);
    let expected = format!("rollback --keep-data --database {}`", migrate_base::hint::quote(&bare));
    assert!(shown.out.contains(&expected), "{shown:?} {expected}");
    project.end();
}

#[test]
fn the_program_is_called_as_it_was() {
    let project = Project::new();
    let help = |command: &mut Command| said(command.args(["help", "migrate"]).output().unwrap()).ok().out;
    let built = env!("CARGO_BIN_EXE_xtask");
    assert!(help(Command::new(built).env("CARGO", "cargo")).contains("cargo xtask migrate --dry-run"));
    let path = help(Command::new(built).env_remove("CARGO"));
    assert!(path.contains(&format!("{built} migrate --dry-run")) && !path.contains(hint::PROGRAM), "{path}");
    let renamed = project.path().join("roundtrip");
    fs::copy(built, &renamed).unwrap();
    let on_path = help(Command::new("roundtrip").env("PATH", project.path()));
    assert!(
        on_path.contains("  roundtrip migrate --dry-run") && on_path.contains("Usage: roundtrip migrate"),
        "{on_path}"
    );
    let script = said(Command::new(&renamed).args(["completions", "bash"]).output().unwrap()).ok().out;
    assert!(script.contains("complete -F _roundtrip") && !script.contains("_xtask"), "{script}");
    project.end();
}
