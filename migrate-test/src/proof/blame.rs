//! Finds out which migration causes a walk to fail. A step that needs rows which an earlier rollback on the
//! walk did not restore is not the cause.
//!
//! The walk is repeated. After each rollback, the rows from before its up script are restored. If the step then
//! succeeds, the rollback that lost rows is the cause.

use migrate_core::Direction;

use super::again::SequenceCounters;
use super::stage::WatchedDatabase;
use super::walk::{WalkFailure, WalkWindow};
use super::{Law, ProofError, Story, title};
use crate::rows::{DatabaseRows, RowLoss};

/// How many rollbacks are tried one by one if several lost rows.
const MOST: usize = 3;

/// The result of a repeated walk.
struct WalkReplay {
    /// The rollbacks that lost rows.
    lost: Vec<(usize, Vec<RowLoss>)>,
    fails: bool,
}

impl WalkWindow<'_> {
    /// The rollback on the walk that lost the rows without which a step fails, if there is one.
    pub(super) async fn cause(&self, fall: &WalkFailure) -> Result<Option<WalkFailure>, ProofError> {
        // The schemas differ, which has nothing to do with rows.
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
        Ok(Some(WalkFailure { at, story, walk: fall.walk.clone() }))
    }

    /// Repeats a walk on a database whose rows are tracked. `puts_back` says after which rollbacks the rows
    /// from before the up script are restored.
    async fn replay(&self, walk: &[usize], puts_back: &dyn Fn(usize) -> bool) -> Result<WalkReplay, ProofError> {
        let (chain, low) = (&self.prover.chain, self.range.start);
        let mut stage = WatchedDatabase::at(&chain[..low], self.prover.code, true).await?;
        let mut rows: Vec<(DatabaseRows, SequenceCounters)> = vec![stage.rows().await?];
        let mut replayed = WalkReplay { lost: Vec::new(), fails: false };
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
