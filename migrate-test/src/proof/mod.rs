//! The proof: every migration applies, rolls back and applies again, on a throw-away PostgreSQL,
//! without leaving structure behind or losing data.
//!
//! Two databases go through the chain side by side: a bare one, on which schemas are compared
//! catalog by catalog, and one with rows, on which rows are. A broken law does not end the
//! proof: the databases are made anew behind the migration that broke it, and it goes on.

mod bare;
mod declared;
mod full;
mod law;
mod stage;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use migrate_core::source::{Migration, Version};
use migrate_core::{CodeMigrations, MigrationSet};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use thiserror::Error;

use crate::error::ServerError;

pub use law::{Law, Story, Verdict};

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
            notes: Vec::new(),
            kept: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// Whether no law is broken.
    pub fn holds(&self) -> bool {
        !self.laws.values().any(Verdict::is_broken)
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
    /// Whether no law of any migration is broken.
    pub fn holds(&self) -> bool {
        self.migrations.iter().all(Proven::holds)
    }
}

/// A chain that is being proven.
struct Prover<'a> {
    chain: Vec<Arc<Migration>>,
    code: &'a CodeMigrations,
    proof: &'a Proof,
    runner: TestRunner,
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
        let mut prover = Prover { chain, code, proof, runner: runner(proof.seed) };
        prover.run(first, last, &marked, &mut report, hear).await?;
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
    async fn run(
        &mut self,
        first: usize,
        last: usize,
        marked: &[usize],
        report: &mut Report,
        hear: &mut dyn FnMut(&Proven),
    ) -> Result<(), ProofError> {
        let mut bare = bare::Bare::at(self, first).await?;
        let mut full = full::Full::at(self, first).await?;
        let mut broken_chain: Option<String> = None;
        for at in first..=last {
            let begin = Instant::now();
            let migration = self.chain[at].clone();
            let mut proven = Proven::new(&migration);
            if let Some(why) = &broken_chain {
                proven.skip_rest(why);
            } else if marked.contains(&at) {
                let applies = bare.cycle(self, at, &mut proven).await?;
                if applies {
                    full.cycle(self, at, &mut proven).await?;
                    declared::judge(&migration, &bare.ups[at - first], &full.seen, &mut proven);
                } else {
                    proven.skip_rest("it does not apply");
                    broken_chain = Some(format!("{}_{} does not apply", migration.version(), migration.name()));
                }
            } else if let Err(error) = bare.climb(self, at).await? {
                return Err(error.into());
            } else {
                full.climb(self, at).await?;
            }
            proven.elapsed = begin.elapsed();
            if marked.contains(&at) {
                hear(&proven);
                report.migrations.push(proven);
            }
        }
        full.end().await?;
        report.moves = match broken_chain {
            None => walk::all(self, bare, first, last + 1, &mut report.migrations).await?,
            Some(_) => {
                bare.end().await?;
                0
            }
        };
        for proven in &mut report.migrations {
            proven.skip_rest("no walk led over it");
        }
        Ok(())
    }
}
