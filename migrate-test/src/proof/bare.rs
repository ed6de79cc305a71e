//! The laws of the schema, on a database without rows.

use std::sync::atomic::Ordering;

use migrate_core::{Direction, Error};
use migrate_schema::{Fact, Object, Schema, SchemaChange, SideNames};

use super::counted;
use super::stage::{ChainDatabase, WatchedDatabase};
use super::walk::Walks;
use super::{Law, MigrationProof, ProofError, Prover, Story, Verdict};

/// A database without rows, and how each migration changed its schema.
pub(super) struct SchemaLawDatabase {
    pub(super) stage: WatchedDatabase,
    /// The changes of each migration, from the first one that is checked.
    pub(super) ups: Vec<SchemaChange>,
    /// The schema after the last rollback.
    pub(super) rolled: Schema,
}

/// How many databases are kept: they are large, and people start with the first one.
const MOST_KEPT: usize = 4;

const ROLLBACK: SideNames<'_> = SideNames { before: "before", after: "after rollback" };
const REAPPLY: SideNames<'_> = SideNames { before: "after the first apply", after: "after applying again" };

impl SchemaLawDatabase {
    pub(super) async fn at(prover: &Prover<'_>, at: usize) -> Result<Self, ProofError> {
        let stage = WatchedDatabase::at(&prover.chain[..at], prover.code, true).await?;
        Ok(Self { stage, ups: Vec::new(), rolled: Schema::default() })
    }

    /// Applies a migration that is not checked.
    pub(super) async fn climb(&mut self, prover: &Prover<'_>, at: usize) -> Result<Result<(), Error>, ProofError> {
        let outcome = self.stage.go(&prover.chain[at], Direction::Up).await?;
        Ok(outcome.map(|one| self.ups.push(one)))
    }

    /// Up, down, up. Afterwards the migration is applied. Returns `false` if it cannot be applied.
    pub(super) async fn cycle(
        &mut self,
        prover: &Prover<'_>,
        walks: &mut Walks,
        at: usize,
        proven: &mut MigrationProof,
    ) -> Result<bool, ProofError> {
        let migration = &prover.chain[at];
        let up = match self.stage.go(migration, Direction::Up).await? {
            Ok(up) => up,
            Err(error) => {
                let story = Story::error("it cannot be applied to an empty database", &error).of_script(Direction::Up);
                proven.failure = Some(Box::new(story));
                self.as_before(prover, at).await?;
                return Ok(false);
            }
        };
        self.ups.push(up.clone());
        if let Some(reason) = migration.irreversible() {
            let identity = match migration.is_up_only() {
                true => Verdict::Skipped(reason.to_owned()),
                false => Verdict::Declared(reason.to_owned(), Box::default()),
            };
            proven.set(Law::Identity, identity);
            let why = if migration.is_up_only() { reason } else { "it is declared irreversible" };
            proven.set(Law::Reapply, Verdict::Skipped(why.to_owned()));
            proven.set(Law::Path, Verdict::Skipped(why.to_owned()));
            return Ok(true);
        }
        let down = match self.stage.go(migration, Direction::Down).await? {
            Ok(down) => down,
            Err(error) => {
                let story = Story::error("it applies, but rolling back fails", &error).of_script(Direction::Down);
                proven.set(Law::Identity, story.broken());
                proven.set(Law::Reapply, Verdict::Skipped("it cannot be rolled back".to_owned()));
                self.anew(prover, walks, at, proven).await?;
                return Ok(true);
            }
        };
        self.rolled = self.stage.schema().clone();
        self.compare(prover, at, proven, &up, &down).await?;
        if !proven.holds() {
            self.anew(prover, walks, at, proven).await?;
        }
        Ok(true)
    }

