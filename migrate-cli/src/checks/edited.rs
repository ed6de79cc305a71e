//! `edited`: no file that is released or applied somewhere was edited here.

use migrate_base::codes;
use migrate_base::finding::Finding;

use super::{Clock, Ground};
use crate::output::style;
use crate::released::{self, Standing};
use crate::report::Check;

/// Compares the files with the base branch, and with the ledger of each environment that can be reached.
pub(crate) async fn edited(ground: &Ground<'_>) -> Check {
    let clock = Clock::start("edited");
    let standings = released::environments(ground.context, &ground.code).await;
    let reached: Vec<&Standing> = standings.iter().filter(|one| one.unreachable.is_none()).collect();
    let unreached = standings.iter().filter_map(|one| Some(format!("{} ({})", one.name, one.unreachable.as_ref()?)));
    let unreached: Vec<String> = unreached.collect();
    let is_asked = standings.iter().any(|one| one.was_asked);
    if let (Err(why), true) = (&ground.released, reached.is_empty() && !is_asked) {
        return clock.skipped(why.clone());
    }
    let released = ground.released.as_ref().ok();
    let mut findings = released::edited(&ground.context.migrations, released, ground.set.as_ref().ok(), &standings);
    let mut against: Vec<String> = released.iter().map(|released| released.base.title()).collect();
    against.extend((!reached.is_empty()).then(|| style::count(reached.len(), "ledger")));
    let mut summary = match against.is_empty() {
        true => "nothing to compare with".to_owned(),
        false => format!("against {}", against.join(" and ")),
    };
    if !unreached.is_empty() {
        summary += &format!("; not checked: {}", unreached.join(", "));
    }
    findings.extend(standings.iter().filter(|one| one.was_asked).filter_map(not_asked));
    clock.done(summary, findings)
}

/// The finding for an environment whose address is known but whose ledger could not be read.
fn not_asked(standing: &Standing) -> Option<Finding> {
    let why = standing.unreachable.as_ref()?;
    let finding = Finding::new(
        codes::ENVIRONMENT_UNREACHABLE,
        format!("the ledger of {} could not be read: {why}", standing.name),
    );
    Some(
        finding
            .note("so a file that is applied there may have been edited here")
            .help("make it reachable from here, or leave its variable unset if it need not be checked"),
    )
}
