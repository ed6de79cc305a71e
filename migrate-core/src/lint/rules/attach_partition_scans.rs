//! `attach-partition-scans`: a table with rows becomes a partition, and all its rows are looked at under a lock.

use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::{named, span};
use crate::locks::Work;

pub(super) const RULE: Rule = rule(
    "attach-partition-scans",
    Class::Locks,
    Severity::Warning,
    include_str!("../pages/attach-partition-scans.md"),
    check,
);

fn check(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let known = subject.known(parsed);
    let mut hits = Vec::new();
    for (place, stmt) in &parsed.statements {
        if matches!(stmt, Stmt::CreateTable(_)) {
            hits.extend(beside_default(subject, parsed, stmt).map(|message| Hit::new(place.clone(), message)));
        }
        let Stmt::AlterTable(alter) = stmt else { continue };
        let table = alter.table_relation_name().and_then(|name| named(&name.table_name_ref()?));
        for action in alter.actions() {
            let AlterTableAction::AttachPartition(attach) = action else { continue };
            let Some((table, partition)) = table.clone().zip(attach.table_name_ref().and_then(|name| named(&name)))
            else {
                continue;
            };
            let is_read = subject.uses(parsed, &partition) && !known.implies_bound(&table, Some(&partition));
            let default = known.full(&table).and_then(|table| known.default_partition(&table));
            let default = default.filter(|name| subject.uses(parsed, name) && !known.is_checked(name));
            let names: Vec<String> =
                is_read.then_some(partition).into_iter().chain(default).map(|name| name.to_string()).collect();
            if !names.is_empty() {
                let message = format!("every row of {} is looked at while it is locked", names.join(" and of "));
                let hit = Hit::new(span(&attach), message)
                    .help("first add a CHECK that says the same as the bound, NOT VALID, and validate it")
                    .help(
                        "a default partition needs one that says the opposite; indexes of the table are built before",
                    );
                hits.push(hit);
            }
        }
    }
    hits
}

/// A new partition, of which the default one must hold no rows.
fn beside_default(subject: &Subject<'_>, parsed: &Parsed, stmt: &Stmt) -> Option<String> {
    let known = subject.known(parsed);
    let wanted = subject.wanted(parsed, stmt);
    let read = wanted.iter().find(|one| one.work > Work::Nothing && !known.is_checked(&one.table))?;
    Some(format!("every row of {}, the default partition, is looked at while it is locked", read.table))
}