    /// Compares the schema after the rollback, applies the migration again, and compares again.
    async fn compare(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        proven: &mut MigrationProof,
        up: &SchemaChange,
        down: &SchemaChange,
    ) -> Result<(), ProofError> {
        let left = up.clone().then(down);
        proven.notes.extend(left.order_notes().into_iter().map(|note| format!("{note} after rollback")));
        let lost = match left.is_empty() {
            true => counted::lost(prover, at, up, ROLLBACK).await?,
            false => Vec::new(),
        };
        match left.is_empty() {
            true if lost.is_empty() => proven.set(Law::Identity, Verdict::Holds),
            true => {
                let summary = "after the rollback, a sequence is not at its previous position";
                proven.set(Law::Identity, Story { difference: lost, ..Story::of(summary) }.broken());
            }
            false => {
                let difference = left.sentences(ROLLBACK);
                let empty = prover.chain[at].down_script().is_some_and(|down| down.statements().is_empty());
                let summary = match empty {
                    true => "its down script has no statements, so the rollback changes nothing",
                    false => "after the rollback, the schema is not the same as before",
                };
                let is_of_schema = left
                    .objects()
                    .any(|(id, old, new)| id.kind.is_of_schema() && beside_owner(old) != beside_owner(new));
                proven.set(Law::Identity, Story { difference, is_of_schema, ..Story::of(summary) }.broken());
            }
        }
        // What the first rollback left behind or removed can make the second apply fail.
        let cause = (!left.is_empty()).then_some(Law::Identity);
        let story = match self.stage.go(&prover.chain[at], Direction::Up).await? {
            Ok(again) => {
                let difference = down.clone().then(&again);
                let notes = difference.order_notes();
                proven.notes.extend(notes.into_iter().map(|note| format!("{note} after applying again")));
                let summary = "after applying again, the schema is not the same as the first time";
                (!difference.is_empty())
                    .then(|| Story { difference: difference.sentences(REAPPLY), ..Story::of(summary) })
            }
            Err(error) => Some(Story::error("it applies and rolls back, but cannot be applied again", &error)),
        };
        proven.set(Law::Reapply, story.map_or(Verdict::Holds, |story| story.after(cause).broken()));
        Ok(())
    }

    /// Continues with a fresh database after a migration that broke a law. Before the migration is applied
    /// there, the walks over the migrations below it run: they cannot run later.
    async fn anew(
        &mut self,
        prover: &Prover<'_>,
        walks: &mut Walks,
        at: usize,
        proven: &mut MigrationProof,
    ) -> Result<(), ProofError> {
        let fresh = WatchedDatabase::at(&prover.chain[..at], prover.code, false).await?;
        prover.abandon(std::mem::replace(&mut self.stage, fresh).leave().await, &mut proven.kept).await?;
        walks.wall(prover, self, at).await?;
        Ok(self.stage.go(&prover.chain[at], Direction::Up).await?.map(drop)?)
    }

    /// Takes a fresh database if the current one may have been changed by a migration that failed.
    async fn as_before(&mut self, prover: &Prover<'_>, at: usize) -> Result<(), ProofError> {
        let in_one = prover.chain[at].up_script().is_some_and(|up| !up.directives().no_transaction);
        if !in_one {
            let fresh = WatchedDatabase::at(&prover.chain[..at], prover.code, false).await?;
            std::mem::replace(&mut self.stage, fresh).end().await?;
        }
        Ok(())
    }
}

impl Prover<'_> {
    /// Keeps a database on which a law was broken, or drops it.
    pub(super) async fn abandon(&self, ground: ChainDatabase, kept: &mut Vec<String>) -> Result<(), ProofError> {
        if self.proof.keep && self.kept.fetch_add(1, Ordering::Relaxed) < MOST_KEPT {
            kept.push(ground.leave().await.keep());
            return Ok(());
        }
        ground.end().await
    }
}

/// The facts of an object, except its owner.
fn beside_owner(object: Option<&Object>) -> Option<Vec<&Fact>> {
    object.map(|object| object.facts.iter().filter(|fact| &*fact.name != "owner").collect())
}
