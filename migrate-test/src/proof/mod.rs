//! The proof: every migration applies, rolls back and applies again, on a throw-away PostgreSQL,
//! without leaving structure behind or losing data.
//!
//! Two databases go through the chain side by side: a bare one, on which schemas are compared
//! catalog by catalog, and one with rows, on which rows are. A broken law does not end the
//! proof: the databases are made anew behind the migration that broke it, and it goes on.

mod bare;
mod declared;
mod filled;
mod full;
mod law;
mod rests;
mod stage;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use migrate_core::schema::{Change, Schema};
use migrate_core::source::{Migration, Version};
use migrate_core::{CodeMigrations, MigrationSet};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use thiserror::Error;

use crate::ephemeral::suited;
use crate::error::ServerError;

pub(crate) use filled::{Filled, How};
pub use law::{Law, Story, Verdict};
pub use rests::{Rests, WithoutRows};
pub(crate) use stage::{Ground, Stage};

/// What to prove, and how hard to try.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The migrations to look at; `None` looks at all of them.
    pub only: Option<BTreeSet<Version>>,
    /// Where chance begins. The same seed draws the same rows and the same walks.
    pub seed: u64,
    /// How many walks are drawn.
    pub walks: u32,
    /// Whether the database on which a law is broken is kept, to be looked at.
    pub keep: bool,
}

/// What was proven of one migration.
#[derive(Debug, Clone)]
pub struct Proven {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// How each law ended.
    pub laws: BTreeMap<Law, Verdict>,
    /// What the verdicts rest on: how many tables had rows.
    pub rests: Rests,
    /// What is worth knowing and is no fault: the order of columns, tables that got no rows.
    pub notes: Vec<String>,
    /// The databases that were kept, as URLs.
    pub kept: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What was proven of a chain.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// One entry for each migration that was looked at.
    pub migrations: Vec<Proven>,
    /// The seed.
    pub seed: u64,
    /// How many moves the walks made.
    pub moves: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why nothing could be proven.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no server, or it refuses.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The chain before the first migration of interest cannot be applied, or the server is gone.
    #[error(transparent)]
    Core(#[from] migrate_core::Error),
}

impl Default for Proof {
    fn default() -> Self {
        Self { only: None, seed: 0, walks: 8, keep: true }
    }
}

impl Proven {
    fn new(migration: &Migration) -> Self {
        Self {
            version: migration.version().clone(),
            name: migration.name().to_owned(),
            laws: Law::ALL.into_iter().map(|law| (law, Verdict::Unknown)).collect(),
            rests: Rests::default(),
            notes: Vec::new(),
            kept: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// Whether no law is broken.
    pub fn holds(&self) -> bool {
        !self.laws.values().any(Verdict::is_broken)
    }

    /// What the verdict of a law rests on, in words: `37 of 41 tables had rows`. `None` where it was not looked at.
    pub fn rested(&self, law: Law) -> Option<String> {
        match (law, self.laws.get(&law)?) {
            (Law::Data, Verdict::Holds | Verdict::Declared(..) | Verdict::Broken(_)) => self.rests.words(),
            _ => None,
        }
    }

    /// Records how a law ended; what is broken stays broken.
    fn set(&mut self, law: Law, verdict: Verdict) {
        let slot = self.laws.entry(law).or_default();
        if !slot.is_broken() {
            *slot = verdict;
        }
    }

    /// Records why the laws that were not looked at were not.
    fn skip_rest(&mut self, why: &str) {
        for verdict in self.laws.values_mut().filter(|verdict| matches!(verdict, Verdict::Unknown)) {
            *verdict = Verdict::Skipped(why.to_owned());
        }
    }
}

impl Report {
    fn add(&mut self, proven: Option<Proven>, hear: &mut dyn FnMut(&Proven)) {
        if let Some(proven) = proven {
            hear(&proven);
            self.migrations.push(proven);
        }
    }

    /// Whether no law of any migration is broken.
    pub fn holds(&self) -> bool {
        self.migrations.iter().all(Proven::holds)
    }
}

/// How many migrations below the first one walks lead over.
const LEAD: usize = 2;

/// A chain that is being proven.
struct Prover<'a> {
    chain: Vec<Arc<Migration>>,
    code: &'a CodeMigrations,
    proof: &'a Proof,
    /// How many databases were kept so far.
    kept: AtomicUsize,
}

/// Proves the laws for a chain; `hear` gets each migration as soon as its own laws are looked at.
///
/// The law of the path is told at the end, for walks lead over all of them.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or what stands before the first migration of
/// interest cannot be applied. A broken law is no error.
pub async fn prove(
    set: &MigrationSet,
    code: &CodeMigrations,
    proof: &Proof,
    hear: &mut dyn FnMut(&Proven),
) -> Result<Report, ProofError> {
    let begin = Instant::now();
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    let chosen = |migration: &Migration| proof.only.as_ref().is_none_or(|only| only.contains(migration.version()));
    let marked: Vec<usize> = (0..chain.len()).filter(|at| chosen(&chain[*at])).collect();
    let mut report = Report { migrations: Vec::new(), seed: proof.seed, moves: 0, elapsed: Duration::ZERO };
    if let (Some(first), Some(last)) = (marked.first().copied(), marked.last().copied()) {
        let prover = Prover { chain, code, proof, kept: AtomicUsize::new(0) };
        suited(&prover.chain, prover.run(first, last, &marked, &mut report, hear)).await?;
    }
    report.elapsed = begin.elapsed();
    Ok(report)
}

/// A source of chance that is the same for the same seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

impl Prover<'_> {
    /// Goes through the chain: the bare database leads, the one with rows follows one migration behind.
    async fn run(
        &self,
        first: usize,
        last: usize,
        marked: &[usize],
        report: &mut Report,
        hear: &mut dyn FnMut(&Proven),
    ) -> Result<(), ProofError> {
        // Walks lead over a few migrations below the first one as well.
        let lowest = first.saturating_sub(LEAD);
        let (bare, full) = tokio::join!(bare::Bare::at(self, lowest), full::Full::at(self, first));
        let (mut bare, mut full) = (bare?, full?);
        for at in lowest..first {
            bare.climb(self, at).await??;
        }
        let mut behind: Option<Passed> = None;
        let mut broken_chain: Option<(usize, String)> = None;
        for at in first..=last {
            if let Some((_, why)) = &broken_chain {
                if marked.contains(&at) {
                    let mut proven = Proven::new(&self.chain[at]);
                    proven.skip_rest(why);
                    report.migrations.push(proven);
                }
                continue;
            }
            let (lead, follow) =
                tokio::join!(self.lead(&mut bare, at, marked.contains(&at)), self.follow(&mut full, behind.take()));
            report.add(follow?, hear);
            let passed = lead?;
            if !passed.applies {
                broken_chain = Some((at, format!("{} does not apply", title(&self.chain[at]))));
            }
            behind = Some(passed);
        }
        report.add(self.follow(&mut full, behind).await?, hear);
        full.end().await?;
        // Walks lead over what applies.
        let end = broken_chain.map_or(last + 1, |(at, _)| at);
        report.moves = walk::all(self, bare, lowest, end, &mut report.migrations).await?;
        for proven in &mut report.migrations {
            proven.skip_rest("no walk led over it");
        }
        // Those behind a migration that does not apply came before the one that was followed last.
        report.migrations.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(())
    }

