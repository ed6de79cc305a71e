//! docs/A_DAY_IN_PRODUCTION.md is true: its files are written, its commands are run, and their output is
//! compared.
//!
//! With ROUNDTRIP_WRITE=1, the current output is written to the page.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::{Project, SECRET, root};

/// The name of the database in the page.
const SHOWN: &str = "deploy@db.example.org/shop";

/// A part of the page.
enum PageBlock<'a> {
    /// Text for people.
    Prose(&'a str),
    /// A file to write, with its name in the first line.
    File(&'a str),
    /// Commands, each with its output.
    Console(&'a str),
}

/// Splits the page at its fences.
fn pieces(page: &str) -> Vec<PageBlock<'_>> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find("\n```") {
        let open = at + 1;
        let body = open + rest[open..].find('\n').unwrap() + 1;
        let end = body + rest[body..].find("```\n").unwrap();
        found.push(PageBlock::Prose(&rest[..body]));
        let text = &rest[body..end];
        found.push(match &rest[open + 3..body - 1] {
            "console" => PageBlock::Console(text),
            "sql" | "toml" if text.starts_with("-- migrations/") || text.starts_with("# migrate.toml") => {
                PageBlock::File(text)
            }
            _ => PageBlock::Prose(text),
        });
        rest = &rest[end..];
    }
    found.push(PageBlock::Prose(rest));
    found
}

/// The project of the page: the shop, with all but its last migrations in production.
fn project() -> Project {
    let project = Project::new();
    for entry in fs::read_dir(root().join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, project.path().join("migrations").join(path.file_name().unwrap())).unwrap();
    }
    project
}

/// Runs the command after a `$`, and returns its output, with names in place of what differs from run to run.
fn run(project: &Project, line: &str) -> String {
    if let Some(sql) = line.strip_prefix("psql -c \"").and_then(|rest| rest.strip_suffix('"')) {
        project.query(sql);
        return String::new();
    }
    let words = words(line);
    let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = match &arguments[..] {
        ["cargo", "xtask", rest @ ..] => project.command(rest),
        ["ls", rest @ ..] => {
            let mut command = Command::new("ls");
            command.args(rest).current_dir(project.path());
            command
        }
        other => panic!("the page may not run {other:?}"),
    };
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.env("PRODUCTION_DATABASE_URL", project.url()).env("USER", "ann").stdin(Stdio::null());
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    // It holds the other end of the pipe.
    drop(command);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(!said.contains(SECRET) && !said.contains("panicked"), "{said}");
    named(project, &said)
}

/// The words of a command line, as a shell would see them.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for char in line.chars() {
        match (char, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(char),
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Replaces the names of this machine.
fn named(project: &Project, said: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    let place = format!("{}/", project.path().display());
    let database = project.database.options();
    let socket = database.get_socket().unwrap().display().to_string();
    let name = database.get_database().unwrap().to_owned();
    let lines = said.lines().map(|line| {
        let line = line.replace(&place, "").replace(&format!("postgres@{socket}/{name}"), SHOWN);
        let line = line.replace(&name, "shop").replace("role postgres", "role deploy");
        if host.is_empty() { line } else { line.replace(host, "laptop") }
    });
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A text without what differs from run to run: durations, times, server versions, the width of columns.
pub(crate) fn same(text: &str) -> Vec<String> {
    let plain = |line: &str| {
        let line = match line.split_once("PostgreSQL 1") {
            Some((before, after)) => {
                format!("{before}PostgreSQL{}", after.split_once(',').map_or("", |(_, rest)| rest))
            }
            None => line.to_owned(),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_unit = |at: usize| {
            words.get(at).is_some_and(|word| {
                ["ms", "s", "µs", "min", "KiB", "MiB", "GiB"].contains(&word.trim_end_matches([',', '.', ':']))
            })
        };
        let word = |(at, word): (usize, &&str)| {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            let digits = word.chars().filter(char::is_ascii_digit).count();
            let is_moment =
                is_number && digits >= 4 && (word.contains(':') || word.contains('-') && !word.contains('_'));
            let is_folder = word.contains("Z-production-");
            // The version of a migration that is created today.
            let is_new =
                digits >= 14 && word.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() == 14 && run > "2026");
            match word {
                _ if is_new => word.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect(),
                _ if is_number && is_unit(at + 1) => "#".to_owned(),
                _ if is_moment => "@".to_owned(),
                _ if is_folder => {
                    let plain: String = word.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
                    // A second run within the same second gets a number.
                    plain.replace("migrate-#", "migrate").replace("rollback-#", "rollback")
                }
                _ => (*word).to_owned(),
            }
        };
        words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(plain).collect()
}

/// The commands of a block with their output in the page, after a file: `(command, output)`.
fn commands(block: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command, String::new())),
            (None, Some((_, output))) => output.push_str(&format!("{line}\n")),
            (None, None) => panic!("a block begins with a command: {line}"),
        }
    }
    found
}

#[test]
fn the_page_of_a_day_in_production_is_what_happens() {
    let path = root().join("docs/A_DAY_IN_PRODUCTION.md");
    let page = fs::read_to_string(&path).unwrap();
    let project = project();
    let mut written = String::new();
    let mut wrong = Vec::new();
    let mut ran = 0;
    for piece in pieces(&page) {
        match piece {
            PageBlock::Prose(text) => written.push_str(text),
            PageBlock::File(text) => {
                let name = text.lines().next().unwrap().trim_start_matches("-- ").trim_start_matches("# ");
                project.write(name, text.split_once('\n').unwrap().1);
                written.push_str(text);
            }
            PageBlock::Console(text) => {
                for (command, says) in commands(text) {
                    let said = run(&project, command);
                    let (today, on_page) = (same(&said), same(&says));
                    if today != on_page {
                        let differs = today.iter().zip(&on_page).find(|(today, on_page)| today != on_page);
                        wrong.push(format!("$ {command}\n{said}\nfirst difference: {differs:#?}\n"));
                    }
                    ran += 1;
                    written.push_str(&format!("$ {command}\n{said}"));
                }
            }
        }
    }
    project.end();
    if std::env::var_os("ROUNDTRIP_WRITE").is_some() {
        fs::write(&path, written).unwrap();
    } else {
        assert!(wrong.is_empty(), "docs/A_DAY_IN_PRODUCTION.md says something else than:\n{}", wrong.join("\n"));
    }
    assert!(ran > 5, "the page runs nothing");
}
