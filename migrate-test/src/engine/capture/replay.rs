//! Compares what the captured scripts make with what the tool made, step by step.

use std::sync::Arc;

use migrate_core::{CodeMigrations, Direction, Migration, MigrationSet};
use migrate_schema::ddl::unowned;
use migrate_schema::{Kind, Schema, SchemaChange, SideNames};

use super::CapturedStep;
use crate::ephemeral::suited;
use crate::proof::{ProofError, WatchedDatabase};
use crate::rows::RowLoss;

const SIDES: SideNames<'_> = SideNames { before: "from the tool", after: "from its statements" };

/// How the scripts of captured migrations differ from what the tool made, for the first migration where they do: its
/// position in `steps`, and the differences. `hear` receives each migration before it is run.
///
/// # Errors
///
/// [`ProofError`] when there is no server. A script that the server refuses is a difference.
pub async fn differences(
    steps: &[CapturedStep],
    set: &MigrationSet,
    hear: &mut dyn FnMut(&Migration),
) -> Result<Option<(usize, Vec<String>)>, ProofError> {
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    suited(&chain, Box::pin(first_difference(steps, &chain, hear))).await
}

async fn first_difference(
    steps: &[CapturedStep],
    chain: &[Arc<Migration>],
    hear: &mut dyn FnMut(&Migration),
) -> Result<Option<(usize, Vec<String>)>, ProofError> {
    let code = CodeMigrations::none();
    let mut stage = WatchedDatabase::at(&[], &code, false).await?;
    let mut found = None;
    for (at, (step, migration)) in steps.iter().zip(chain).enumerate() {
        hear(migration);
        let told = match stage.go(migration, Direction::Up).await? {
            Err(error) => error.findings().iter().map(ToString::to_string).collect(),
            Ok(_) => {
                let change = SchemaChange::between(&unowned(&step.schema), &unowned(stage.schema()));
                let rows = stage.all_rows().await?;
                let losses = step.rows.losses(&rows).into_iter();
                let rows = losses.filter(|loss| !is_drawn_anew(&step.schema, loss)).map(|loss| loss.to_string());
                change.sentences(SIDES).into_iter().chain(rows).collect::<Vec<_>>()
            }
        };
        if !told.is_empty() {
            found = Some((at, told));
            break;
        }
    }
    stage.end().await?;
    Ok(found)
}

/// Functions whose value is another one each time, in a default.
const VOLATILE: [&str; 11] = [
    "nextval(",
    "now()",
    "current_",
    "localtime",
    "clock_timestamp(",
    "statement_timestamp(",
    "transaction_timestamp(",
    "timeofday(",
    "random",
    "uuid",
    "gen_",
];

/// Whether a column gets its values from a default that differs each time: a number, the time, a random value.
fn is_drawn_anew(schema: &Schema, loss: &RowLoss) -> bool {
    let Some(column) = &loss.column else { return false };
    let is_it = |one: &migrate_schema::Object| {
        format!("{}.{}", one.id.schema, one.id.parent) == loss.table && *one.id.name == **column
    };
    let found = schema.of_kind(Kind::Column).find(|one| is_it(one));
    found.is_some_and(|one| {
        let default = one.fact("default").unwrap_or_default().to_lowercase();
        one.fact("identity").is_some() || VOLATILE.iter().any(|name| default.contains(name))
    })
}
