//! `grant-to-public`: every role gets a privilege, including roles created later.

use squawk_syntax::ast::{AlterDefaultPrivilegesAction, AstNode, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::tree::span;

pub(super) const RULE: LintRule =
    rule("grant-to-public", RuleClass::Security, Severity::Warning, include_str!("../pages/grant-to-public.md"), check);

fn check(_: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for (_, stmt) in &parsed.statements {
        let roles = match stmt {
            Stmt::Grant(grant) => grant.role_ref_list(),
            Stmt::AlterDefaultPrivileges(alter) => match alter.action() {
                Some(AlterDefaultPrivilegesAction::GrantDefaultPrivileges(grant)) => grant.role_ref_list(),
                _ => None,
            },
            _ => None,
        };
        let roles = roles.into_iter().flat_map(|list| list.role_refs());
        let public = roles.filter(|role| role.syntax().text().to_string().trim().eq_ignore_ascii_case("public"));
        hits.extend(public.map(|role| {
            RuleHit::new(span(&role), "every role of the server gets this privilege, including roles created later")
                .help("grant it to the roles that need it")
        }));
    }
    hits
}
