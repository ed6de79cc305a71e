//! The laws for repeatable migrations: they run after the whole chain, in the order of their names, and a second run
//! of each changes neither the schema nor the rows.
//!
//! With them in place, the versions are rolled back and applied again: what they made may be in the way.

use std::sync::Arc;
use std::time::Instant;

use migrate_core::runner::WrittenTables;
use migrate_core::{CodeMigrations, Direction, Migration};
use migrate_schema::{Schema, SchemaChange, SideNames};

use super::stage::WatchedDatabase;
use super::walk::is_wall;
use super::{FilledDatabase, Law, MigrationProof, Proof, ProofError, RowKind, Story, Verdict, title};

const RUNS: SideNames<'_> = SideNames { before: "after the first run", after: "after the second run" };
const WAYS: SideNames<'_> = SideNames { before: "before the rollback", after: "after applying again" };

/// A chain with the migrations that run after it.
pub(super) struct RepeatedChain<'a> {
    pub(super) chain: &'a [Arc<Migration>],
    pub(super) repeatables: &'a [Arc<Migration>],
    pub(super) code: &'a CodeMigrations,
    pub(super) proof: &'a Proof,
}

impl RepeatedChain<'_> {
    /// Whether something has to be proven here.
    pub(super) fn has_work(&self) -> bool {
        !self.repeatables.is_empty() && self.chain.iter().chain(self.repeatables).any(|one| self.proof.chooses(one))
    }

    /// The results for the chosen repeatable migrations. What is found about the versions is added to `versions`.
    pub(super) async fn prove(&self, versions: &mut [MigrationProof]) -> Result<Vec<MigrationProof>, ProofError> {
        let mut results: Vec<MigrationProof> = self.repeatables.iter().map(|one| MigrationProof::new(one)).collect();
        let mut stage = WatchedDatabase::at(self.chain, self.code, true).await?;
        let applied = self.first_runs(&mut stage, &mut results).await?;
        let schema = stage.schema().clone();
        if let Some(failed) = self.repeatables.get(applied) {
            let why = format!("{} does not apply", title(failed));
            for proven in &mut results[applied + 1..] {
                proven.skip_rest(&why);
                proven.unreached = Some(why.clone());
            }
        } else {
            for (one, proven) in self.repeatables.iter().zip(&mut results).filter(|(one, _)| self.proof.chooses(one)) {
                let begin = Instant::now();
                proven.set(Law::Reapply, second_run(&mut stage, one).await?);
                proven.elapsed += begin.elapsed();
            }
            self.around(&mut stage, versions, &mut results).await?;
        }
        stage.end().await?;
        if applied == self.repeatables.len() && self.repeatables.iter().any(|one| self.proof.chooses(one)) {
            self.with_rows(&schema, &mut results).await?;
        }
        results.iter_mut().for_each(|proven| proven.skip_rest("a repeatable migration has no down script"));
        // One that fails is the reason why others were not reached, whether it was chosen or not.
        let is_told =
            |(one, proven): &(&Arc<Migration>, MigrationProof)| self.proof.chooses(one) || !proven.faults().is_empty();
        Ok(self.repeatables.iter().zip(results).filter(is_told).map(|(_, proven)| proven).collect())
    }

    /// Runs all of them until one fails, and returns how many ran.
    async fn first_runs(
        &self,
        stage: &mut WatchedDatabase,
        results: &mut [MigrationProof],
    ) -> Result<usize, ProofError> {
        for (at, (one, proven)) in self.repeatables.iter().zip(results).enumerate() {
            let begin = Instant::now();
            let outcome = stage.go(one, Direction::Up).await?;
            proven.elapsed += begin.elapsed();
            if let Err(error) = outcome {
                let story = Story::error("it cannot be applied after the chain", &error);
                proven.failure = Some(Box::new(story.of_script(Direction::Up)));
                proven.skip_rest("it does not apply");
                return Ok(at);
            }
        }
        Ok(self.repeatables.len())
    }

    /// Rolls back the chosen versions at the end of the chain, applies them again, and runs the repeatable migrations
    /// again, as a run does after a rollback.
    async fn around(
        &self,
        stage: &mut WatchedDatabase,
        versions: &mut [MigrationProof],
        results: &mut [MigrationProof],
    ) -> Result<(), ProofError> {
        // What is broken anyway is reported by the laws for versions.
        let is_broken =
            |one: &Migration| versions.iter().any(|proven| proven.version == *one.version() && !proven.holds());
        let floor = self.chain.iter().rposition(|one| is_wall(one) || is_broken(one)).map_or(0, |at| at + 1);
        let Some(lowest) = (floor..self.chain.len()).find(|at| self.proof.chooses(&self.chain[*at])) else {
            return Ok(());
        };
        let mut change = SchemaChange::default();
        let steps = (lowest..self.chain.len()).rev().map(|at| (at, Direction::Down));
        for (at, direction) in steps.chain((lowest..self.chain.len()).map(|at| (at, Direction::Up))) {
            let one = &self.chain[at];
            match stage.go(one, direction).await? {
                Ok(step) => change = change.then(&step),
                Err(error) => {
                    let (law, what) = match direction {
                        Direction::Down => {
                            (Law::Identity, "it cannot be rolled back after the repeatable migrations ran")
                        }
                        Direction::Up => {
                            (Law::Reapply, "it cannot be applied again after the repeatable migrations ran")
                        }
                    };
                    let story = Story::error(what, &error);
                    let story = if law == Law::Identity { story.of_script(direction) } else { story };
                    let proven = versions.iter_mut().find(|proven| proven.version == *one.version());
                    proven.into_iter().for_each(|proven| proven.set(law, story.clone().broken()));
                    return Ok(());
                }
            }
        }
        for (one, proven) in self.repeatables.iter().zip(results.iter_mut()) {
            match stage.go(one, Direction::Up).await? {
                Ok(step) => change = change.then(&step),
                Err(error) => {
                    let story = Story::error("it cannot run again after a rollback", &error);
                    proven.set(Law::Path, story.broken());
                    return Ok(());
                }
            }
        }
        let difference = change.without(migrate_schema::Kind::SequencePosition).sentences(WAYS);
        let last = results.last_mut().filter(|_| !difference.is_empty());
        let summary = "after a rollback, applying everything again gives another schema";
        last.into_iter().for_each(|last| {
            last.set(Law::Path, Story { difference: difference.clone(), ..Story::of(summary) }.broken());
        });
        Ok(())
    }

    /// Runs all of them on a database, fills its tables, runs the chosen ones again, and compares the rows.
    async fn with_rows(&self, schema: &Schema, results: &mut [MigrationProof]) -> Result<(), ProofError> {
        let all: Vec<Arc<Migration>> = self.chain.iter().chain(self.repeatables).cloned().collect();
        let mut filled = FilledDatabase::at(&all, self.code, self.proof.seed).await?;
        for (one, proven) in self.repeatables.iter().zip(results) {
            // What fails without rows fails with them.
            let is_broken = proven.laws.get(&Law::Reapply).is_some_and(Verdict::is_broken);
            if !self.proof.chooses(one) || is_broken {
                continue;
            }
            let begin = Instant::now();
            let verdict = run_with_rows(&mut filled, one, schema, proven).await?;
            proven.set(Law::Data, verdict);
            proven.elapsed += begin.elapsed();
        }
        filled.ground.end().await
    }
}

