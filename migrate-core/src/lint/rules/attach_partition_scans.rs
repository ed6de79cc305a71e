//! `attach-partition-scans`: a table with rows becomes a partition, and all its rows are looked at under a lock.

use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::{named, relation, span};
use crate::schema::Kind;

pub(super) const RULE: Rule = rule(
    "attach-partition-scans",
    Class::Locks,
    Severity::Warning,
    include_str!("../pages/attach-partition-scans.md"),
    check,
);

fn check(subject: &Subject<'_>, parsed: &Parsed<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (_, stmt) in &parsed.statements {
        let Stmt::AlterTable(alter) = stmt else { continue };
        for action in alter.actions() {
            let AlterTableAction::AttachPartition(attach) = action else { continue };
            let Some(partition) = attach.table_name_ref().and_then(|name| named(&name)) else { continue };
            // Whether the check implies the bound is for the server to say; that there is one shows that somebody thought of it.
            let is_checked = subject.before.is_some_and(|before| {
                let table = relation(before, &partition);
                let mut checks =
                    table.into_iter().flat_map(|table| before.schema.children(&table.id, Kind::Constraint));
                checks.any(|one| {
                    one.fact("definition").is_some_and(|text| text.starts_with("CHECK") && !text.ends_with("NOT VALID"))
                })
            });
            if subject.uses(parsed, &partition) && !is_checked {
                let hit = Hit::new(span(&attach), format!("every row of {partition} is looked at while it is locked"))
                    .help("first add a CHECK that says the same as the bound, NOT VALID, and validate it");
                hits.push(hit);
            }
        }
    }
    hits
}
