//! `files`: names, pairs, directives, and the order of what is new.

use super::{Clock, Ground};
use crate::output::style;
use crate::released::misplaced;
use crate::report::Check;

/// Looks at the files by themselves, and at where the new ones stand behind those of the base branch.
pub(crate) fn files(ground: &Ground<'_>) -> Check {
    let clock = Clock::start("files");
    match (&ground.set, &ground.released) {
        (Err(error), _) => clock.done("they cannot be read as migrations", error.findings().to_vec()),
        (Ok(set), Ok(released)) => {
            let summary = format!("{}, {} new", style::count(set.len(), "migration"), ground.new.len());
            clock.done(summary, misplaced(released, set, &ground.new))
        }
        (Ok(set), Err(_)) => clock.done(style::count(set.len(), "migration"), Vec::new()),
    }
}
