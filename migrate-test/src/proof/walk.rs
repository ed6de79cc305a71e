//! The law of the path: walks up and down the chain, drawn by proptest. After every step the schema must be the
//! one of that version. A walk that fails is shrunk to the shortest one that does.
//!
//! No walk includes a migration that has no rollback, or whose rollback is broken: it is a wall. Between walls,
//! the chain is walked window by window as soon as it has been applied that far, so that every migration that
//! can be rolled back is included. A window is walked at random. If that did not include all of it, it is also
//! walked from its top to its bottom and back. The number of steps is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use migrate_core::{Direction, Migration};
use migrate_schema::{Kind, SchemaChange, SideNames};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::bare::SchemaLawDatabase;
use super::stage::WatchedDatabase;
use super::{Law, MigrationProof, ProofError, Prover, Story, Verdict};

/// How many migrations are walked at once, and how many of those below them are included again.
const WINDOW: usize = 20;
const OVERLAP: usize = 2;
/// How many steps the walks over the newest migrations may make together, and about how many steps a single walk
/// makes.
const STEPS: usize = 100;
const LONGEST: usize = 60;
/// How many objects a step may change to count as one step; a step that changes more counts as several.
pub(super) const HEAVY: usize = 25;
/// Up to this many migrations are walked in every possible way, and not at random.
const FEW: usize = 3;
/// How many walks over a window may fail before the rest of it is skipped.
const FALLS: usize = 3;

const SIDES: SideNames<'_> = SideNames { before: "when applied in order", after: "on this walk" };

/// The walks over a chain.
pub(super) struct Walks {
    /// The first migration whose changes are known; a bare database counts from it.
    lowest: usize,
    /// The first migration above the last wall.
    floor: usize,
    /// Migrations below this one have been walked, or never will be.
    settled: usize,
    /// How many steps were made.
    pub(super) moves: usize,
    /// The total cost of the steps: a step over a baseline takes as long as many small steps.
    spent: usize,
    walked: BTreeMap<usize, WalkResults>,
    /// Which step was made after which.
    turns: BTreeSet<WalkTurn>,
    runner: TestRunner,
}

/// Two consecutive steps.
pub(super) type WalkTurn = [(usize, Direction); 2];

/// The results of walks for one migration.
#[derive(Default)]
struct WalkResults {
    moves: usize,
    /// The walk on which it failed.
    story: Option<Story>,
    /// Why a loss of rows that made a walk fail is not reported: the migration declares it.
    declared: Option<String>,
    /// Why no walk included it.
    skipped: Option<String>,
    kept: Vec<String>,
}

/// Where a walk failed.
pub(super) struct WalkFailure {
    /// The migration whose step failed.
    pub(super) at: usize,
    pub(super) story: Story,
    pub(super) walk: Vec<usize>,
}

/// A part of the chain, with a database on which all of it is applied.
pub(super) struct WalkWindow<'a> {
    pub(super) prover: &'a Prover<'a>,
    pub(super) range: Range<usize>,
    /// The changes of each of its migrations.
    ups: &'a [SchemaChange],
}

impl Walks {
    pub(super) fn from(prover: &Prover<'_>, lowest: usize) -> Self {
        let runner = super::runner(prover.proof.seed);
        let (walked, turns) = (BTreeMap::new(), BTreeSet::new());
        Self { lowest, floor: lowest, settled: lowest, moves: 0, spent: 0, walked, turns, runner }
    }

    /// The next migration is a wall: the migrations below it are walked now.
    pub(super) async fn wall(
        &mut self,
        prover: &Prover<'_>,
        bare: &mut SchemaLawDatabase,
        at: usize,
    ) -> Result<(), ProofError> {
        if self.floor <= at {
            self.window(prover, bare, at, 0).await?;
            (self.floor, self.settled) = (at + 1, at + 1);
        }
        Ok(())
    }

    /// Starts walks if enough migrations have been applied since the last time.
    pub(super) async fn step(
        &mut self,
        prover: &Prover<'_>,
        bare: &mut SchemaLawDatabase,
        next: usize,
    ) -> Result<(), ProofError> {
        match next.saturating_sub(self.settled) >= WINDOW {
            true => self.window(prover, bare, next, 0).await,
            false => Ok(()),
        }
    }

    /// Walks over the remaining migrations at the end of the chain, and once more over some of those below.
    pub(super) async fn end(
        &mut self,
        prover: &Prover<'_>,
        bare: &mut SchemaLawDatabase,
        end: usize,
    ) -> Result<(), ProofError> {
        self.window(prover, bare, end, STEPS).await?;
        self.settled = usize::MAX;
        Ok(())
    }

