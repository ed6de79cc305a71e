//! What a statement locks that cannot run in a transaction. Its locks are gone when it returns, so it is
//! blocked on every table, and reveals what it waits for before it may continue.
//!
//! One session blocks it, another one watches.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use migrate_base::lock_mode::LockMode;
use migrate_base::sql::StatementClass;
use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database, Result};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::bar::{Gap, LockBarrier, StatementLocks};
use super::look::{PriorRelations, RelationOid};
use super::tally::Tally;
use crate::error::ProofError;

/// Sessions that block a third one and watch it.
#[derive(Debug)]
pub(super) struct Probe {
    bar: LockBarrier,
    eyes: Rehearsal,
    /// The query that shows whether the third session waits, and for what.
    question: String,
}

/// What was seen of one statement.
#[derive(Debug, Default)]
pub(super) struct ProbeResult {
    /// The strongest lock on each relation that it had or requested.
    pub(super) locks: StatementLocks,
    /// How long it waited only because of us.
    pub(super) held_up: Duration,
    /// Where it may have passed unobserved.
    gap: Gap,
    /// Why it was not observed until its end.
    blind: Option<String>,
}

/// How often it is inspected: at first, and after it has been running for long.
const OFTEN: Duration = Duration::from_millis(1);
const SELDOM: Duration = Duration::from_millis(20);
/// After this time it is no longer blocked, whatever was seen.
const PATIENCE: Duration = Duration::from_secs(10);

impl Probe {
    /// Opens the additional sessions that watch and block the session of `worker`.
    pub(super) async fn open(address: &Database, worker: &mut Rehearsal) -> std::result::Result<Self, ProofError> {
        let eyes = async {
            let mut eyes = Rehearsal::open_limited(address.clone(), CodeMigrations::none(), Duration::ZERO).await?;
            eyes.query("SET search_path TO pg_catalog, pg_temp").await?;
            Ok(eyes)
        };
        let (bar, eyes) = tokio::try_join!(LockBarrier::open(address), eyes)?;
        let (_, rows) = worker.query("SELECT pg_catalog.pg_backend_pid()").await?;
        let pid = rows.into_iter().flatten().next().flatten().unwrap_or_default();
        let question = format!(
            "SELECT l.granted, l.mode, CASE WHEN l.locktype = 'relation' THEN l.relation END FROM pg_locks l \
             WHERE l.pid = {pid} AND (l.locktype = 'relation' OR NOT l.granted)"
        );
        Ok(Self { bar, eyes, question })
    }

    /// Watches a statement while it runs. If the watching fails, that is reported and the statement continues.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when the statement cannot be unblocked, so that nothing may follow.
    pub(super) async fn watch<T>(
        &mut self,
        world: &PriorRelations,
        text: &str,
        class: StatementClass,
        work: impl Future<Output = T>,
    ) -> std::result::Result<(T, ProbeResult), ProofError> {
        // VACUUM tries to take the strongest lock at its end, and retries for seconds while others read. VACUUM
        // and similar statements do their work with no lock stronger than this.
        let enough = match class {
            StatementClass::Maintenance | StatementClass::ReindexConcurrently => LockMode::ShareUpdateExclusive,
            _ => LockMode::AccessExclusive,
        };
        let mut sight = ProbeResult::default();
        match self.bar.stand(world, text, enough).await {
            Ok(open) => sight.gap.tables = open,
            Err(error) => sight.blind = Some(error.to_string()),
        }
        let tables: BTreeSet<RelationOid> = world.tables().collect();
        let done = Notify::new();
        let work = async {
            let outcome = work.await;
            done.notify_one();
            outcome
        };
        let (outcome, followed) = tokio::join!(work, self.follow(&tables, &mut sight, &done));
        if let Err(error) = followed {
            sight.blind = Some(error.to_string());
        }
        self.bar.leave().await?;
        Ok((outcome, sight))
    }

    pub(super) async fn close(self) {
        tokio::join!(self.bar.close(), self.eyes.close());
    }

    /// Watches until the statement is done. If anything fails, the statement is no longer blocked.
    async fn follow(&mut self, tables: &BTreeSet<RelationOid>, sight: &mut ProbeResult, done: &Notify) -> Result<()> {
        let outcome = self.look_on(tables, sight, done).await;
        if outcome.is_err() {
            self.bar.leave().await?;
        }
        outcome
    }

    async fn look_on(&mut self, tables: &BTreeSet<RelationOid>, sight: &mut ProbeResult, done: &Notify) -> Result<()> {
        let begin = Instant::now();
        let mut free = begin;
        let mut stands = sight.blind.is_none();
        loop {
            let (_, rows) = self.eyes.query(&self.question).await?;
            let waits = sight.see(tables, &rows);
            if stands && begin.elapsed() > PATIENCE {
                stands = false;
                self.bar.leave().await?;
                sight.blind = Some(format!("it ran for more than {} s", PATIENCE.as_secs()));
            } else if stands && let Some(table) = waits {
                sight.held_up += free.elapsed();
                let gap = self.bar.pass(table, &sight.locks).await?;
                sight.gap.tables.extend(gap.tables);
                sight.gap.stronger |= gap.stronger;
            }
            free = Instant::now();
            let pause = (begin.elapsed() / 20).clamp(OFTEN, SELDOM);
            tokio::select! {
                () = sleep(pause) => {}
                () = done.notified() => return Ok(()),
            }
        }
    }
}

impl ProbeResult {
    /// Records what a statement has and requests. If it waits, returns `Some` with the table, if it waits for
    /// one.
    fn see(&mut self, tables: &BTreeSet<RelationOid>, rows: &[Vec<Option<String>>]) -> Option<Option<RelationOid>> {
        let mut waits = None;
        for row in rows {
            let text = |at: usize| row.get(at).and_then(Option::as_deref);
            let oid = text(2).and_then(|oid| oid.parse().ok()).filter(|oid| tables.contains(oid));
            if text(0) == Some("f") {
                waits = Some(oid);
            }
            if let (Some(oid), Some(mode)) = (oid, text(1).and_then(|mode| mode.parse().ok())) {
                let strongest = self.locks.entry(oid).or_insert(mode);
                *strongest = (*strongest).max(mode);
            }
        }
        waits
    }

    /// Why some locks may be missing.
    pub(super) fn why(&self, tally: &Tally) -> Option<String> {
        if let Some(why) = &self.blind {
            return Some(format!("it was not observed until its end: {why}"));
        }
        let passed: BTreeSet<RelationOid> =
            self.gap.tables.iter().filter(|oid| !self.locks.contains_key(oid)).copied().collect();
        if !passed.is_empty() {
            return Some(format!("it may have taken unobserved locks on {}", tally.names(&passed)));
        }
        self.gap.stronger.then(|| "it may have requested stronger locks unobserved".to_owned())
    }
}
