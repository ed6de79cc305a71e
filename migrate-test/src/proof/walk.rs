//! The law of the path: walks up and down the chain, drawn by proptest; after every step the
//! schema must be the one of its version. A walk that fails is shrunk to the shortest that does.

use migrate_core::ledger::Direction;
use migrate_core::schema::{Change, Kind, Sides};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::bare::Bare;
use super::stage::Stage;
use super::{Law, ProofError, Proven, Prover, Story, Verdict};

/// How many steps the walks of a chain may make together, and how many one may.
const STEPS: usize = 100;
const LONGEST: usize = 60;
/// How many attempts are made to make a walk shorter.
const SHRINKS: usize = 40;

const SIDES: Sides<'_> = Sides { before: "on the straight way", after: "on this walk" };

/// Where a walk failed.
struct Fall {
    /// The migration whose step it was, counted from the first one of the walk.
    at: usize,
    story: Story,
}

/// Walks over the migrations from `first` up to `end`; returns how many steps were made.
pub(super) async fn all(
    prover: &Prover<'_>,
    bare: Bare,
    first: usize,
    end: usize,
    proven: &mut [Proven],
) -> Result<usize, ProofError> {
    // Nobody walks down over a migration that has no way down, or whose way down is broken.
    let stuck = |at: usize| {
        let migration = &prover.chain[at];
        let broken = proven.iter().any(|one| one.version == *migration.version() && !schema_holds(one));
        migration.irreversible().is_some() || broken
    };
    let floor = (first..end).rev().find(|at| stuck(*at)).map_or(first, |at| at + 1);
    let Bare { mut stage, ups, .. } = bare;
    let ups = &ups[floor - first..];
    let mut runner = super::runner(prover.proof.seed);
    let mut steps = 0;
    for _ in 0..prover.proof.walks {
        if ups.is_empty() || steps > STEPS {
            break;
        }
        let length = (LONGEST / ups.len().min(LONGEST)).clamp(2, 6);
        let lowest = ups.len().saturating_sub(LONGEST / 2);
        let strategy = prop::collection::vec(lowest..=ups.len(), 1..=length);
        let Ok(mut tree) = strategy.new_tree(&mut runner) else { break };
        let walk = tree.current();
        match walk_once(prover, &mut stage, floor, ups, &walk, &mut steps).await? {
            None => {}
            Some(fall) => {
                let (walk, fall) = shrink(prover, floor, ups, &mut tree, walk, fall, &mut steps).await?;
                let migration = prover.chain[floor + fall.at].clone();
                if let Some(one) = proven.iter_mut().find(|one| one.version == *migration.version()) {
                    let walk = named(prover, floor, &walk);
                    one.set(Law::Path, Story { walk, ..fall.story }.broken());
                    prover.abandon(stage.leave().await, one).await?;
                } else {
                    stage.end().await?;
                }
                return Ok(steps);
            }
        }
    }
    stage.end().await?;
    let walked = prover.chain[floor..end].iter().map(|migration| migration.version());
    let walked: std::collections::BTreeSet<_> = walked.collect();
    for one in proven.iter_mut().filter(|one| steps > 0 && walked.contains(&one.version)) {
        one.set(Law::Path, Verdict::Holds);
    }
    Ok(steps)
}

fn schema_holds(proven: &Proven) -> bool {
    [Law::Identity, Law::Reapply].iter().all(|law| !proven.laws.get(law).is_some_and(Verdict::is_broken))
}

/// Goes from the top to each position of the walk in turn, and back to the top.
async fn walk_once(
    prover: &Prover<'_>,
    stage: &mut Stage,
    floor: usize,
    ups: &[Change],
    walk: &[usize],
    steps: &mut usize,
) -> Result<Option<Fall>, ProofError> {
    let mut at = ups.len();
    // What is different from the top, and what should be.
    let mut actual = Change::default();
    for goal in walk.iter().copied().chain([ups.len()]) {
        while at != goal {
            let (direction, migration) = if goal > at { (Direction::Up, at) } else { (Direction::Down, at - 1) };
            *steps += 1;
            match stage.go(&prover.chain[floor + migration], direction).await? {
                Ok(done) => actual = actual.then(&done),
                Err(error) => {
                    let story = Story::error("on this walk it fails, on the straight way it does not", &error);
                    return Ok(Some(Fall { at: migration, story }));
                }
            }
            at = if goal > at { at + 1 } else { at - 1 };
            let expected = ups[at..].iter().rev().fold(Change::default(), |sum, up| sum.then(&up.reversed()));
            // Where a sequence stands is a matter of all the steps before.
            let difference = expected.reversed().then(&actual).without(Kind::SequencePosition);
            if !difference.is_empty() {
                let summary = "on this walk it ends in another schema than on the straight way";
                let story = Story { difference: difference.sentences(SIDES), ..Story::of(summary) };
                return Ok(Some(Fall { at: migration, story }));
            }
        }
    }
    Ok(None)
}

/// Makes a failing walk as short as proptest can; each attempt has a fresh database.
async fn shrink<T: ValueTree<Value = Vec<usize>>>(
    prover: &Prover<'_>,
    floor: usize,
    ups: &[Change],
    tree: &mut T,
    mut walk: Vec<usize>,
    mut fall: Fall,
    steps: &mut usize,
) -> Result<(Vec<usize>, Fall), ProofError> {
    let mut more = tree.simplify();
    for _ in 0..SHRINKS {
        if !more {
            break;
        }
        let shorter = tree.current();
        let mut stage = Stage::at(&prover.chain[..floor + ups.len()], prover.code, true).await?;
        let outcome = walk_once(prover, &mut stage, floor, ups, &shorter, steps).await?;
        stage.end().await?;
        match outcome {
            Some(next) => {
                (walk, fall) = (shorter, next);
                more = tree.simplify();
            }
            None => more = tree.complicate(),
        }
    }
    Ok((walk, fall))
}

/// The positions of a walk as versions.
fn named(prover: &Prover<'_>, floor: usize, walk: &[usize]) -> Vec<String> {
    let name = |at: usize| match (floor + at).checked_sub(1).map(|at| &prover.chain[at]) {
        Some(migration) => format!("{}_{}", migration.version(), migration.name()),
        None => "nothing".to_owned(),
    };
    let mut words = Vec::new();
    let mut before = None;
    for at in walk.iter().copied() {
        let way = if before.is_none_or(|before| at < before) { "down" } else { "up" };
        words.push(format!("{way} to {}", name(at)));
        before = Some(at);
    }
    words
}
