//! README.md, CONTRIBUTING.md and docs/GUIDE.md are true: each command in them, in a block or in the text, is run in the
//! order of the page. Its exit code is 0 or the one that the page shows, and an output that the page shows is what it
//! prints.
//!
//! A page may write `…` in an output, see `page_steps::is_shown`. A new command is run without an entry anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use migrate_test::TestDatabase;

use crate::day::{same, words};
use crate::notify::{MockAnswer, MockReceiver};
use crate::page_steps::{PageStep, is_shown, steps};
use crate::repository::Repository;
use crate::support::{Project, SECRET, root};

/// Commands that are in a page and not run here, each with the reason.
const NOT_RUN: [(&str, &str); 12] = [
    ("sudo apt-get install -y build-essential git postgresql", "changes the machine"),
    ("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y", "downloads and installs Rust"),
    ("cargo build --release -p xtask", "takes minutes; the tests run the executable of a debug build"),
    ("cargo run --release -p bench", "takes minutes, and needs sqlx-cli"),
    ("cargo test", "runs this test"),
    ("cargo test add_tracking_number", "xtask/tests/migrations.rs is built only once, by the `cargo test` around this"),
    ("cargo test add_gift_wrapping", "as above, with a migration that the tests of this build do not have"),
    ("cargo fmt", "a step of .ci/run"),
    (
        "ROUNDTRIP_TEST_PAIRS=10000:1:0 ROUNDTRIP_TEST_PAIRS_KEEP=/tmp/pairs cargo test -p roundtrip-test --test it any_schema",
        "takes hours; `cargo test` runs the same test with fewer pairs",
    ),
    (
        "cargo xtask dev regress postgresql-18.6/src/test/regress \"$(pg_config --bindir)\" target/debug/xtask",
        "needs the sources of PostgreSQL",
    ),
    (
        "cargo xtask dev regress --each postgresql-18.6/src/test/regress \"$(pg_config --bindir)\" target/debug/xtask",
        "needs the sources of PostgreSQL",
    ),
    (
        "cargo xtask consumers capture billing --env production",
        "needs a server that loads pg_stat_statements; a test in consumers.rs starts one",
    ),
];

/// What a reader puts in the place of a word in capitals.
const PLACEHOLDERS: [(&str, &str); 2] = [("CODE", "ban-drop-column"), ("DIR", "theirs")];

/// What a reader has: the shop in a git repository, its databases, the schema that they want in `schema.sql`, and
/// migrations of another tool in `theirs`.
struct Shop {
    repository: Repository,
    databases: Vec<TestDatabase>,
    variables: BTreeMap<String, String>,
}