/// Runs one again, and compares the schema.
async fn second_run(stage: &mut WatchedDatabase, one: &Arc<Migration>) -> Result<Verdict, ProofError> {
    Ok(match stage.go(one, Direction::Up).await? {
        Ok(change) if change.is_empty() => Verdict::Holds,
        Ok(change) => {
            let difference = change.sentences(RUNS);
            let summary = "it applies, but a second run changes the schema again";
            Story { difference, is_of_schema: true, ..Story::of(summary) }.broken()
        }
        Err(error) => Story::error("it applies, but a second run fails", &error).broken(),
    })
}

/// Fills the tables, runs one again, and compares the rows.
async fn run_with_rows(
    filled: &mut FilledDatabase,
    one: &Arc<Migration>,
    schema: &Schema,
    proven: &mut MigrationProof,
) -> Result<Verdict, ProofError> {
    // The rows that it writes are those of the first run, and others are beside them.
    let basis = match filled.fill(one, schema, schema, &RowKind::default()).await? {
        Ok(basis) => basis,
        Err(error) => return Ok(Verdict::Skipped(error.to_string())),
    };
    filled.read(schema, &WrittenTables::Unknown).await?;
    let before = filled.rows.clone();
    if let Err(error) = filled.ground.run(one, Direction::Up).await? {
        return Ok(Verdict::Skipped(format!("it fails with generated rows: {error}")));
    }
    filled.read(schema, &WrittenTables::Unknown).await?;
    let losses = before.losses(&filled.rows);
    proven.rests = basis;
    let story = Story { losses, ..Story::of("a second run changes rows") };
    Ok(match (story.losses.is_empty(), one.lossy()) {
        (true, _) if before.count() == 0 => Verdict::Skipped("there were no rows".to_owned()),
        (true, _) => Verdict::Holds,
        (false, Some(reason)) => Verdict::Declared(reason.to_owned(), Box::new(story)),
        (false, None) => story.broken(),
    })
}