    /// Looks at the laws of the schema for one migration, or only applies it.
    async fn lead(&self, bare: &mut bare::Bare, at: usize, is_marked: bool) -> Result<Passed, ProofError> {
        let begin = Instant::now();
        let before = bare.stage.schema().clone();
        let mut proven = Proven::new(&self.chain[at]);
        let applies = match is_marked {
            true => bare.cycle(self, at, &mut proven).await?,
            false => bare.climb(self, at).await?.map(|()| true)?,
        };
        if !applies {
            proven.skip_rest("it does not apply");
        }
        proven.elapsed = begin.elapsed();
        let up = bare.ups.last().cloned().unwrap_or_default();
        let (rolled, after) = (std::mem::take(&mut bare.rolled), bare.stage.schema().clone());
        Ok(Passed { at, is_marked, applies, proven, up, before, rolled, after })
    }

    /// Looks at the laws of data for a migration that the bare database has passed.
    async fn follow(&self, full: &mut full::Full, passed: Option<Passed>) -> Result<Option<Proven>, ProofError> {
        let Some(passed) = passed else { return Ok(None) };
        let begin = Instant::now();
        let sight = full::Sight { before: &passed.before, rolled: &passed.rolled, after: &passed.after };
        let mut proven = passed.proven;
        if !passed.is_marked {
            full.climb(self, passed.at, sight.after).await?;
            return Ok(None);
        }
        if passed.applies {
            full.cycle(self, passed.at, sight, &mut proven).await?;
            declared::judge(&self.chain[passed.at], &passed.up, &full.seen, &mut proven);
        }
        proven.elapsed += begin.elapsed();
        Ok(Some(proven))
    }
}

/// What the bare database has passed, for the one that follows.
struct Passed {
    at: usize,
    is_marked: bool,
    applies: bool,
    proven: Proven,
    up: Change,
    before: Schema,
    rolled: Schema,
    after: Schema,
}

fn title(migration: &Migration) -> String {
    format!("{}_{}", migration.version(), migration.name())
}
