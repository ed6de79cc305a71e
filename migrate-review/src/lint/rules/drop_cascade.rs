//! `drop-cascade`: a statement drops dependent objects without naming them.

use migrate_base::sql::tokens;
use migrate_schema::{Id, Kind, SchemaDescription};
use squawk_syntax::ast::{self, AlterTableAction, AstNode, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::lint::script::relation;
use crate::tree::{ObjectName, StatementTarget, named, span, targets};

pub(super) const RULE: LintRule =
    rule("drop-cascade", RuleClass::Breaks, Severity::Error, include_str!("../pages/drop-cascade.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for (_, stmt) in &parsed.statements {
        // TRUNCATE has its own rule.
        let Some(word) = cascade(stmt).filter(|_| !matches!(stmt, Stmt::Truncate(_))) else { continue };
        let known = subject.before.map(|before| dropped(before, stmt));
        let with =
            known.iter().flat_map(|objects| objects.iter().flat_map(|id| stands_on(subject, id))).collect::<Vec<_>>();
        let hit = RuleHit::new(span(&word), "CASCADE also drops everything that depends on it at that time")
            .help("drop each object by its name, in an order that works without CASCADE");
        hits.push(match (known, with.is_empty()) {
            (Some(_), true) => hit.note("nothing depends on it in the schema of the migrations"),
            (Some(_), false) => {
                hit.note(format!("in the schema of the migrations these depend on it: {}", with.join(", ")))
            }
            (None, _) => hit,
        });
    }
    hits
}

/// The word CASCADE in a statement. The actions of foreign keys and the revoking of privileges do not count.
fn cascade(stmt: &Stmt) -> Option<ast::Cascade> {
    let is_action = |word: &ast::Cascade| {
        let around = word.syntax().parent().map(|node| node.kind());
        around.is_some_and(|kind| ast::OnDeleteAction::can_cast(kind) || ast::OnUpdateAction::can_cast(kind))
    };
    let is_of_rights = matches!(stmt, Stmt::Revoke(_) | Stmt::AlterDefaultPrivileges(_));
    // Adding or changing an attribute cascades to the typed tables and drops nothing.
    if matches!(stmt, Stmt::AlterType(_))
        && !tokens(&stmt.syntax().text().to_string()).iter().any(|word| word.eq_ignore_ascii_case("drop"))
    {
        return None;
    }
    let mut words = stmt.syntax().descendants().filter_map(ast::Cascade::cast);
    words.find(|word| !is_action(word) && !is_of_rights)
}

/// The objects that a statement drops by name.
fn dropped(before: &SchemaDescription, stmt: &Stmt) -> Vec<Id> {
    if let Stmt::AlterTable(alter) = stmt {
        let Some(StatementTarget::Relation(table)) = targets(stmt).into_iter().next() else { return Vec::new() };
        let Some(table) = relation(before, &table) else { return Vec::new() };
        let part = |kind, name: Option<ObjectName>| {
            Some(Id { kind, parent: table.id.name.clone(), name: name?.name.into(), ..(*table.id).clone() })
        };
        let dropped = alter.actions().filter_map(|action| match action {
            AlterTableAction::DropColumn(it) => part(Kind::Column, it.column_name_ref().and_then(|name| named(&name))),
            AlterTableAction::DropConstraint(it) => {
                part(Kind::Constraint, it.constraint_name_ref().and_then(|name| named(&name)))
            }
            _ => None,
        });
        return dropped.collect();
    }
    let names = targets(stmt).into_iter().map(|target| match target {
        StatementTarget::Relation(name) | StatementTarget::Index(name) | StatementTarget::Other(name) => name,
    });
    let find = |name: ObjectName| {
        let is_it = |id: &Id| {
            *id.name == *name.name && id.parent.is_empty() && name.schema.as_ref().is_none_or(|s| **s == *id.schema)
        };
        before.schema.objects().map(|one| (*one.id).clone()).find(is_it)
    };
    names.filter_map(find).collect()
}

/// The objects that depend on an object and are not part of it.
fn stands_on(subject: &LintSubject<'_>, id: &Id) -> Vec<String> {
    let Some(before) = subject.before else { return Vec::new() };
    let of_it = |other: &Id| other.schema == id.schema && (other.parent == id.name || other == id);
    before.users(id).filter(|other| !of_it(other)).map(ToString::to_string).collect()
}
