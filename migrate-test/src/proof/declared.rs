//! The law of declarations: a migration is lossy or irreversible only if it says so.

use migrate_base::ident::literals;
use migrate_core::Migration;
use migrate_review::effect::Effects;
use migrate_schema::ddl::has_values_of;
use migrate_schema::{Kind, Object, SchemaChange};

use super::full::CycleResult;
use super::refused::is_of_data;
use super::{Law, MigrationProof, Story, Verdict};

/// The note for a migration that has no down script but could have one, if nothing declares that it has none.
pub const COULD_HAVE_ONE: &str =
    "it has no down script; a down script that drops what it adds would restore everything";

/// Compares what a migration declares with what was observed.
///
/// `lossy` is justified if rows were lost, or if the structure that holds rows is added or removed: values
/// written into a new column are lost with it, even if no row was there to show it. A sequence holds a
/// position. If the scripts of a migration change rows, then generated rows that were unaffected prove nothing
/// about other rows.
pub(super) fn judge(migration: &Migration, up: &SchemaChange, seen: &CycleResult, proven: &mut MigrationProof) {
    let holders = |change: &SchemaChange| {
        change.objects().any(|(id, before, after)| {
            matches!(id.kind, Kind::Table | Kind::Column | Kind::Sequence) && (before.is_none() || after.is_none())
        })
    };
    let needs_no_down = || only_adds(up) && seen.changed.is_empty();
    let verdict = if migration.lossy().is_some() && seen.losses.is_empty() && !holders(up) {
        match seen.rows {
            0 => Verdict::Skipped("there were no rows to lose".to_owned()),
            _ if lets_more_in(up) => Verdict::Skipped(
                "its up script allows values that were not allowed before; they may be lost".to_owned(),
            ),
            _ if changes_rows(migration) => Verdict::Skipped(
                "its scripts change rows, but none of the generated rows was lost; other rows may be".to_owned(),
            ),
            _ => Story::of("it is declared lossy, but nothing is lost: remove the directive").broken(),
        }
    } else if migration.is_up_only() || migration.down_script().is_none() && migration.was().is_some() {
        // Nobody declared anything: the files of the other tool had no down script.
        let could = needs_no_down() && !changes_rows(migration);
        proven.notes.extend(could.then(|| COULD_HAVE_ONE.to_owned()));
        Verdict::Holds
    } else if migration.irreversible().is_some() && needs_no_down() {
        match changes_rows(migration) {
            true => Verdict::Skipped(
                "its up script changes rows, but none of the generated ones; other rows may not be restored".to_owned(),
            ),
            false => {
                let summary = "it is declared irreversible, but it only adds objects: a down script that drops them \
                               restores everything";
                Story::of(summary).broken()
            }
        }
    } else {
        Verdict::Holds
    };
    proven.set(Law::Declared, verdict);
}

/// Whether a script may write rows, or compute values of a column. A migration in Rust may do anything.
fn changes_rows(migration: &Migration) -> bool {
    let scripts = [migration.up_script(), migration.down_script()];
    is_of_data(migration)
        || scripts.into_iter().flatten().any(|script| !Effects::beyond_schema(script.text()).is_empty())
}

/// Whether a change allows new values: an enum gets more labels, or a column gets another type.
fn lets_more_in(up: &SchemaChange) -> bool {
    up.objects().any(|(id, before, after)| {
        let (Some(before), Some(after)) = (before, after) else { return false };
        let labels = |one: &Object| literals(one.fact("labels").unwrap_or_default());
        match id.kind {
            Kind::Type => labels(after).iter().any(|label| !labels(before).contains(label)),
            Kind::Column => match (before.fact("type"), after.fact("type")) {
                (Some(before), Some(after)) => before != after && !has_values_of(before, after),
                (before, after) => before != after,
            },
            _ => false,
        }
    })
}

/// Whether a change only adds objects.
fn only_adds(change: &SchemaChange) -> bool {
    !change.is_empty() && change.objects().all(|(_, before, after)| before.is_none() || before == after)
}
