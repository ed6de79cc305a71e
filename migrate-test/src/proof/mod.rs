//! The proof: every migration applies, rolls back and applies again, on a shadow PostgreSQL server, without
//! leaving structure behind or losing data.
//!
//! Two databases go through the chain side by side: one without rows, where schemas are compared catalog by
//! catalog, and one with rows, where the rows are compared. A broken law does not end the proof. It continues
//! with fresh databases on which the migration that broke the law is applied, and with the rows that were there
//! before it.

mod again;
mod bare;
mod blame;
mod cause;
mod counted;
mod declared;
mod filled;
mod full;
mod how;
mod law;
mod proven;
mod refused;
mod repeat;
mod rests;
mod retry;
mod scope;
mod shorten;
mod stage;
mod traces;
mod walk;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use migrate_core::{CodeMigrations, Migration, MigrationSet, Version};
use migrate_schema::{Schema, SchemaChange};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::ephemeral::{statements, watched};

pub use crate::error::ProofError;
pub use crate::rows::WithoutRows;
pub use declared::COULD_HAVE_ONE;
pub(crate) use filled::FilledDatabase;
pub(crate) use how::RowKind;
pub use law::{Law, ProofFault, Story, Verdict};
pub use proven::{MigrationProof, ProofReport};
pub use rests::ProofBasis;
pub(crate) use scope::RelevantTables;
pub(crate) use stage::{ChainDatabase, WatchedDatabase};

/// What to prove, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The migrations to check; `None` checks all of them.
    pub only: Option<BTreeSet<Version>>,
    /// The seed of the random generator. The same seed draws the same rows and the same walks.
    pub seed: u64,
    /// How many walks are drawn over a part of the chain. Over up to three migrations, a single walk makes
    /// every possible turn, so nothing is drawn. With 0, no walks are made.
    pub walks: u32,
    /// How many migrations below the first one the walks include. They include fewer if one of those is large,
    /// such as a baseline.
    pub lead: usize,
    /// Whether a database on which a law is broken is kept for inspection.
    pub keep: bool,
}

impl Default for Proof {
    fn default() -> Self {
        Self { only: None, seed: 0, walks: 8, lead: 2, keep: true }
    }
}

impl Proof {
    /// Whether a migration is to be checked.
    fn chooses(&self, migration: &Migration) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(migration.version()))
    }
}

/// A chain that is being proven.
struct Prover<'a> {
    chain: Vec<Arc<Migration>>,
    code: &'a CodeMigrations,
    proof: &'a Proof,
    /// The migrations to check.
    marked: BTreeSet<usize>,
    /// How many databases have been kept so far.
    kept: AtomicUsize,
}

/// Proves the laws for a chain. `hear` receives each migration as soon as all its laws are checked, the oldest
/// first.
///
/// The law of the path is checked window by window, so `hear` can lag behind by some migrations. If the proof
/// ends early, `hear` receives what was checked until then before the error is returned.
///
/// # Errors
///
/// [`ProofError`] when there is no server, the server is gone, or the migrations before the first checked one
/// cannot be applied. A broken law is not an error.
pub async fn prove(
    set: &MigrationSet,
    code: &CodeMigrations,
    proof: &Proof,
    hear: &mut dyn FnMut(&MigrationProof),
) -> Result<ProofReport, ProofError> {
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    let mut heard = BTreeSet::new();
    let mut once = |proven: &MigrationProof| {
        if heard.insert(proven.version.clone()) {
            hear(proven);
        }
    };
    let all = set.up_to(None);
    watched(&all, async || prove_all(&chain, set.repeatables(), code, proof, &mut once).await).await
}

