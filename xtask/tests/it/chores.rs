//! The chores of this repository, `cargo xtask dev`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use serde_json::{Value, json};

use crate::support::{ProgramOutput, said};

/// The arguments as the executable parses them. What the chores do is not needed here.
#[allow(dead_code)]
#[path = "../../src/dev/cli.rs"]
pub(crate) mod cli;

fn dev(arguments: &[&str]) -> ProgramOutput {
    said(Command::new(env!("CARGO_BIN_EXE_xtask")).arg("dev").args(arguments).output().unwrap())
}

/// The chapters of a book, each a page and its text, as the preprocessor writes them for mdbook.
pub(crate) fn in_book(root: &Path, chapters: &[(String, String)]) -> Vec<String> {
    let chapter = |(path, text): &(String, String)| json!({ "Chapter": { "path": path, "content": text } });
    let context = json!({ "root": root, "config": { "book": { "src": "docs" } } });
    let book = json!({ "sections": chapters.iter().map(chapter).collect::<Vec<_>>(), "__non_exhaustive": null });
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["dev", "book"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!([context, book]).to_string().as_bytes()).unwrap();
    let book = said(child.wait_with_output().unwrap()).ok().json();
    let text = |section: &Value| section["Chapter"]["content"].as_str().unwrap().to_owned();
    book["sections"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn the_help_lists_each_chore_and_has_an_example_of_it() {
    let help = dev(&["--help"]).ok().out;
    let mut chores = 0;
    for chore in cli::DevCli::command().get_subcommands() {
        let (name, about) = (chore.get_name(), chore.get_about().unwrap().to_string());
        assert!(help.lines().any(|line| line.trim().starts_with(name) && line.ends_with(&about)), "{name}: {help}");
        let own = dev(&[name, "--help"]).ok().out;
        let (_, examples) = own.split_once("\nExample").unwrap_or_else(|| panic!("{own}"));
        assert!(examples.contains(&format!("cargo xtask dev {name}")) || name == "book", "{own}");
        chores += 1;
    }
    assert_eq!(chores, 7);
}

#[test]
fn the_preprocessor_adapts_links_between_the_root_and_the_pages() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/INTRODUCTION.md"), "{{#include ../README.md}}\n").unwrap();
    let expected = [
        // The page that shows README.md.
        ("INTRODUCTION.md", "[a](docs/GUIDE.md#b), [c](LICENSE)", "[a](GUIDE.md#b), [c](LICENSE)"),
        ("GUIDE.md", "[a](../README.md) [b](FORMATS.md)", "[a](INTRODUCTION.md) [b](FORMATS.md)"),
        (
            "decisions/0001.md",
            "[`a`](../../README.md#b) [c](0002.md) [d](../GUIDE.md)",
            "[`a`](../INTRODUCTION.md#b) [c](0002.md) [d](../GUIDE.md)",
        ),
        // Other addresses, anchors alone, code.
        ("GUIDE.md", "[a](https://b/../README.md) [c](#d)", "[a](https://b/../README.md) [c](#d)"),
        (
            "GUIDE.md",
            "`[a](../README.md)` ``` ` [b](../README.md)```",
            "`[a](../README.md)` ``` ` [b](../README.md)```",
        ),
        ("GUIDE.md", "```\n[a](../README.md)\n```\n", "```\n[a](../README.md)\n```\n"),
        ("GUIDE.md", "a ` b\n\n[c](../README.md) ` d", "a ` b\n\n[c](INTRODUCTION.md) ` d"),
        ("GUIDE.md", "[é] ü](a) ](b", "[é] ü](a) ](b"),
    ];
    let chapters = expected.map(|(page, text, _)| (page.to_owned(), text.to_owned()));
    assert_eq!(in_book(folder.path(), &chapters), expected.map(|(_, _, adapted)| adapted));
    dev(&["book", "supports", "html"]).ok();
}