    /// Walks over all migrations up to `end` that have not been walked yet. The bare database is at `end`.
    async fn window(
        &mut self,
        prover: &Prover<'_>,
        bare: &mut SchemaLawDatabase,
        end: usize,
        least: usize,
    ) -> Result<(), ProofError> {
        let fallen = self.walked.iter().rev().find(|(_, walked)| walked.story.is_some());
        // A failure that occurred once is reported once.
        let floor = fallen.map_or(self.floor, |(at, _)| self.floor.max(at + 1));
        let first = self.settled.saturating_sub(OVERLAP).max(floor);
        if self.settled >= end || prover.proof.walks == 0 {
            return Ok(());
        }
        let mut open: Vec<_> = std::iter::once(first..end).collect();
        let mut falls = 0;
        while let Some(range) = open.pop() {
            if range.is_empty() {
                continue;
            }
            if falls == FALLS {
                for at in range {
                    self.walked
                        .entry(at)
                        .or_default()
                        .skipped
                        .get_or_insert("other walks over this part of the chain failed".to_owned());
                }
                continue;
            }
            let ups: Vec<SchemaChange> = bare.ups[range.start - self.lowest..range.end - self.lowest].to_vec();
            let part = WalkWindow { prover, range: range.clone(), ups: &ups };
            // The database at the top exists already; for a part below it, one is created.
            let mut own = match range.end == end && falls == 0 {
                true => None,
                false => Some(WatchedDatabase::at(&prover.chain[..range.end], prover.code, true).await?),
            };
            let steps = ups.len().max(least);
            let fall = self.walk(&part, own.as_mut().unwrap_or(&mut bare.stage), steps).await?;
            let Some((fall, fallen)) = fall else {
                if let Some(stage) = own {
                    stage.end().await?;
                }
                continue;
            };
            let fall = part.cause(&fall).await?.unwrap_or(fall);
            falls += 1;
            open.extend([fall.at + 1..range.end, range.start..fall.at]);
            let walked_on = match own {
                Some(stage) => stage,
                None => {
                    let fresh = WatchedDatabase::at(&prover.chain[..end], prover.code, true).await?;
                    std::mem::replace(&mut bare.stage, fresh)
                }
            };
            // The database to inspect is the one on which the reported walk failed.
            let fallen = match fallen {
                Some(other) => {
                    walked_on.end().await?;
                    other
                }
                None => walked_on,
            };
            let walked = self.walked.entry(fall.at).or_default();
            match prover.marked.contains(&fall.at) {
                true => prover.abandon(fallen.leave().await, &mut walked.kept).await?,
                false => fallen.end().await?,
            }
            walked.story = Some(Story { walk: part.named(&fall.walk), ..fall.story });
            let declared = || prover.chain[fall.at].lossy().map(str::to_owned);
            walked.declared = walked.story.as_ref().filter(|story| !story.losses.is_empty()).and_then(|_| declared());
        }
        self.settled = end;
        Ok(())
    }

    /// Walks over a few migrations in such a way that each step follows every step that it can follow. Over
    /// many migrations, walks at random so that a step follows others than before, and finally down and back if
    /// some migration was not included. Returns the shortest walk that fails, with the database on which it
    /// failed if that is another one.
    async fn walk(
        &mut self,
        part: &WalkWindow<'_>,
        stage: &mut WatchedDatabase,
        most: usize,
    ) -> Result<Option<(WalkFailure, Option<WatchedDatabase>)>, ProofError> {
        let before = self.spent;
        let (low, high) = (part.range.start, part.range.end);
        let length = (LONGEST / (high - low).clamp(1, LONGEST)).clamp(2, 6);
        // On the way here, each migration was rolled back and applied again.
        let mut gone = vec![low, high];
        let last = if high - low <= FEW {
            zigzag(low, high)
        } else {
            self.turns.extend((low..high).flat_map(|at| part.came(at)));
            for _ in 0..part.prover.proof.walks {
                if self.spent - before >= most {
                    break;
                }
                let strategy = prop::collection::vec(low..=high, 1..=length);
                let Ok(tree) = strategy.new_tree(&mut self.runner) else { break };
                if part.turns(&tree.current()).is_subset(&self.turns) {
                    continue;
                }
                if let Some(fall) = self.once(part, stage, &tree.current()).await? {
                    return self.shorten(part, fall, &gone).await.map(Some);
                }
                gone.extend(tree.current());
                gone.push(high);
            }
            let is_met = |at: usize| self.walked.get(&at).is_some_and(|walked| walked.moves > 0);
            if part.range.clone().all(is_met) {
                return Ok(None);
            }
            vec![low]
        };
        match self.once(part, stage, &last).await? {
            Some(fall) => self.shorten(part, fall, &gone).await.map(Some),
            None => Ok(None),
        }
    }

