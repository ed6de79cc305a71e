//! `files`: names, pairs, directives, the order of the new migrations, and passwords in `migrate.toml`.

use migrate_core::Layout;

use super::{CheckInput, Clock};
use crate::context::committed_passwords;
use crate::files::latest;
use crate::output::style;
use crate::released::{ahead, misplaced, twice};
use crate::report::CheckResult;

/// Checks the files themselves, and that the new ones are newer than those on the base branch.
pub(crate) fn files(ground: &CheckInput<'_>) -> CheckResult {
    let clock = Clock::start("files");
    let is_ours = ground.context.layout == Layout::default();
    // Only versions in the roundtrip layout are times. The clock is read here; the decision is made elsewhere.
    let too_late = |set| if is_ours { ahead(set, &latest()) } else { Vec::new() };
    let mut check = match (&ground.set, &ground.released) {
        (Err(error), Ok(released)) => {
            let findings = twice(released, &ground.context.migrations, error.findings().to_vec());
            clock.done("the files cannot be read as migrations", findings)
        }
        (Err(error), Err(_)) => clock.done("the files cannot be read as migrations", error.findings().to_vec()),
        (Ok(set), Ok(released)) => {
            let summary = format!("{}, {} new", style::count(set.len(), "migration"), ground.new.len());
            let findings =
                misplaced(released, set, &ground.new, ground.context.layout).into_iter().chain(too_late(set));
            clock.done(summary, findings.collect())
        }
        (Ok(set), Err(_)) => clock.done(style::count(set.len(), "migration"), too_late(set)),
    };
    check.findings.extend(committed_passwords(&ground.context.config));
    check
}
