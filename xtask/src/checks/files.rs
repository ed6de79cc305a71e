//! `files`: names, pairs, directives, and the order of what is new.

use migrate_core::source::Layout;

use super::{Clock, Ground};
use crate::files::latest;
use crate::output::style;
use crate::released::{ahead, misplaced, twice};
use crate::report::Check;

/// Looks at the files by themselves, and at where the new ones stand behind those of the base branch.
pub(crate) fn files(ground: &Ground<'_>) -> Check {
    let clock = Clock::start("files");
    let is_ours = ground.context.layout == Layout::default();
    // Only our versions are times; the clock is asked here, and decided elsewhere.
    let too_late = |set| if is_ours { ahead(set, &latest()) } else { Vec::new() };
    match (&ground.set, &ground.released) {
        (Err(error), Ok(released)) => {
            let findings = twice(released, &ground.context.migrations, error.findings().to_vec());
            clock.done("they cannot be read as migrations", findings)
        }
        (Err(error), Err(_)) => clock.done("they cannot be read as migrations", error.findings().to_vec()),
        (Ok(set), Ok(released)) => {
            let summary = format!("{}, {} new", style::count(set.len(), "migration"), ground.new.len());
            let findings =
                misplaced(released, set, &ground.new, ground.context.layout).into_iter().chain(too_late(set));
            clock.done(summary, findings.collect())
        }
        (Ok(set), Err(_)) => clock.done(style::count(set.len(), "migration"), too_late(set)),
    }
}
