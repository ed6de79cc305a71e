//! How a code is provoked: a command fails with it, says where, and leaves everything as it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{ProgramOutput, Project, said, terminal};

/// What a command that refuses to work must not change.
#[derive(Debug, PartialEq)]
pub(crate) struct ProjectState {
    /// The files of the project, and what is in them.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The relations of the database; a relation that was rewritten or truncated has another number.
    relations: Vec<String>,
    /// The rows of the ledger.
    ledger: Vec<String>,
}

impl ProjectState {
    pub(crate) fn of(project: &Project) -> Self {
        let mut files = BTreeMap::new();
        read(project.path(), &mut files);
        let relations = "SELECT c.oid::regclass || ' ' || c.relfilenode FROM pg_class c \
                         JOIN pg_namespace n ON n.oid = c.relnamespace \
                         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1";
        Self { files, relations: project.query(relations), ledger: ledger(project) }
    }
}

/// The rows of the ledger, if there is one.
fn ledger(project: &Project) -> Vec<String> {
    match project.query("SELECT to_regclass('roundtrip.ledger')").remove(0).as_str() {
        "NULL" => Vec::new(),
        _ => project.query("SELECT l::text FROM roundtrip.ledger l ORDER BY 1"),
    }
}

/// Reads a folder, without what git and the servers of this project keep in it.
fn read(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        match kind.is_dir() {
            true if path.ends_with("home") || path.ends_with(".git") => {}
            true => read(&path, files),
            false => {
                let content = if kind.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                files.insert(path, content);
            }
        }
    }
}

/// Runs a command for programs on the database of the test. It has to fail with this exit code and this code, at this
/// place, which is the end of `file:line:column` or nothing; and it must change nothing. Returns the finding.
#[track_caller]
pub(crate) fn refused(project: &Project, arguments: &[&str], wanted: (i32, &str, &str)) -> Value {
    refused_by(project, wanted, || project.run(&[arguments, &["--format", "json"]].concat()))
}

/// The same for a command that is run in another way.
#[track_caller]
pub(crate) fn refused_by(project: &Project, wanted: (i32, &str, &str), run: impl FnOnce() -> ProgramOutput) -> Value {
    let before = ProjectState::of(project);
    let said = run();
    let finding = failed(&said, wanted);
    assert_eq!(ProjectState::of(project), before, "{} changed something", wanted.1);
    finding
}

/// The finding with which a command failed.
#[track_caller]
pub(crate) fn failed(said: &ProgramOutput, (exit, code, place): (i32, &str, &str)) -> Value {
    let json = said.json();
    let findings = json["error"]["findings"].as_array().unwrap_or_else(|| panic!("no {code}: {said:?}"));
    assert_eq!(findings.len(), 1, "one cause has one finding: {said:?}");
    let finding = &findings[0];
    assert_eq!((finding["code"].as_str(), said.code), (Some(code), exit), "{said:?}");
    assert_eq!(json["error"]["exit_code"], exit, "{said:?}");
    is_at(finding, place);
    finding.clone()
}

/// The only finding with this code in a document, wherever it is.
#[track_caller]
pub(crate) fn found(said: &ProgramOutput, code: &str) -> Value {
    let mut all = all_found(said, code);
    assert_eq!(all.len(), 1, "{code}: {all:#?} in {said:?}");
    all.remove(0)
}

/// The findings with this code in a document, each one once, in the order of their files.
#[track_caller]
pub(crate) fn all_found(said: &ProgramOutput, code: &str) -> Vec<Value> {
    let mut all = Vec::new();
    collect(&said.json(), &mut all);
    all.retain(|finding| finding["code"] == code);
    all.sort_by_key(|finding| finding["file"].to_string());
    all.dedup();
    all
}

fn collect(json: &Value, all: &mut Vec<Value>) {
    match json {
        Value::Object(fields) if fields.contains_key("code") && fields.contains_key("severity") => {
            all.push(json.clone());
        }
        Value::Object(fields) => fields.values().for_each(|value| collect(value, all)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, all)),
        _ => {}
    }
}

/// Whether a finding says something, and is at this place.
#[track_caller]
pub(crate) fn is_at(finding: &Value, place: &str) {
    assert_ne!(finding["message"].as_str().unwrap_or_default(), "", "{finding:#}");
    let part = |name: &str| match &finding[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => format!(":{other}"),
    };
    let shown = format!("{}{}{}", part("file"), part("line"), part("column"));
    let is_there = if place.is_empty() { shown.is_empty() } else { shown.ends_with(place) };
    assert!(is_there, "{shown:?} is not {place:?}: {finding:#}");
}

/// The help of a finding, in one text.
pub(crate) fn help(finding: &Value) -> String {
    finding["help"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Runs a command with this input.
pub(crate) fn fed(mut command: Command, input: &[u8]) -> ProgramOutput {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses before it reads has closed its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    said(child.wait_with_output().unwrap())
}

/// Runs a command on a terminal. When it asks something that ends with this text, `meanwhile` happens, and then it gets
/// the answer. Returns its exit code, and what was on the terminal.
pub(crate) fn answered(mut command: Command, question: &str, meanwhile: impl FnOnce(), answer: &str) -> (i32, String) {
    let (mut terminal, name) = terminal();
    let side = || fs::OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
    // The command keeps its ends of the terminal open until it is dropped.
    drop(command);
    let (mut shown, mut part) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&shown).ends_with(question) {
        match terminal.read(&mut part) {
            Ok(length @ 1..) => shown.extend_from_slice(&part[..length]),
            end => panic!("it does not ask: {end:?} {}", String::from_utf8_lossy(&shown)),
        }
    }
    meanwhile();
    writeln!(terminal, "{answer}").unwrap();
    // On Linux, reading from a terminal that nobody has open any more ends with an error.
    let _ = terminal.read_to_end(&mut shown);
    let code = child.wait().unwrap().code().unwrap_or(-1);
    (code, String::from_utf8(shown).unwrap())
}
