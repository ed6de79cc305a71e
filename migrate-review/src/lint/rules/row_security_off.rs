//! `row-security-off`: everybody can see all rows.

use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::tree::{span, targets};

pub(super) const RULE: LintRule =
    rule("row-security-off", RuleClass::Security, Severity::Error, include_str!("../pages/row-security-off.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for (at, stmt) in &parsed.statements {
        let Stmt::AlterTable(alter) = stmt else { continue };
        if !targets(stmt).iter().any(|target| subject.in_use(parsed, at.start, target)) {
            continue;
        }
        for action in alter.actions() {
            let (place, message) = match &action {
                AlterTableAction::DisableRls(it) => (span(it), "the policies of the table no longer apply to anybody"),
                AlterTableAction::NoForceRls(it) => {
                    (span(it), "the policies of the table no longer apply to its owner")
                }
                _ => continue,
            };
            hits.push(RuleHit::new(place, message).help("change the policy that is too strict, and keep the others"));
        }
    }
    hits
}