    /// Goes from the top to each position of the walk in turn, and back to the top.
    pub(super) async fn once(
        &mut self,
        part: &WalkWindow<'_>,
        stage: &mut WatchedDatabase,
        walk: &[usize],
    ) -> Result<Option<WalkFailure>, ProofError> {
        let low = part.range.start;
        self.turns.extend(part.turns(walk));
        // The actual difference from the top, and the expected one.
        let mut actual = SchemaChange::default();
        for (made, (direction, step)) in part.steps(walk).into_iter().enumerate() {
            self.moves += 1;
            self.spent += 1 + part.ups[step - low].objects().count() / HEAVY;
            self.walked.entry(step).or_default().moves += 1;
            let fall = |story| Ok(Some(WalkFailure { at: step, story, walk: part.gone(walk, made + 1) }));
            match stage.go(&part.prover.chain[step], direction).await? {
                Ok(done) => actual = actual.then(&done),
                Err(error) => {
                    return fall(Story::error("it fails on this walk, but not when applied in order", &error));
                }
            }
            let at = if direction == Direction::Up { step + 1 } else { step };
            let above = part.ups[at - low..].iter().rev();
            let expected = above.fold(SchemaChange::default(), |sum, up| sum.then(&up.reversed()));
            // The position of a sequence depends on all earlier steps.
            let difference = expected.reversed().then(&actual).without(Kind::SequencePosition);
            if !difference.is_empty() {
                let summary = "this walk gives a different schema from applying in order";
                return fall(Story { difference: difference.sentences(SIDES), ..Story::of(summary) });
            }
        }
        Ok(None)
    }

    /// Whether no further walk will include a migration.
    pub(super) fn is_settled(&self, at: usize) -> bool {
        at < self.floor || at < self.settled.saturating_sub(OVERLAP)
    }

    /// Adds the results of the walks to the result of a migration.
    pub(super) fn tell(&mut self, at: usize, proven: &mut MigrationProof) {
        let Some(walked) = self.walked.remove(&at) else { return };
        proven.rests.moves = walked.moves;
        proven.kept.extend(walked.kept);
        let verdict = match (walked.story, walked.skipped) {
            (Some(story), _) => match walked.declared {
                Some(reason) => Verdict::Declared(reason, Box::new(story)),
                None => story.broken(),
            },
            (None, Some(why)) => Verdict::Skipped(why),
            (None, None) => Verdict::Holds,
        };
        proven.set(Law::Path, verdict);
    }
}

/// The walk from the top down on which every step follows every other step that it can follow.
fn zigzag(low: usize, high: usize) -> Vec<usize> {
    let turns = (low..high).rev().flat_map(|at| [at, at + 1]);
    turns.chain([low]).collect()
}

/// Whether a migration has no rollback, according to its files.
pub(super) fn is_wall(migration: &Migration) -> bool {
    migration.irreversible().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of a walk from the top to each of these positions, and back: where each begins, and whether it
    /// goes up.
    fn steps(high: usize, walk: &[usize]) -> Vec<(usize, bool)> {
        let mut at = high;
        let mut steps = Vec::new();
        for goal in walk.iter().copied().chain([high]) {
            while at != goal {
                steps.push((at.min(if goal > at { at } else { at - 1 }), goal > at));
                at = if goal > at { at + 1 } else { at - 1 };
            }
        }
        steps
    }

    #[test]
    fn every_step_follows_every_other_one_that_it_can() {
        for (low, high) in [(0, 1), (4, 6), (2, 5)] {
            let made: Vec<[(usize, bool); 2]> =
                steps(high, &zigzag(low, high)).windows(2).map(|two| [two[0], two[1]]).collect();
            for at in low..high {
                // The database was already at the top when the chain was applied.
                assert!(made.contains(&[(at, false), (at, true)]), "{at} of {low}..{high}: {made:?}");
                assert!(at + 1 == high || made.contains(&[(at, true), (at, false)]), "{at} of {low}..{high}: {made:?}");
                let is_inside = at > low;
                assert!(!is_inside || made.contains(&[(at, false), (at - 1, false)]), "{at} of {low}..{high}");
                assert!(!is_inside || made.contains(&[(at - 1, true), (at, true)]), "{at} of {low}..{high}");
            }
        }
    }
}
