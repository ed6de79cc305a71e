//! Repeats a failed walk on fresh databases: finds out whether it fails there too, and the shortest walk that
//! does.

use std::collections::BTreeSet;

use migrate_core::Direction;

use super::stage::WatchedDatabase;
use super::walk::{WalkFailure, WalkTurn, WalkWindow, Walks};
use super::{ProofError, Prover};

/// How many attempts are made to shorten a walk, for each walk that is drawn. Each attempt needs a fresh
/// database.
const SHRINKS: u32 = 5;

impl WalkWindow<'_> {
    /// The steps of a walk from the top to each of its positions in turn, and back to the top.
    pub(super) fn steps(&self, walk: &[usize]) -> Vec<(Direction, usize)> {
        let mut at = self.range.end;
        let mut steps = Vec::new();
        for goal in walk.iter().copied().chain([self.range.end]) {
            match goal > at {
                true => steps.extend((at..goal).map(|step| (Direction::Up, step))),
                false => steps.extend((goal..at).rev().map(|step| (Direction::Down, step))),
            }
            at = goal;
        }
        steps
    }

    /// The pairs of consecutive steps of a walk. Before its first step, the database came up to the top.
    pub(super) fn turns(&self, walk: &[usize]) -> BTreeSet<WalkTurn> {
        let steps = self.steps(walk).into_iter().map(|(direction, at)| (at, direction));
        let steps: Vec<_> = std::iter::once((self.range.end - 1, Direction::Up)).chain(steps).collect();
        steps.windows(2).map(|two| [two[0], two[1]]).collect()
    }

    /// The turn that was made when the chain was applied in order. Down and up again does not count: what a
    /// migration leaves behind outside of the catalogs may matter the third time.
    pub(super) fn came(&self, at: usize) -> Option<WalkTurn> {
        at.checked_sub(1).map(|below| [(below, Direction::Up), (at, Direction::Up)])
    }

    /// A walk without the positions that were not reached after this many steps, and without those where it
    /// already was.
    pub(super) fn gone(&self, walk: &[usize], mut steps: usize) -> Vec<usize> {
        let (mut at, mut gone) = (self.range.end, Vec::new());
        for goal in walk.iter().copied() {
            let way = at.abs_diff(goal);
            gone.extend((way > 0).then_some(goal));
            if steps <= way {
                break;
            }
            (steps, at) = (steps - way, goal);
        }
        // Every walk ends there.
        gone.pop_if(|last| *last == self.range.end);
        gone
    }

    /// The positions of a walk as versions.
    pub(super) fn named(&self, walk: &[usize]) -> Vec<String> {
        let name = |at: usize| match at.checked_sub(1).map(|at| &self.prover.chain[at]) {
            Some(migration) => migration.version().title(migration.name()),
            None => "nothing".to_owned(),
        };
        let before = std::iter::once(&self.range.end).chain(walk);
        let way = |(goal, before): (&usize, &usize)| if goal < before { "down" } else { "up" };
        walk.iter().zip(before).map(|pair| format!("{} to {}", way(pair), name(*pair.0))).collect()
    }
}

impl Walks {
    /// The shortest walk found that fails on a fresh database. `before` is what was done before on the database
    /// where this walk failed. If neither fails on a fresh database, the walk is unchanged.
    pub(super) async fn shorten(
        &mut self,
        part: &WalkWindow<'_>,
        fall: WalkFailure,
        before: &[usize],
    ) -> Result<(WalkFailure, Option<WatchedDatabase>), ProofError> {
        let whole: Vec<usize> = before.iter().chain(&fall.walk).copied().collect();
        let mut found = self.afresh(part, &fall.walk).await?;
        if found.is_none() {
            found = self.afresh(part, &whole).await?;
        }
        let Some((mut fall, mut stage)) = found else {
            let mut story = fall.story;
            story.summary += "; on a fresh database, the same steps succeed";
            return Ok((WalkFailure { story, walk: part.gone(&whole, usize::MAX), ..fall }, None));
        };
        let mut tries = part.prover.proof.walks.saturating_mul(SHRINKS);
        let mut open = shorter(&fall, part.range.end);
        while let Some(walk) = open.next().filter(|_| tries > 0) {
            tries -= 1;
            if let Some((shorter_fall, other)) = self.afresh(part, &walk).await? {
                std::mem::replace(&mut stage, other).end().await?;
                fall = shorter_fall;
                open = shorter(&fall, part.range.end);
            }
        }
        Ok((fall, Some(stage)))
    }

    /// Runs a walk on a fresh database. If it fails, returns the failure and the database.
    async fn afresh(
        &mut self,
        part: &WalkWindow<'_>,
        walk: &[usize],
    ) -> Result<Option<(WalkFailure, WatchedDatabase)>, ProofError> {
        let Prover { chain, code, .. } = part.prover;
        let mut stage = WatchedDatabase::at(&chain[..part.range.end], code, true).await?;
        match self.once(part, &mut stage, walk).await? {
            Some(fall) => Ok(Some((fall, stage))),
            None => stage.end().await.map(|()| None),
        }
    }
}

/// Walks with fewer steps than one that failed: directly to the step that failed, without some of its
/// positions, or not as far down.
fn shorter(fall: &WalkFailure, top: usize) -> std::vec::IntoIter<Vec<usize>> {
    let walk = &fall.walk;
    let length = |walk: &[usize]| {
        let before = std::iter::once(&top).chain(walk);
        walk.iter().chain([&top]).zip(before).map(|(a, b)| a.abs_diff(*b)).sum::<usize>()
    };
    let mut walks = vec![vec![fall.at]];
    let mut size = walk.len() / 2;
    while size > 0 {
        walks.extend((0..walk.len()).step_by(size).map(|at| {
            let (start, end) = walk.split_at(at);
            [start, end.get(size..).unwrap_or_default()].concat()
        }));
        size /= 2;
    }
    for (at, goal) in walk.iter().enumerate() {
        for by in [top.saturating_sub(*goal) / 2, 1] {
            let mut nearer = walk.clone();
            nearer[at] = goal + by;
            walks.push(nearer);
        }
    }
    walks.retain(|other| (1..length(walk)).contains(&length(other)));
    walks.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Story;

    #[test]
    fn every_walk_that_is_tried_is_shorter() {
        let fall = |walk: &[usize]| WalkFailure { at: 4, story: Story::of(""), walk: walk.to_vec() };
        let walks: Vec<Vec<usize>> = shorter(&fall(&[2, 8, 0]), 10).collect();
        for wanted in [&[4][..], &[8, 0], &[2, 0], &[2, 8], &[2, 8, 1], &[2, 8, 5], &[6, 8, 0]] {
            assert!(walks.iter().any(|walk| walk == wanted), "{wanted:?} of {walks:?}");
        }
        assert_eq!(shorter(&fall(&[9]), 10).len(), 0);
    }
}
