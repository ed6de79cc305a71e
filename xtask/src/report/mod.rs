//! What `ci` found out, as plain data, and its forms for people and for other systems.
//!
//! Nothing here decides or prints: a report goes in, a text comes out. The one exception is
//! [`github::append`], which puts a text where the caller says.

pub(crate) mod escape;
pub(crate) mod github;
pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod markdown;
mod mermaid;
mod place;
#[cfg(test)]
mod sample;
pub(crate) mod sarif;
pub(crate) mod text;

use std::time::Duration;

use migrate_core::Version;
use migrate_core::consumer::Order;
use migrate_core::finding::{Finding, Severity};
use migrate_core::lock_mode::LockMode;
use migrate_test::proof::Rests;

use crate::output::style;

/// Everything that was looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// What is released already: `origin/main at 1a2b3c4`; `None` where there is no base branch to compare with.
    pub(crate) base: Option<String>,
    /// The checks, in the order in which they were made.
    pub(crate) checks: Vec<Check>,
    /// How many migrations are new here.
    pub(crate) new: usize,
    /// What became of each of them, the oldest first, where that was looked at.
    pub(crate) migrations: Vec<Judged>,
    /// In which order each of them and the code of consumers can be deployed, where there are consumers.
    pub(crate) orders: Vec<Ordered>,
    /// What they change in the schema, a sentence each.
    pub(crate) difference: Vec<String>,
    /// The tables that they change.
    pub(crate) tables: Vec<Table>,
    /// How long it all took.
    pub(crate) elapsed: Duration,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    /// A word for it, which never changes: `files`, `edited`, `lint`, `locks`, `proof`, `released`, `role`, `consumers`.
    pub(crate) name: &'static str,
    /// What was seen, in a few words: `9 migrations`.
    pub(crate) summary: String,
    /// Why it was not looked at, where it was not.
    pub(crate) skipped: Option<String>,
    /// Whether it broke off: the server was lost, or the command was interrupted.
    pub(crate) lost: bool,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// One new migration, and what became of it on the throw-away database.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    /// Its version.
    pub(crate) version: Version,
    /// Its name.
    pub(crate) name: String,
    /// Whether it applies.
    pub(crate) applied: Mark,
    /// Whether rolling it back leaves the schema as it was.
    pub(crate) rolled_back: Mark,
    /// Whether it can be applied again.
    pub(crate) reapplied: Mark,
    /// Whether the rows are there afterwards.
    pub(crate) data: Mark,
    /// What that rests on: how many tables had rows.
    pub(crate) rests: Rests,
    /// The strongest lock on a table that was there before, on the way up.
    pub(crate) lock: Option<Held>,
    /// The same on the way down.
    pub(crate) lock_down: Option<Held>,
    /// The tables that were there before and are rewritten.
    pub(crate) rewritten: Vec<String>,
    /// How long its up took on the throw-away database.
    pub(crate) elapsed: Duration,
}

/// In which order a new migration and the code of consumers can be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// Its version.
    pub(crate) version: Version,
    /// Its name.
    pub(crate) name: String,
    /// The verdict.
    pub(crate) order: Order,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// As it should.
    Yes,
    /// Not as it should.
    No,
    /// Not, and the migration says so.
    Declared,
    /// It was not looked at.
    Unknown,
}

/// A lock that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The lock.
    pub(crate) mode: LockMode,
    /// The table: `public.orders`.
    pub(crate) table: String,
}

/// A table in a diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its name: `public.orders`.
    pub(crate) name: String,
    /// What happens to it.
    pub(crate) fate: Fate,
    /// Its columns, in their order.
    pub(crate) columns: Vec<Column>,
    /// The tables that its foreign keys name, each with the columns of the key.
    pub(crate) references: Vec<(String, String)>,
}

/// A column in a diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: String,
    /// Whether it is a part of the primary key.
    pub(crate) is_key: bool,
    /// What happens to it.
    pub(crate) fate: Fate,
}

/// What happens to a part of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    Same,
    /// It comes.
    Added,
    /// It goes.
    Dropped,
    /// It is not what it was.
    Changed,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing was found that has to be done.
    Passed,
    /// Something is probably wrong, and stops nothing.
    Warned,
    /// Something stops a merge.
    Failed,
    /// It was not looked at.
    Skipped,
}

impl Outcome {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Check {
    /// Whether something was found that stops a merge.
    pub(crate) fn failed(&self) -> bool {
        self.lost || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// How it ended. What was found counts, also where the rest was skipped.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.findings.iter().map(|finding| finding.severity).max() {
            _ if self.lost => Outcome::Failed,
            Some(Severity::Error) => Outcome::Failed,
            Some(Severity::Warning) => Outcome::Warned,
            _ if self.skipped.is_some() => Outcome::Skipped,
            _ => Outcome::Passed,
        }
    }

    /// What was seen, or why nothing was.
    pub(crate) fn told(&self) -> &str {
        self.skipped.as_deref().unwrap_or(&self.summary)
    }
}

impl Judged {
    /// The name of its files without their ending: `20250217143000_create_orders_table`.
    pub(crate) fn title(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }

    /// What the word for the data rests on: `, 37 of 41 tables had rows`.
    pub(crate) fn rested(&self) -> String {
        let words = self.rests.words().filter(|_| self.data != Mark::Unknown);
        words.map(|words| format!(", {words}")).unwrap_or_default()
    }
}

impl Mark {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Declared => "declared",
            Self::Unknown => "unknown",
        }
    }
}

impl Fate {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Added => "added",
            Self::Dropped => "dropped",
            Self::Changed => "changed",
        }
    }
}

impl Report {
    /// Whether a merge is stopped.
    pub(crate) fn failed(&self) -> bool {
        self.checks.iter().any(Check::failed)
    }

    /// Whether a check broke off, so that nobody knows what it would have found.
    pub(crate) fn broke_off(&self) -> bool {
        self.checks.iter().any(|check| check.lost)
    }

    /// All findings, in the order of the checks.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| &check.findings)
    }

    /// `7 checks passed` or `2 errors and 1 warning in 7 checks`, and of how many migrations.
    pub(crate) fn counts(&self) -> String {
        let found = |severity, noun| {
            let number = self.findings().filter(|finding| finding.severity == severity).count();
            (number > 0).then(|| style::count(number, noun))
        };
        let found: Vec<String> =
            [found(Severity::Error, "error"), found(Severity::Warning, "warning")].into_iter().flatten().collect();
        let skipped = self.checks.iter().filter(|check| check.outcome() == Outcome::Skipped).count();
        let checks = style::count(self.checks.len() - skipped, "check");
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        let migrations = style::count(self.new, "new migration");
        match found.is_empty() {
            true => format!("{checks} passed{skipped}, {migrations}"),
            false => format!("{} in {checks}{skipped}, {migrations}", found.join(" and ")),
        }
    }
}
