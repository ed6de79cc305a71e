//! Roll back or fix forward? Advice based on what the up scripts did and what rolling back would destroy.

use migrate_core::Plan;
use migrate_core::source::MigrationBody;
use migrate_review::effect::Effects;
use serde::Serialize;

use super::LossBrief;

/// The advice, and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Advice {
    /// `roll back`, `fix forward` or `decide by hand`.
    pub(crate) verdict: &'static str,
    pub(crate) reason: String,
}

impl Advice {
    /// Reads the up scripts of a rollback.
    pub(super) fn of(plan: &Plan, losses: &[LossBrief], keeps: bool) -> Self {
        if let [first, more @ ..] = plan.never_run() {
            let others = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            let reason = format!(
                "{first}{others} never ran here: rolling back removes what existed before the ledger, with all its data"
            );
            return Self { verdict: "decide by hand", reason };
        }
        let mut changed = Vec::new();
        let mut unknown = Vec::new();
        for step in plan.steps() {
            let title = step.version.title(&step.name);
            let body = step.migration.as_ref().map(|migration| migration.body());
            match body {
                Some(MigrationBody::Sql { up, .. }) => {
                    let effects = Effects::of(up);
                    if effects.changes {
                        changed.push(title);
                    } else if !effects.unknown.is_empty() {
                        unknown.push(title);
                    }
                }
                Some(MigrationBody::Code { .. }) | None => unknown.push(title),
            }
        }
        Self::judge(&changed, &unknown, losses, keeps)
    }

    fn judge(changed: &[String], unknown: &[String], losses: &[LossBrief], keeps: bool) -> Self {
        let rows: u64 = losses.iter().map(|loss| loss.rows.number()).sum();
        let price = match losses.len() {
            0 => "rolling back loses no data".to_owned(),
            _ if rows == 0 => "what rolling back removes is empty".to_owned(),
            _ if keeps => "the data listed above is kept, and restored when the migrations are reapplied".to_owned(),
            _ => "rolling back destroys the data listed above, unless you add --keep-data".to_owned(),
        };
        if !changed.is_empty() {
            let reason = format!(
                "{} changed or removed something that the previous release may need, so leaving it in place may not \
                 help; {price}",
                changed.join(", ")
            );
            return Self { verdict: "roll back", reason };
        }
        if !unknown.is_empty() {
            let reason = format!(
                "the effects of {} cannot be read from its script: review it first; {price}",
                unknown.join(", ")
            );
            return Self { verdict: "decide by hand", reason };
        }
        let reason = format!(
            "these migrations only added objects: the previous release runs with them in place; redeploying it, or \
             fixing the problem with a new migration, is usually safer than rolling back; {price}"
        );
        Self { verdict: "fix forward", reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_added_goes_forward_and_what_changed_goes_back() {
        let judge = |changed: &[&str], unknown: &[&str]| {
            let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            Advice::judge(&own(changed), &own(unknown), &[], false).verdict
        };
        assert_eq!(judge(&[], &[]), "fix forward");
        assert_eq!(judge(&["1_a"], &["2_b"]), "roll back");
        assert_eq!(judge(&[], &["2_b"]), "decide by hand");
    }
}
