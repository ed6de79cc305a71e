//! `unread-statement`: a statement is built at run time, or runs in a function, so nobody can say what it does.

use std::collections::BTreeMap;
use std::ops::Range;

use squawk_syntax::ast::{self, AstNode, Stmt};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::inside::Unread;
use crate::lint::script::{Named, named, span};
use crate::schema::Kind;
use crate::sql::{quoted, tokens};

pub(super) const RULE: Rule =
    rule("unread-statement", Class::Locks, Severity::Warning, include_str!("../pages/unread-statement.md"), check);

/// Words of a body that changes more than it adds, or that runs what it is given.
const CHANGES: [&str; 13] = [
    "alter", "create", "drop", "truncate", "lock", "execute", "reindex", "cluster", "refresh", "update", "delete",
    "merge", "call",
];

fn check(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let hit = |one: &Unread| match one.is_deep {
        true => Hit::new(
            one.place.clone(),
            "this has too many terms or is nested too deeply to be parsed, so it was not checked",
        )
        .help("write a list, `id IN (1, 2, …)`, or several statements"),
        false => Hit::new(one.place.clone(), "this is built at run time, so it was not checked")
            .note("what it locks, rewrites or removes is not in the text of the migration")
            .help("write the statement out, or see what it does with `cargo xtask ci`, which observes it"),
    };
    parsed.unread.iter().map(hit).chain(calls(subject, parsed)).collect()
}

/// The calls of functions whose bodies change something.
fn calls(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let called: Vec<(Range<usize>, Named)> =
        parsed.statements.iter().filter(|(_, stmt)| runs(stmt)).flat_map(|(_, stmt)| called(stmt)).collect();
    if called.is_empty() {
        return Vec::new();
    }
    let texts = texts(subject, parsed);
    let changing = called.into_iter().filter(|(_, name)| changes(&texts, &name.name));
    let hit = |(place, name): (Range<usize>, Named)| {
        Hit::new(place, format!("{name} changes something, and what it does was not checked"))
            .note("the body of a function runs with the migration, but is not in its statements")
            .help("write its statements out, or see what they do with `cargo xtask ci`, which observes them")
    };
    changing.map(hit).collect()
}

/// Whether a statement calls the functions in it when it runs.
fn runs(stmt: &Stmt) -> bool {
    matches!(
        stmt,
        Stmt::Select(_)
            | Stmt::CompoundSelect(_)
            | Stmt::ParenSelect(_)
            | Stmt::SelectInto(_)
            | Stmt::Values(_)
            | Stmt::Call(_)
            | Stmt::Insert(_)
            | Stmt::Update(_)
            | Stmt::Delete(_)
            | Stmt::Merge(_)
            | Stmt::CreateTableAs(_)
            | Stmt::CreateMaterializedView(_)
    )
}

fn called(stmt: &Stmt) -> Vec<(Range<usize>, Named)> {
    let calls = stmt.syntax().descendants().filter_map(ast::CallExpr::cast);
    let calls = calls.filter_map(|call| Some((span(&call), named(&call.expr()?)?)));
    let procedure = match stmt {
        Stmt::Call(it) => it.procedure_name_ref().and_then(|name| named(&name)).map(|name| (span(it), name)),
        _ => None,
    };
    let mut all: Vec<(Range<usize>, Named)> = procedure.into_iter().chain(calls).collect();
    all.dedup_by(|one, other| one.1 == other.1);
    all
}

/// The texts of all functions that are known, by their names: those of the schema, and of the script.
fn texts(subject: &Subject<'_>, parsed: &Parsed) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let is_code = |kind: Kind| matches!(kind, Kind::Function | Kind::Procedure);
    for one in subject.before.into_iter().flat_map(|at| at.schema.objects()).filter(|one| is_code(one.id.kind)) {
        let text = one.fact("definition").unwrap_or_default();
        all.entry(one.id.name.to_string()).or_default().push(text.to_owned());
    }
    for (_, stmt) in &parsed.statements {
        let name = match stmt {
            Stmt::CreateFunction(it) => it.name().and_then(|name| named(&name)),
            Stmt::CreateProcedure(it) => it.name().and_then(|name| named(&name)),
            _ => None,
        };
        if let Some(name) = name {
            all.entry(name.name).or_default().push(stmt.syntax().text().to_string());
        }
    }
    all
}

/// The words of the body of a function, in lower case.
fn body(text: &str) -> Vec<String> {
    let outer = tokens(text);
    let literals: Vec<String> = outer.iter().filter_map(|word| quoted(word)).map(|body| body.into_owned()).collect();
    // The first words are those of CREATE FUNCTION itself.
    let begin = outer.iter().position(|word| ["as", "atomic", "return"].contains(&word.to_ascii_lowercase().as_str()));
    let plain = outer.iter().skip(begin.unwrap_or(usize::MAX)).copied();
    literals.iter().flat_map(|body| tokens(body)).chain(plain).map(str::to_ascii_lowercase).collect()
}

/// Whether a function changes something, itself or by those that it calls.
fn changes(texts: &BTreeMap<String, Vec<String>>, name: &str) -> bool {
    let (mut queue, mut at) = (vec![name.to_owned()], 0);
    while let Some(name) = queue.get(at).cloned() {
        at += 1;
        let words: Vec<String> = texts.get(&name).into_iter().flatten().flat_map(|text| body(text)).collect();
        if words.iter().any(|word| CHANGES.contains(&word.as_str())) {
            return true;
        }
        let further = words.into_iter().filter(|word| texts.contains_key(word));
        for one in further {
            if !queue.contains(&one) {
                queue.push(one);
            }
        }
    }
    false
}
