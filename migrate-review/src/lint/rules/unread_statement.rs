//! `unread-statement`: a statement is built at run time, or runs in a function, so it cannot be checked.

use std::collections::BTreeMap;
use std::ops::Range;

use migrate_base::sql::{quoted, tokens};
use migrate_schema::Kind;
use squawk_syntax::ast::{AstNode, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::parse::parse;
use crate::tree::UnreadStatement;
use crate::tree::{ObjectName, named};
use crate::tree::{TriggerDefinition, called, writes};

pub(super) const RULE: LintRule =
    rule("unread-statement", RuleClass::Locks, Severity::Warning, include_str!("../pages/unread-statement.md"), check);

/// Words in a body that changes more than it adds, or that runs what it is given.
const CHANGES: [&str; 13] = [
    "alter", "create", "drop", "truncate", "lock", "execute", "reindex", "cluster", "refresh", "update", "delete",
    "merge", "call",
];

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let hit = |one: &UnreadStatement| match one.is_deep {
        true => RuleHit::new(
            one.place.clone(),
            "this has too many terms or is nested too deeply to be parsed, so it was not checked",
        )
        .help("write a list, `id IN (1, 2, …)`, or several statements"),
        false => RuleHit::new(one.place.clone(), "this is built at run time, so it was not checked")
            .note("what it locks, rewrites or removes is not visible in the text of the migration")
            .help("write the statement out, or run `cargo xtask ci`, which observes what it does"),
    };
    parsed.unread.iter().map(hit).chain(calls(subject, parsed)).collect()
}

/// The calls of functions whose bodies change something and are not among the statements of the script.
fn calls(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let of_statements = parsed.statements.iter().flat_map(|(_, stmt)| called(stmt));
    let called: Vec<(Range<usize>, ObjectName)> = of_statements.chain(parsed.called.iter().cloned()).collect();
    let fired = fired(subject, parsed);
    if called.is_empty() && fired.is_empty() {
        return Vec::new();
    }
    let texts = texts(subject, parsed);
    let hit = |place: Range<usize>, what: String| {
        RuleHit::new(place, format!("{what} changes something that was not checked"))
            .note("the body of a function runs with the migration, but is not in its statements")
            .help("write its statements out, or run `cargo xtask ci`, which observes what they do")
    };
    let of_calls = called.into_iter().filter(|(_, name)| changes(&texts, &name.name));
    let of_calls = of_calls.map(|(place, name)| hit(place, name.to_string()));
    let of_triggers = fired.into_iter().filter(|(.., function)| changes(&texts, &function.name));
    let of_triggers = of_triggers
        .map(|(place, trigger, function)| hit(place, format!("{}, which the trigger {trigger} calls,", function.name)));
    of_calls.chain(of_triggers).collect()
}

/// The triggers of existing tables that the script fires, each with the function that it calls.
fn fired(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<(Range<usize>, String, ObjectName)> {
    let Some(before) = subject.before else { return Vec::new() };
    let mut all = Vec::new();
    for (span, stmt) in &parsed.statements {
        let known = subject.known(parsed, span.start);
        for write in writes(stmt) {
            let Some(table) = known.relation(&write.table) else { continue };
            for one in before.schema.children(&table.id, Kind::Trigger) {
                let tree = parse(one.fact("definition").unwrap_or_default()).tree();
                let Some(Stmt::CreateTrigger(create)) = tree.stmts().next() else { continue };
                let trigger = TriggerDefinition::of(&create).filter(|trigger| trigger.is_fired_by(&write));
                let is_off = one.fact("enabled") == Some("no");
                all.extend(
                    trigger.filter(|_| !is_off).map(|found| (span.clone(), one.id.name.to_string(), found.function)),
                );
            }
        }
    }
    all.dedup_by(|one, other| one.1 == other.1);
    all
}

/// The texts of all known functions by name: those of the schema, and of the script.
fn texts(subject: &LintSubject<'_>, parsed: &ParsedScript) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let is_code = |kind: Kind| matches!(kind, Kind::Function | Kind::Procedure);
    for one in subject.before.into_iter().flat_map(|at| at.schema.objects()).filter(|one| is_code(one.id.kind)) {
        let text = one.fact("definition").unwrap_or_default();
        all.entry(one.id.name.to_string()).or_default().push(text.to_owned());
    }
    for stmt in &parsed.routines {
        // What these run is checked already.
        all.remove(&routine(stmt).unwrap_or_default());
    }
    for (_, stmt) in &parsed.statements {
        if let Some(name) = routine(stmt) {
            all.entry(name).or_default().push(stmt.syntax().text().to_string());
        }
    }
    all
}

/// The name of the routine that a statement creates.
fn routine(stmt: &Stmt) -> Option<String> {
    let name = match stmt {
        Stmt::CreateFunction(it) => it.name().and_then(|name| named(&name)),
        Stmt::CreateProcedure(it) => it.name().and_then(|name| named(&name)),
        _ => None,
    };
    name.map(|name| name.name)
}

/// The words of the body of a function, in lower case.
fn body(text: &str) -> Vec<String> {
    let outer = tokens(text);
    let literals: Vec<String> = outer.iter().filter_map(|word| quoted(word)).map(|body| body.into_owned()).collect();
    // The first words belong to CREATE FUNCTION itself.
    let begin = outer.iter().position(|word| ["as", "atomic", "return"].contains(&word.to_ascii_lowercase().as_str()));
    let plain = outer.iter().skip(begin.unwrap_or(usize::MAX)).copied();
    literals.iter().flat_map(|body| tokens(body)).chain(plain).map(str::to_ascii_lowercase).collect()
}

/// Whether a function changes something, itself or through the functions that it calls.
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
