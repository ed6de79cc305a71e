//! `edited`: nothing that is released or applied somewhere is another one here.

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
    if let (Err(why), true) = (&ground.released, reached.is_empty()) {
        return clock.skipped(why.clone());
    }
    let released = ground.released.as_ref().ok();
    let findings = released::edited(&ground.context.migrations, released, ground.set.as_ref().ok(), &standings);
    let mut against: Vec<String> = released.iter().map(|released| released.base.title()).collect();
    against.extend((!reached.is_empty()).then(|| style::count(reached.len(), "ledger")));
    let mut summary = format!("against {}", against.join(" and "));
    if !unreached.is_empty() {
        summary += &format!("; not asked: {}", unreached.join(", "));
    }
    clock.done(summary, findings)
}
