//! Whose fault a walk is that fails: a step that needs rows which an earlier rollback on the walk did not bring back is not.
//!
//! The walk is gone once more, and after each rollback the rows are put back that had been there before its up. Where the
//! step does not fail then, the rollback that lost rows is the cause.

use migrate_core::ledger::Direction;

use super::again::Counters;
use super::stage::Stage;
use super::walk::{Fall, Part};
use super::{Law, ProofError, Story, title};
use crate::rows::{Loss, Rows};

/// How many rollbacks are tried one by one where several lost rows.
const MOST: usize = 3;

/// A walk that was gone once more.
struct Replayed {
    /// The rollbacks that lost rows.
    lost: Vec<(usize, Vec<Loss>)>,
    fails: bool,
}

impl Part<'_> {
    /// The rollback on the walk that lost the rows without which a step fails, where there is one.
    pub(super) async fn cause(&self, fall: &Fall) -> Result<Option<Fall>, ProofError> {
        // What differs is no matter of rows.
        let Some(why) = fall.story.findings.first() else { return Ok(None) };
        let all = self.replay(&fall.walk, &|_| true).await?;
        if all.fails || all.lost.is_empty() {
            return Ok(None);
        }
        let mut lost = all.lost;
        let mut cause = 0;
        if lost.len() > 1 {
            for (at, (lossy, _)) in lost.iter().enumerate().take(MOST) {
                if !self.replay(&fall.walk, &|step| step == *lossy).await?.fails {
                    cause = at;
                    break;
                }
            }
        }
        let (at, losses) = lost.swap_remove(cause);
        if at == fall.at {
            return Ok(None);
        }
        let failed = title(&self.prover.chain[fall.at]);
        let summary = format!(
            "the rollback does not restore rows, and {failed} fails without them on this walk: {}",
            why.message
        );
        let story = Story { losses, ..Story::of(summary) }.after(Some(Law::Data));
        Ok(Some(Fall { at, story, walk: fall.walk.clone() }))
    }

    /// Goes a walk on a database whose rows are followed; `puts_back` says after which rollbacks they are as before the up.
    async fn replay(&self, walk: &[usize], puts_back: &dyn Fn(usize) -> bool) -> Result<Replayed, ProofError> {
        let (chain, low) = (&self.prover.chain, self.range.start);
        let mut stage = Stage::at(&chain[..low], self.prover.code, true).await?;
        let mut rows: Vec<(Rows, Counters)> = vec![stage.rows().await?];
        let mut replayed = Replayed { lost: Vec::new(), fails: false };
        let straight = self.range.clone().map(|step| (Direction::Up, step));
        for (direction, step) in straight.chain(self.steps(walk)) {
            if stage.go(&chain[step], direction).await?.is_err() {
                replayed.fails = true;
                break;
            }
            let now = stage.rows().await?;
            if direction == Direction::Up {
                rows.truncate(step + 1 - low);
                rows.push(now);
                continue;
            }
            let losses = rows[step - low].0.losses(&now.0);
            if !losses.is_empty() && puts_back(step) {
                stage.put(&rows[step - low]).await?;
            }
            if !losses.is_empty() && !replayed.lost.iter().any(|(known, _)| *known == step) {
                replayed.lost.push((step, losses));
            }
        }
        stage.end().await?;
        Ok(replayed)
    }
}
