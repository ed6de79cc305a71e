//! The law of declarations: what is declared lossy or irreversible is, and nothing else.

use migrate_core::schema::{Change, Kind};
use migrate_core::source::Migration;

use super::full::Seen;
use super::{Law, Proven, Story, Verdict};

/// The note on a migration that has no down script and could have one, where nobody declared that it has none.
pub const COULD_HAVE_ONE: &str = "it has no down script; one that drops what it adds would bring everything back";

/// Compares what a migration declares with what was seen.
///
/// A `lossy` is right where rows were lost, and where the structure that holds rows comes or
/// goes: what is written into a new column is lost with it, also when no row was there to see. A sequence holds a position.
pub(super) fn judge(migration: &Migration, up: &Change, seen: &Seen, proven: &mut Proven) {
    let holders = |change: &Change| {
        change.objects().any(|(id, before, after)| {
            matches!(id.kind, Kind::Table | Kind::Column | Kind::Sequence) && (before.is_none() || after.is_none())
        })
    };
    let needs_no_down = || only_adds(up) && seen.changed.is_empty();
    let verdict = if migration.lossy().is_some() && seen.losses.is_empty() && !holders(up) {
        match seen.rows {
            0 => Verdict::Skipped("there were no rows to lose".to_owned()),
            _ => Story::of("it is declared lossy, but nothing is lost: remove the directive").broken(),
        }
    } else if migration.is_up_only() {
        proven.notes.extend(needs_no_down().then(|| COULD_HAVE_ONE.to_owned()));
        Verdict::Holds
    } else if migration.irreversible().is_some() && needs_no_down() {
        let summary =
            "it is declared irreversible, but it only adds objects: a down that drops them brings everything back";
        Story::of(summary).broken()
    } else {
        Verdict::Holds
    };
    proven.set(Law::Declared, verdict);
}

/// Whether a change adds objects and does nothing else.
fn only_adds(change: &Change) -> bool {
    !change.is_empty() && change.objects().all(|(_, before, after)| before.is_none() || before == after)
}
