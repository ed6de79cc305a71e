//! The data that the steps of a plan destroy, each row and value counted once.

use std::collections::BTreeSet;

use migrate_base::db::ReadOnlySession;
use migrate_base::ident::QualifiedName;
use migrate_core::{Plan, PlanStep};
use migrate_review::effect::{self, Effects};
use migrate_review::evidence;
use migrate_schema::Schema;

use super::{ColumnLossBrief, LossBrief, shown};
use crate::exit::Result;

/// The data that the steps destroy, counted. Data that two steps destroy is reported once, with the first of them.
pub(super) async fn count(
    reader: &mut ReadOnlySession,
    plan: &Plan,
    effects: &[Effects],
    schema: &Schema,
    exact: u64,
) -> Result<Vec<LossBrief>> {
    let mut wanted: Vec<(&PlanStep, effect::TableLoss)> = Vec::new();
    let mut gone: BTreeSet<QualifiedName> = BTreeSet::new();
    let mut without: BTreeSet<(QualifiedName, String)> = BTreeSet::new();
    for (step, effects) in plan.steps().iter().zip(effects) {
        let mut taken = effect::resolve(&effects.taken, schema);
        taken.retain_mut(|loss| {
            let is_of_rows = loss.columns.is_empty();
            loss.columns.retain(|column| loss.partial || without.insert((loss.table.clone(), column.clone())));
            !gone.contains(&loss.table) && (is_of_rows || !loss.columns.is_empty())
        });
        let whole = taken.iter().filter(|loss| loss.columns.is_empty() && !loss.partial);
        gone.extend(whole.map(|loss| loss.table.clone()));
        wanted.extend(taken.into_iter().map(|loss| (step, loss)));
    }
    let asked: Vec<_> = wanted.iter().map(|(_, loss)| (loss.table.clone(), loss.columns.clone())).collect();
    let counted = evidence::losses(reader, &asked, exact).await?;
    let one = |((step, loss), counted): ((&PlanStep, effect::TableLoss), Option<evidence::TableLossCount>)| {
        let counted = counted?;
        let columns = counted.columns.into_iter();
        Some(LossBrief {
            version: step.version.to_string(),
            table: shown(&counted.table),
            by: loss.by,
            at_most: loss.partial,
            rows: counted.rows,
            columns: columns.map(|one| ColumnLossBrief { column: one.column, values: one.values }).collect(),
        })
    };
    Ok(wanted.into_iter().zip(counted).filter_map(one).collect())
}
