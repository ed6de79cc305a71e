//! `rule-discards-writes`: what is written to a table that is in use is silently discarded.

use squawk_syntax::ast::{self, AstNode, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::tree::{ObjectName, named};

pub(super) const RULE: LintRule = rule(
    "rule-discards-writes",
    RuleClass::Breaks,
    Severity::Error,
    include_str!("../pages/rule-discards-writes.md"),
    check,
);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for (span, stmt) in &parsed.statements {
        let Stmt::CreateRule(create) = stmt else { continue };
        let Some((event, table)) = discarded(create).filter(|(_, table)| subject.uses(parsed, span.start, table))
        else {
            continue;
        };
        let has_condition = create.rule_on().is_some_and(|on| on.where_clause().is_some());
        let which = if has_condition { "that meets the condition " } else { "" };
        let message = format!("from here on every {event} of {} {which}is discarded without an error", table.name);
        hits.push(
            RuleHit::new(span.clone(), message).help("revoke the privilege to write, or raise an error in a trigger"),
        );
    }
    hits
}

/// The event and the table of a rule DO INSTEAD NOTHING.
fn discarded(create: &ast::CreateRule) -> Option<(&'static str, ObjectName)> {
    let action = create.rule_do()?;
    action.instead_token()?;
    let Some(ast::RuleAction::Nothing(_)) = action.rule_action() else { return None };
    let on = create.rule_on()?;
    let event = on.rule_event()?;
    let text = event.syntax().text().to_string().to_ascii_uppercase();
    let event = ["INSERT", "UPDATE", "DELETE"].into_iter().find(|word| text.trim() == *word)?;
    Some((event, named(&on.relation_name_ref()?)?))
}