impl Shop {
    fn new(hook: &MockReceiver) -> Self {
        let repository = Repository(Project::new());
        let project = &repository.0;
        // The account that runs a managed server must be able to enter.
        fs::set_permissions(project.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in [".gitignore", "migrate.toml", "migrations", "seeds", "consumers", "ci", "docs"] {
            copy(&root().join(name), &project.path().join(name));
        }
        // The file says how the team is notified, in a comment.
        let settings = fs::read_to_string(project.path().join("migrate.toml")).unwrap();
        let notified = settings.replace("# [notify.team] ", "[notify.team] ").replace("# slack =", "slack =");
        assert_ne!(settings, notified, "migrate.toml does not show how to notify a team");
        project.write("migrate.toml", notified);
        project.write("schema.sql", wanted());
        fs::create_dir(project.path().join("theirs")).unwrap();
        project.write("theirs/1_notes.up.sql", "CREATE TABLE notes (id bigint PRIMARY KEY);\n");
        project.write("theirs/1_notes.down.sql", "DROP TABLE notes;\n");
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        fs::write(project.path().join(".git/info/exclude"), "home\n").unwrap();
        repository.commit("the shop");
        repository.git(&["checkout", "--quiet", "-b", "topic"]);
        let mut shop = Self { repository, databases: Vec::new(), variables: BTreeMap::new() };
        shop.variables.insert("SLACK_WEBHOOK_URL".to_owned(), hook.url());
        shop.database("DATABASE_URL");
        for environment in ["staging", "production"] {
            shop.database(&format!("{}_DATABASE_URL", environment.to_uppercase()));
            shop.run(&["migrate", "--env", environment, "--yes", "--quiet"]);
        }
        shop
    }

    /// Creates an empty database, and puts its address into a variable.
    fn database(&mut self, variable: &str) {
        let database = self.repository.0.wait(TestDatabase::create()).unwrap();
        let url = database.url().replacen("postgres@", &format!("postgres:{SECRET}@"), 1);
        self.databases.push(database);
        self.variables.insert(variable.to_owned(), url);
    }

    /// Creates a database with the schema of the shop that no migration tool knows.
    fn existing(&mut self, variable: &str) {
        self.database(variable);
        let database = format!("env:{variable}");
        self.run(&["migrate", "--database", &database, "--migrations", "migrations", "--yes", "--quiet"]);
        self.repository.0.query_on(&self.databases.last().unwrap().options(), "DROP SCHEMA roundtrip CASCADE");
    }

    fn run(&self, arguments: &[&str]) {
        let (code, said) = self.finish(self.repository.0.command(arguments));
        assert_eq!(code, 0, "{arguments:?}: {said}");
    }

    /// The exit code of a program, and everything that it printed.
    fn finish(&self, mut command: Command) -> (i32, String) {
        let (mut reader, writer) = std::io::pipe().unwrap();
        command.envs(&self.variables).env("USER", "ann").stdin(Stdio::null());
        let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        // It holds the other end of the pipe.
        drop(command);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert!(!said.contains(SECRET) && !said.contains("panicked at"), "{said}");
        (child.wait().unwrap().code().unwrap_or(-1), said)
    }

    /// Runs a command of a page as its reader would.
    fn follow(&mut self, line: &str) -> (i32, String) {
        if let Some((variable, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            assert!(value.contains("@db.example.org/"), "a page exports only the address of a database: {line}");
            self.existing(variable);
            return (0, String::new());
        }
        let project = &self.repository.0;
        let deployed = project.path().join("migrations").display().to_string();
        let word = |word: String| {
            let value = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
            value.map_or(word.replace("/srv/migrations", &deployed), |(_, value)| (*value).to_owned())
        };
        let words: Vec<String> = words(line).into_iter().map(word).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let elsewhere = tempfile::tempdir().unwrap();
        match &words[..] {
            ["cargo", "xtask", rest @ ..] => {
                let (code, said) = self.finish(project.command(rest));
                // On a terminal, it would have asked.
                let asks = code == 2 && said.contains("error[needs-yes]");
                if asks { self.finish(project.command(&[rest, &["--yes"]].concat())) } else { (code, said) }
            }
            ["xtask", rest @ ..] => {
                let mut command = project.command(rest);
                command.current_dir(elsewhere.path());
                self.finish(command)
            }
            ["ln", rest @ ..] => {
                let mut command = Command::new("ln");
                command.args(rest).current_dir(project.path());
                self.finish(command)
            }
            other => panic!("the page may not run {other:?}; if nobody can run it in a test, NOT_RUN says why"),
        }
    }

    fn end(mut self) {
        for database in self.databases.drain(..) {
            self.repository.0.wait(database.drop_now()).unwrap();
        }
    }
}

impl Drop for Shop {
    /// A managed server would survive a test that fails.
    fn drop(&mut self) {
        if self.repository.0.path().join("home").exists() {
            let _ = self.repository.0.command(&["db", "down", "--destroy"]).output();
        }
    }
}

/// The schema of the shop, as one script, with a table that no migration creates.
fn wanted() -> String {
    let files = fs::read_dir(root().join("migrations")).unwrap().map(|entry| entry.unwrap().path());
    let mut ups: Vec<_> = files.filter(|path| path.to_str().unwrap().ends_with(".up.sql")).collect();
    ups.sort();
    let scripts = ups.iter().map(|path| fs::read_to_string(path).unwrap().replace(" CONCURRENTLY", ""));
    scripts.chain(["CREATE TABLE notes (id bigint PRIMARY KEY, body text NOT NULL);\n".to_owned()]).collect()
}

/// Copies a file or a folder.
fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Whether a file of settings has these lines, apart from comments.
fn has_lines(file: &str, lines: &str) -> bool {
    let plain = |line: &str| line.split('#').next().unwrap().trim().to_owned();
    let known: BTreeSet<String> = file.lines().map(plain).collect();
    lines.lines().all(|line| known.contains(&plain(line)))
}

/// The lines of an output without what differs from run to run, including the unit of a duration and the length of a
/// random walk.
fn plain(text: &str) -> Vec<String> {
    let units = ["ms", "s", "min"];
    let line = |line: String| {
        let words: Vec<&str> = line.split(' ').collect();
        let word = |at: usize, word: &str| match word {
            _ if at > 0 && words[at - 1] == "#" && units.contains(&word.trim_end_matches([',', '.'])) => "#".to_owned(),
            _ if words.get(at + 1) == Some(&"steps") => "#".to_owned(),
            _ => word.to_owned(),
        };
        words.iter().enumerate().map(|(at, one)| word(at, one)).collect::<Vec<_>>().join(" ")
    };
    same(text).into_iter().map(line).collect()
}

/// Whether a line such as `  1 of 9  NAME` shows that a command is still at work. A fast machine prints none.
fn is_progress(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(3).collect();
    matches!(words[..], [done, "of", all] if [done, all].iter().all(|word| word.parse::<u32>().is_ok()))
}

/// Does what a page says, and returns what is wrong in it.
fn follow(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let hook = MockReceiver::new(&[MockAnswer::Status(200)]);
    let mut shop: Option<Shop> = None;
    let mut wrong = Vec::new();
    let mut ran = 0;
    for (at, step) in steps(&text) {
        if let PageStep::Section = step {
            if let Some(shop) = shop.take() {
                shop.end();
            }
            continue;
        }
        if let PageStep::Command { line, .. } = &step
            && NOT_RUN.iter().any(|(command, _)| command == line)
        {
            continue;
        }
        let shop = shop.get_or_insert_with(|| Shop::new(&hook));
        let project = &shop.repository.0;
        match step {
            PageStep::Section => {}
            PageStep::File { name, text } => {
                project.write(&name, text);
            }
            PageStep::Setting(text) => {
                if !has_lines(&fs::read_to_string(project.path().join("migrate.toml")).unwrap(), &text) {
                    wrong.push(format!("{page}:{at}: not in migrate.toml:\n{text}"));
                }
            }
            PageStep::Command { line, shows, code } => {
                let (today, said) = shop.follow(&line);
                let said: Vec<&str> = said.lines().filter(|line| !is_progress(line)).collect();
                let said = said.join("\n").replace(&format!("{}/", shop.repository.0.path().display()), "");
                let is_right = shows.as_ref().is_none_or(|shows| is_shown(&plain(shows), &plain(&said)));
                if today != code || !is_right {
                    wrong.push(format!("{page}:{at}: $ {line}\n{said}\nexit code {today}, on the page {code}\n"));
                }
                ran += 1;
            }
        }
    }
    if let Some(shop) = shop {
        shop.end();
    }
    assert!(ran > 5, "{page} runs nothing");
    wrong
}

#[track_caller]
fn is_true(page: &str) {
    let wrong = follow(page);
    assert!(wrong.is_empty(), "{page} says something else than what happens:\n{}", wrong.join("\n"));
}

#[test]
fn the_readme_is_what_happens() {
    is_true("README.md");
}

#[test]
fn the_page_for_contributors_is_what_happens() {
    is_true("CONTRIBUTING.md");
}

#[test]
fn the_guide_is_what_happens() {
    is_true("docs/GUIDE.md");
}

#[test]
fn what_is_not_run_is_in_a_page() {
    let pages = ["README.md", "CONTRIBUTING.md", "docs/GUIDE.md"];
    let all = pages.map(|page| steps(&fs::read_to_string(root().join(page)).unwrap()));
    let commands: BTreeSet<String> = all
        .into_iter()
        .flatten()
        .filter_map(|(_, step)| match step {
            PageStep::Command { line, .. } => Some(line),
            _ => None,
        })
        .collect();
    let gone: Vec<_> = NOT_RUN.iter().filter(|(command, _)| !commands.contains(*command)).collect();
    assert!(gone.is_empty(), "no page has these commands any more: {gone:#?}");
}
