//! `attach-partition-scans`: attaching a partition reads its rows under a lock to check the bound.

use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::locks::RowWork;
use crate::tree::span;

pub(super) const RULE: LintRule = rule(
    "attach-partition-scans",
    RuleClass::Locks,
    Severity::Warning,
    include_str!("../pages/attach-partition-scans.md"),
    check,
);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for (place, stmt) in &parsed.statements {
        let place = match stmt {
            Stmt::CreateTable(it) if it.partition_of().is_some() => place.clone(),
            Stmt::AlterTable(it) => {
                let attach = it.actions().find(|action| matches!(action, AlterTableAction::AttachPartition(_)));
                let Some(attach) = attach else { continue };
                span(&attach)
            }
            _ => continue,
        };
        let wanted = subject.wanted(parsed, stmt);
        let read = wanted.iter().filter(|one| one.work > RowWork::Nothing).map(|one| one.table.to_string());
        let names: Vec<String> = read.collect();
        if !names.is_empty() {
            let (names, is) = (names.join(" and of "), if names.len() == 1 { "it is" } else { "they are" });
            let hit = RuleHit::new(place, format!("this scans every row of {names} while {is} locked"))
                .help("first add a CHECK with the same condition as the bound, as NOT VALID, and validate it")
                .help("a default partition needs a CHECK that says the opposite; build the indexes of the table first");
            hits.push(hit);
        }
    }
    hits
}