/// Proves the versions first, and then what runs after them.
async fn prove_all(
    chain: &[Arc<Migration>],
    repeatables: &[Arc<Migration>],
    code: &CodeMigrations,
    proof: &Proof,
    hear: &mut dyn FnMut(&MigrationProof),
) -> Result<ProofReport, ProofError> {
    let begin = Instant::now();
    let repeated = repeat::RepeatedChain { chain, repeatables, code, proof };
    if !repeated.has_work() {
        return prove_chain(chain.to_vec(), code, proof, hear).await;
    }
    let mut report = prove_chain(chain.to_vec(), code, proof, hear).await?;
    let broken = report.migrations.iter().find(|one| one.failure.is_some()).map(|one| one.version.title(&one.name));
    let results = match broken {
        Some(title) => {
            let chosen = repeatables.iter().filter(|one| proof.chooses(one));
            chosen.map(|one| unreached(one, &title)).collect()
        }
        // What is found with them in place is about the versions too.
        None => Box::pin(repeated.prove(&mut report.migrations)).await?,
    };
    for proven in results {
        hear(&proven);
        report.migrations.push(proven);
    }
    report.elapsed = begin.elapsed();
    Ok(report)
}

/// The result for a migration that was not checked because an earlier one does not apply.
fn unreached(migration: &Migration, failed: &str) -> MigrationProof {
    let why = format!("{failed} does not apply");
    let mut proven = MigrationProof::new(migration);
    proven.skip_rest(&why);
    proven.unreached = Some(why);
    proven
}

async fn prove_chain(
    chain: Vec<Arc<Migration>>,
    code: &CodeMigrations,
    proof: &Proof,
    hear: &mut dyn FnMut(&MigrationProof),
) -> Result<ProofReport, ProofError> {
    let begin = Instant::now();
    let marked: BTreeSet<usize> = (0..chain.len()).filter(|at| proof.chooses(&chain[*at])).collect();
    let mut told = ReportSink {
        report: ProofReport { seed: proof.seed, ..ProofReport::default() },
        waiting: VecDeque::new(),
        hear,
    };
    if let (Some(first), Some(last)) = (marked.first().copied(), marked.last().copied()) {
        let prover = Prover { chain, code, proof, marked, kept: AtomicUsize::new(0) };
        let mut walks = walk::Walks::from(&prover, prover.lowest(first));
        // The future is large, and tests have small stacks.
        let outcome = Box::pin(prover.run(first, last, &mut walks, &mut told)).await;
        told.all(&mut walks, outcome.is_err());
        outcome?;
        told.report.moves = walks.moves;
    }
    told.report.elapsed = begin.elapsed();
    Ok(told.report)
}

/// The results, and the callback that receives them.
struct ReportSink<'a> {
    report: ProofReport,
    /// The results that still wait for walks.
    waiting: VecDeque<(usize, MigrationProof)>,
    hear: &'a mut dyn FnMut(&MigrationProof),
}

impl ReportSink<'_> {
    /// Reports the migrations that no further walk includes.
    fn settled(&mut self, walks: &mut walk::Walks) {
        while self.waiting.front().is_some_and(|(at, _)| walks.is_settled(*at)) {
            self.next(walks, false);
        }
    }

    /// Reports everything, because the proof has ended or was interrupted.
    fn all(&mut self, walks: &mut walk::Walks, broke_off: bool) {
        while !self.waiting.is_empty() {
            self.next(walks, broke_off);
        }
    }

    fn next(&mut self, walks: &mut walk::Walks, broke_off: bool) {
        let Some((at, mut proven)) = self.waiting.pop_front() else { return };
        walks.tell(at, &mut proven);
        let is_broken = |law: &Law| proven.laws.get(law).is_some_and(Verdict::is_broken);
        let why = match [Law::Identity, Law::Reapply].iter().any(is_broken) {
            _ if broke_off => "the proof stopped before it was checked",
            true => "its own rollback is broken",
            false => "no walk included it",
        };
        proven.skip_rest(why);
        (self.hear)(&proven);
        self.report.migrations.push(proven);
    }
}

/// A random generator that is the same for the same seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

