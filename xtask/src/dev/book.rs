//! A preprocessor of mdbook: adapts links between the root of the repository and `docs/` for the book.
//!
//! The pages of the book are those of `docs/`. Some only include a file of the root, such as README.md. A link that is
//! right in the repository, `docs/GUIDE.md` or `../README.md`, is written as the book needs it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::Result;

/// Where the texts of the pages come from. Paths are relative to the root of the repository, pages to the book's
/// folder.
struct BookSources {
    /// The folder of the pages.
    folder: String,
    /// The files outside of it that are pages as well, with the pages that include them.
    included: BTreeMap<String, String>,
}

/// Reads the book from mdbook, and writes it with adapted links.
pub(super) fn run() -> Result {
    let mut input: Value = serde_json::from_str(&io::read_to_string(io::stdin())?)?;
    let Some([context, book]) = input.as_array_mut().map(Vec::as_mut_slice) else {
        return Err("mdbook writes its context and the book".into());
    };
    let root = context["root"].as_str().ok_or("mdbook does not say where the book is")?;
    let folder = context["config"]["book"]["src"].as_str().unwrap_or("src");
    let sources = BookSources::read(Path::new(root), folder)?;
    adapt(book, &sources);
    println!("{book}");
    Ok(())
}

impl BookSources {
    fn read(root: &Path, folder: &str) -> Result<Self> {
        let mut included = BTreeMap::new();
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            if path.extension().is_none_or(|end| end != "md") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let directive = text.split_once("{{#include ").and_then(|(_, rest)| Some(rest.split_once("}}")?.0));
            if let (Some(file), Some(page)) = (directive, path.file_name()) {
                included.insert(join(folder, file), page.to_string_lossy().into_owned());
            }
        }
        Ok(Self { folder: folder.to_owned(), included })
    }

    /// The target of a link on a page, as the book needs it.
    fn in_book(&self, page: &str, target: &str) -> String {
        let (path, anchor) = target.split_at(target.find('#').unwrap_or(target.len()));
        if path.is_empty() || path.contains(':') {
            return target.to_owned();
        }
        let file = self.included.iter().find(|(_, shown)| *shown == page).map(|(file, _)| file.clone());
        let file = file.unwrap_or_else(|| join(&self.folder, page));
        let aim = join(parent(&file), path);
        let own = aim.strip_prefix(&self.folder).and_then(|rest| rest.strip_prefix('/'));
        match self.included.get(&aim).map(String::as_str).or(own) {
            Some(aim) => relative(aim, parent(page)) + anchor,
            None => target.to_owned(),
        }
    }
}

/// Adapts the links of every chapter, wherever the version of mdbook puts it.
fn adapt(value: &mut Value, sources: &BookSources) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| adapt(item, sources)),
        Value::Object(fields) => {
            let page = fields.get("path").and_then(Value::as_str).map(str::to_owned);
            if let (Some(page), Some(Value::String(content))) = (page, fields.get_mut("content")) {
                *content = with_targets(content, &|target| sources.in_book(&page, target));
            }
            fields.values_mut().for_each(|field| adapt(field, sources));
        }
        _ => {}
    }
}

/// Applies a function to the target of each link that is not in code.
fn with_targets(text: &str, change: &dyn Fn(&str) -> String) -> String {
    let (mut written, mut prose, mut fence) = (String::new(), String::new(), None);
    for line in text.split_inclusive('\n') {
        let marks = line.trim_start();
        match fence {
            None if marks.starts_with("```") || marks.starts_with("~~~") => {
                written += &prose_with_targets(&std::mem::take(&mut prose), change);
                written += line;
                fence = Some(&marks[..3]);
            }
            None => prose += line,
            Some(mark) => {
                written += line;
                fence = fence.filter(|_| !marks.starts_with(mark));
            }
        }
    }
    written + &prose_with_targets(&prose, change)
}

/// The same for a text without blocks of code.
fn prose_with_targets(text: &str, change: &dyn Fn(&str) -> String) -> String {
    let (mut written, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['`', ']']) {
        written += &rest[..at];
        rest = &rest[at..];
        let target = rest.strip_prefix("](").and_then(|inner| Some(&inner[..inner.find(')')?]));
        let length = match target {
            Some(target) if !target.contains(char::is_whitespace) => {
                written += "](";
                written += &change(target);
                rest = &rest[2 + target.len()..];
                continue;
            }
            _ if rest.starts_with('`') => code(rest),
            _ => 1,
        };
        written += &rest[..length];
        rest = &rest[length..];
    }
    written + rest
}

/// The length of the code that begins here, with its backticks; of the backticks alone if nothing in the paragraph ends
/// it.
fn code(text: &str) -> usize {
    let ticks = |text: &str| text.len() - text.trim_start_matches('`').len();
    let opening = ticks(text);
    let paragraph = &text[..text.find("\n\n").unwrap_or(text.len())];
    let mut at = opening;
    while let Some(next) = paragraph[at..].find('`') {
        at += next;
        let closing = ticks(&paragraph[at..]);
        at += closing;
        if closing == opening {
            return at;
        }
    }
    opening
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path in a folder, without `.` and `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A path as a folder reaches it; both are relative to the same place.
fn relative(path: &str, folder: &str) -> String {
    let (mut path, mut folder) = (path, folder);
    while let (Some((first, rest)), Some(outer)) = (path.split_once('/'), folder.split('/').next())
        && first == outer
    {
        path = rest;
        folder = folder.split_once('/').map_or("", |(_, rest)| rest);
    }
    let ups = folder.split('/').filter(|part| !part.is_empty()).count();
    "../".repeat(ups) + path
}
