//! The results of a proof: for one migration, and for a chain.

use std::collections::BTreeMap;
use std::time::Duration;

use migrate_core::{Migration, Version};

use super::{Law, ProofBasis, ProofFault, Story, Verdict};

/// The result for one migration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MigrationProof {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// The verdict on each law.
    pub laws: BTreeMap<Law, Verdict>,
    /// Why it does not apply, if it does not. Then no law was checked.
    pub failure: Option<Box<Story>>,
    /// Why it was not reached: an earlier migration does not apply.
    pub unreached: Option<String>,
    /// The basis of the verdicts: how many tables had rows, and how many steps of walks included the migration.
    pub rests: ProofBasis,
    /// How the down script failed on values that the up script accepted, if it did so, and not on others.
    pub fragile: Option<Box<Story>>,
    /// Notes that are not faults: the order of columns, tables that got no rows.
    pub notes: Vec<String>,
    /// The databases that were kept, as URLs.
    pub kept: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// The result for a chain.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ProofReport {
    /// One entry for each migration that was checked.
    pub migrations: Vec<MigrationProof>,
    /// The seed.
    pub seed: u64,
    /// How many steps the walks made.
    pub moves: usize,
    /// How long it took.
    pub elapsed: Duration,
}

impl MigrationProof {
    pub(super) fn new(migration: &Migration) -> Self {
        Self {
            version: migration.version().clone(),
            name: migration.name().to_owned(),
            laws: Law::ALL.into_iter().map(|law| (law, Verdict::Unknown)).collect(),
            failure: None,
            unreached: None,
            rests: ProofBasis::default(),
            fragile: None,
            notes: Vec::new(),
            kept: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// Whether it applies, and no law is broken. A migration that was not reached does not count as holding.
    pub fn holds(&self) -> bool {
        self.failure.is_none() && self.unreached.is_none() && !self.laws.values().any(Verdict::is_broken)
    }

    /// What is wrong with it: each cause once, with all laws that it breaks.
    pub fn faults(&self) -> Vec<ProofFault<'_>> {
        let mut faults: Vec<ProofFault<'_>> = Vec::new();
        faults.extend(self.failure.iter().map(|story| ProofFault { law: None, story, also: Vec::new() }));
        let broken = |law: &Law| self.laws.get(law).is_some_and(Verdict::is_broken);
        let stories = Law::ALL.into_iter().filter(broken).filter_map(|law| Some((law, self.laws.get(&law)?.story()?)));
        let (after, first): (Vec<_>, Vec<_>) =
            stories.partition(|(_, story)| story.follows.is_some_and(|other| broken(&other)));
        for (law, story) in first.into_iter().chain(after) {
            let is_cause = |fault: &&mut ProofFault<'_>| {
                (fault.law.is_some() && fault.law == story.follows) || fault.story.is_same_as(story)
            };
            match faults.iter_mut().find(is_cause) {
                Some(cause) => cause.also.push((law, story)),
                None => faults.push(ProofFault { law: Some(law), story, also: Vec::new() }),
            }
        }
        faults
    }

    /// The basis of the verdict on a law, in words: `37 of 41 tables had rows`, `14 steps`. `None` if the law
    /// was not checked.
    pub fn rested(&self, law: Law) -> Option<String> {
        match (law, self.laws.get(&law)?) {
            (Law::Data, Verdict::Holds | Verdict::Declared(..) | Verdict::Broken(_)) => self.rests.words(),
            (Law::Path, Verdict::Holds | Verdict::Broken(_)) => self.rests.walked(),
            _ => None,
        }
    }

    /// Records the verdict on a law. A law that is broken stays broken.
    pub(super) fn set(&mut self, law: Law, verdict: Verdict) {
        let slot = self.laws.entry(law).or_default();
        if !slot.is_broken() {
            *slot = verdict;
        }
    }

    /// Records why the remaining laws were not checked.
    pub(super) fn skip_rest(&mut self, why: &str) {
        for verdict in self.laws.values_mut().filter(|verdict| matches!(verdict, Verdict::Unknown)) {
            *verdict = Verdict::Skipped(why.to_owned());
        }
    }
}

impl ProofReport {
    /// How many migrations were not reached because an earlier one does not apply.
    pub fn unreached(&self) -> usize {
        self.migrations.iter().filter(|proven| proven.unreached.is_some()).count()
    }

    /// Whether no law of any migration is broken.
    pub fn holds(&self) -> bool {
        self.migrations.iter().all(MigrationProof::holds)
    }
}