impl Prover<'_> {
    /// The lowest migration of walks that include this one: a few below it, but above any that creates a large
    /// part of the schema, because a rollback and reapply of it would cost as much as the schema itself.
    fn lowest(&self, first: usize) -> usize {
        let below = self.chain[..first].iter().rev().take(self.proof.lead);
        first - below.take_while(|migration| statements(migration) <= Some(walk::HEAVY)).count()
    }

    /// Goes through the chain: the database without rows goes first, the one with rows follows one migration
    /// later.
    async fn run(
        &self,
        first: usize,
        last: usize,
        walks: &mut walk::Walks,
        told: &mut ReportSink<'_>,
    ) -> Result<(), ProofError> {
        let lowest = self.lowest(first);
        let (bare, full) =
            tokio::join!(bare::SchemaLawDatabase::at(self, lowest), full::DataLawDatabase::at(self, first));
        let (mut bare, mut full) = (bare?, full?);
        for at in lowest..first {
            if walk::is_wall(&self.chain[at]) {
                walks.wall(self, &mut bare, at).await?;
            }
            bare.climb(self, at).await??;
        }
        let mut passed: Option<SchemaLawResult> = None;
        let mut end = last + 1;
        for at in first..=last {
            let (lead, follow) = tokio::join!(self.lead(&mut bare, walks, at), self.follow(&mut full, passed.take()));
            told.waiting.extend(follow?);
            let now = lead?;
            told.settled(walks);
            let applies = now.applies;
            passed = Some(now);
            if !applies {
                end = at;
                break;
            }
        }
        let (walked, follow) = tokio::join!(walks.end(self, &mut bare, end), self.follow(&mut full, passed));
        told.waiting.extend(follow?);
        walked?;
        tokio::try_join!(full.end(), bare.stage.end())?;
        let missed = self.marked.range(end + 1..).filter(|_| end <= last);
        let failed = self.chain.get(end).map(|one| title(one)).unwrap_or_default();
        told.waiting.extend(missed.map(|at| (*at, unreached(&self.chain[*at], &failed))));
        Ok(())
    }

    /// Checks the laws of the schema for one migration, or only applies it.
    async fn lead(
        &self,
        bare: &mut bare::SchemaLawDatabase,
        walks: &mut walk::Walks,
        at: usize,
    ) -> Result<SchemaLawResult, ProofError> {
        let begin = Instant::now();
        let is_marked = self.marked.contains(&at);
        if walk::is_wall(&self.chain[at]) {
            walks.wall(self, bare, at).await?;
        }
        let before = bare.stage.schema().clone();
        bare.stage.scope = RelevantTables::nothing();
        let mut proven = MigrationProof::new(&self.chain[at]);
        let applies = match is_marked {
            true => bare.cycle(self, walks, at, &mut proven).await?,
            false => bare.climb(self, at).await?.map(|()| true)?,
        };
        if !applies {
            proven.skip_rest("it does not apply");
        }
        proven.elapsed = begin.elapsed();
        let up = bare.ups.last().cloned().unwrap_or_default();
        let (rolled, after) = (std::mem::take(&mut bare.rolled), bare.stage.schema().clone());
        let scope = std::mem::take(&mut bare.stage.scope);
        if applies {
            walks.step(self, bare, at + 1).await?;
        }
        Ok(SchemaLawResult { at, is_marked, applies, proven, up, before, rolled, after, scope })
    }

    /// Checks the law of data for a migration that has passed on the database without rows.
    async fn follow(
        &self,
        full: &mut full::DataLawDatabase,
        passed: Option<SchemaLawResult>,
    ) -> Result<Option<(usize, MigrationProof)>, ProofError> {
        let Some(passed) = passed else { return Ok(None) };
        let begin = Instant::now();
        let sight =
            full::CycleSchemas { before: &passed.before, rolled: &passed.rolled, after: &passed.after, up: &passed.up };
        full.filled.scope = passed.scope;
        let mut proven = passed.proven;
        if !passed.is_marked {
            full.climb(self, passed.at, sight).await?;
            return Ok(None);
        }
        if passed.applies {
            full.cycle(self, passed.at, sight, &mut proven).await?;
            declared::judge(&self.chain[passed.at], &passed.up, &full.seen, &mut proven);
        }
        proven.elapsed += begin.elapsed();
        Ok(Some((passed.at, proven)))
    }
}

/// What has passed on the database without rows, for the one that follows.
struct SchemaLawResult {
    at: usize,
    is_marked: bool,
    applies: bool,
    proven: MigrationProof,
    up: SchemaChange,
    before: Schema,
    rolled: Schema,
    after: Schema,
    scope: RelevantTables,
}

fn title(migration: &Migration) -> String {
    migration.version().title(migration.name())
}
