//! The links of the documents: each leads to a file and a heading, in the repository and in the book.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::chores::in_book;
use crate::support::root;

/// Markdown with the links and the headings that it contains.
#[derive(Debug, Default)]
struct LinkedPage {
    targets: Vec<String>,
    anchors: BTreeSet<String>,
}

impl LinkedPage {
    fn read(text: &str) -> Self {
        let (mut page, mut heading, mut seen) = (Self::default(), None::<String>, BTreeMap::new());
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { link_type, dest_url, .. })
                    if !matches!(link_type, LinkType::Autolink | LinkType::Email) =>
                {
                    page.targets.push(dest_url.into_string());
                }
                Event::Start(Tag::Image { dest_url, .. }) => page.targets.push(dest_url.into_string()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => heading.iter_mut().for_each(|heading| *heading += &text),
                Event::End(TagEnd::Heading(_)) => {
                    let name = anchor(&heading.take().unwrap());
                    let number = seen.entry(name.clone()).and_modify(|number| *number += 1).or_insert(0);
                    page.anchors.insert(if *number == 0 { name } else { format!("{name}-{number}") });
                }
                _ => {}
            }
        }
        page
    }
}

/// The anchor of a heading, as GitHub and mdbook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|char| char.is_alphanumeric() || "_- ".contains(*char));
    kept.flat_map(char::to_lowercase).map(|char| if char == ' ' { '-' } else { char }).collect()
}

/// The path that a link on this page names.
fn aim(page: &str, path: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The links of these pages that lead nowhere, and how many links there are. `exists` says whether there is a file that
/// is not a page.
fn broken(kind: &str, pages: &BTreeMap<String, LinkedPage>, exists: &dyn Fn(&str) -> bool) -> (usize, Vec<String>) {
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, page) in pages {
        // An address has a scheme.
        let relative = page.targets.iter().filter(|target| !target.split(['/', '#']).next().unwrap().contains(':'));
        for target in relative {
            count += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let aim = if path.is_empty() { name.clone() } else { aim(name, path) };
            match pages.get(&aim) {
                None if !exists(&aim) => wrong.push(format!("{kind}: {name}: {target}: there is no such file")),
                Some(page) if anchor.is_empty() || page.anchors.contains(anchor) => {}
                None if anchor.is_empty() => {}
                _ => wrong.push(format!("{kind}: {name}: {target}: there is no such heading")),
            }
        }
    }
    (count, wrong)
}

/// The documents below a folder, by their path from the root.
fn documents(root: &Path, folder: &str, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" {
                documents(root, &path, all);
            }
        } else if name.ends_with(".md") {
            all.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// Everything that is wrong with the links of a repository and of its book, and how many links there are.
fn check(root: &Path) -> (usize, Vec<String>) {
    let mut texts = BTreeMap::new();
    documents(root, "", &mut texts);
    let pages = texts.iter().map(|(name, text)| (name.clone(), LinkedPage::read(text))).collect();
    let (mut count, mut wrong) = broken("repository", &pages, &|path| root.join(path).exists());

    let (mut listed, mut chapters) = (BTreeSet::new(), Vec::new());
    for page in &pages["docs/SUMMARY.md"].targets {
        match texts.get(&format!("docs/{page}")) {
            _ if !listed.insert(page.clone()) => wrong.push(format!("book: {page} is in SUMMARY.md twice")),
            Some(text) => chapters.push((page.clone(), with_includes(root, page, text))),
            // It is a broken link of the repository.
            None => {}
        }
    }
    for page in texts.keys().filter_map(|name| name.strip_prefix("docs/")) {
        if page != "SUMMARY.md" && !listed.contains(page) {
            wrong.push(format!("book: {page} is not in SUMMARY.md"));
        }
    }
    let adapted = in_book(root, &chapters);
    let pages = chapters.into_iter().zip(adapted).map(|((page, _), text)| (page, LinkedPage::read(&text))).collect();
    let is_copied =
        |path: &str| !path.starts_with("..") && !path.ends_with(".md") && root.join("docs").join(path).exists();
    let (more, others) = broken("book", &pages, &is_copied);
    count += more;
    wrong.extend(others);
    (count, wrong)
}

/// The text of a page after mdbook has included other files.
fn with_includes(root: &Path, page: &str, text: &str) -> String {
    let Some((before, rest)) = text.split_once("{{#include ") else { return text.to_owned() };
    let (file, after) = rest.split_once("}}").unwrap();
    let included = fs::read_to_string(root.join(aim(&format!("docs/{page}"), file))).unwrap();
    format!("{before}{included}{after}")
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let (count, wrong) = check(root());
    assert!(count > 300, "the documents are not read any more: {count}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("LICENSE", "");
    write("README.md", "# A\n[guide](docs/GUIDE.md#what-it-is) [`x`](docs/NONE.md) [here](#a) [there](#b)\n");
    write("docs/SUMMARY.md", "- [Introduction](INTRODUCTION.md)\n- [Guide](GUIDE.md)\n- [Guide](GUIDE.md)\n");
    write("docs/INTRODUCTION.md", "{{#include ../README.md}}\n");
    write(
        "docs/GUIDE.md",
        "# What `it` is?\n# A\n# A\n[a](#a-1) [b](../README.md#a) [c](../LICENSE) [d](https://e/f)\n",
    );
    write("docs/UNLISTED.md", "```\n[in code](NONE.md)\n```\n[anchor of a file](../LICENSE#a)\n");
    let (count, mut wrong) = check(folder.path());
    wrong.sort();
    let expected = [
        "book: GUIDE.md is in SUMMARY.md twice",
        "book: GUIDE.md: ../LICENSE: there is no such file",
        "book: INTRODUCTION.md: #b: there is no such heading",
        "book: INTRODUCTION.md: NONE.md: there is no such file",
        "book: UNLISTED.md is not in SUMMARY.md",
        "repository: README.md: #b: there is no such heading",
        "repository: README.md: docs/NONE.md: there is no such file",
        "repository: docs/UNLISTED.md: ../LICENSE#a: there is no such heading",
    ];
    assert_eq!(wrong, expected);
    assert_eq!(count, 18);
}
