//! The report of `ci` as plain data, and its formats for people and for other systems.
//!
//! Nothing here decides or prints: each format turns a report into a text. The only exception is
//! [`github::append`], which appends a text to a file.

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

use migrate_base::finding::{Finding, Severity};
use migrate_base::lock_mode::LockMode;
use migrate_core::Version;
use migrate_review::consumer::SafeOrder;
use migrate_test::proof::ProofBasis;

use crate::output::style;

/// The results of all checks.
#[derive(Debug, Clone, Default)]
pub(crate) struct CiReport {
    /// The base of the comparison: `origin/main at 1a2b3c4`; `None` if there is no base branch.
    pub(crate) base: Option<String>,
    /// The checks, in the order of the report.
    pub(crate) checks: Vec<CheckResult>,
    /// Which migrations were checked.
    pub(crate) scope: ReportScope,
    /// The result for each new migration, the oldest first, if it was checked.
    pub(crate) migrations: Vec<MigrationResult>,
    /// In which order each of them and the code of consumers can be deployed, if there are consumers.
    pub(crate) orders: Vec<MigrationOrder>,
    /// The changes of the schema, one sentence each.
    pub(crate) difference: Vec<String>,
    /// The changed tables.
    pub(crate) tables: Vec<DiagramTable>,
    /// How long all checks took.
    pub(crate) elapsed: Duration,
}

/// The migrations that were checked, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ReportScope {
    /// The files cannot be read as migrations.
    #[default]
    Unread,
    /// Those that are not on the base branch.
    New(usize),
    /// The whole chain, whatever the base branch has.
    All(usize),
}

/// The result of one check.
#[derive(Debug, Clone)]
pub(crate) struct CheckResult {
    /// Its name, which never changes: `files`, `edited`, `lint`, `locks`, `proof`, `released`, `role`, `consumers`.
    pub(crate) name: &'static str,
    /// A summary in a few words: `9 migrations`.
    pub(crate) summary: String,
    /// Why the check was skipped, if it was.
    pub(crate) skipped: Option<String>,
    /// Whether the check was not completed: the server was lost, or the command was interrupted.
    pub(crate) lost: bool,
    /// The findings.
    pub(crate) findings: Vec<Finding>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// The result for one new migration on the shadow database.
#[derive(Debug, Clone)]
pub(crate) struct MigrationResult {
    /// Its version.
    pub(crate) version: Version,
    /// Its name.
    pub(crate) name: String,
    /// Whether it applies.
    pub(crate) applied: ResultMark,
    /// Whether rolling it back leaves the schema as it was.
    pub(crate) rolled_back: ResultMark,
    /// Whether it can be reapplied.
    pub(crate) reapplied: ResultMark,
    /// Whether the rows are still there afterwards.
    pub(crate) data: ResultMark,
    /// The evidence for that: how many tables had rows.
    pub(crate) rests: ProofBasis,
    /// The strongest lock of the up script on a table that existed before.
    pub(crate) lock: Option<StrongestLock>,
    /// The same for the down script.
    pub(crate) lock_down: Option<StrongestLock>,
    /// The tables that existed before and are rewritten.
    pub(crate) rewritten: Vec<String>,
    /// How long the up script took on the shadow database.
    pub(crate) elapsed: Duration,
}

/// In which order a new migration and the code of consumers can be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MigrationOrder {
    /// Its version.
    pub(crate) version: Version,
    /// Its name.
    pub(crate) name: String,
    /// The verdict.
    pub(crate) order: SafeOrder,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultMark {
    /// It succeeded.
    Yes,
    /// It failed.
    No,
    /// It failed, as the migration declares.
    Declared,
    /// It was not checked.
    Unknown,
}

/// An observed lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StrongestLock {
    /// The lock.
    pub(crate) mode: LockMode,
    /// The table: `public.orders`.
    pub(crate) table: String,
}

/// A table in a diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiagramTable {
    /// Its name: `public.orders`.
    pub(crate) name: String,
    /// What happens to it.
    pub(crate) fate: DiagramFate,
    /// Its columns, in their order.
    pub(crate) columns: Vec<DiagramColumn>,
    /// The tables that its foreign keys reference, each with the columns of the key.
    pub(crate) references: Vec<(String, String)>,
}

/// A column in a diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiagramColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: String,
    /// Whether it is a part of the primary key.
    pub(crate) is_key: bool,
    /// What happens to it.
    pub(crate) fate: DiagramFate,
}

/// What happens to a part of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiagramFate {
    /// It is unchanged.
    Same,
    /// It is added.
    Added,
    /// It is dropped.
    Dropped,
    /// It is changed.
    Changed,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    /// Nothing has to be fixed.
    Passed,
    /// Something is probably wrong, but does not prevent a merge.
    Warned,
    /// Something prevents a merge.
    Failed,
    /// The check did not run.
    Skipped,
}

impl ReportScope {
    /// `3 new migrations`; none if they cannot be read.
    pub(crate) fn words(self) -> Option<String> {
        match self {
            Self::Unread => None,
            Self::New(new) => Some(style::count(new, "new migration")),
            Self::All(all) => Some(style::count(all, "migration")),
        }
    }
}

impl CheckOutcome {
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

impl CheckResult {
    /// Whether something was found that prevents a merge.
    pub(crate) fn failed(&self) -> bool {
        self.lost || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// How the check ended. Findings count even if the rest was skipped.
    pub(crate) fn outcome(&self) -> CheckOutcome {
        match self.findings.iter().map(|finding| finding.severity).max() {
            _ if self.lost => CheckOutcome::Failed,
            Some(Severity::Error) => CheckOutcome::Failed,
            Some(Severity::Warning) => CheckOutcome::Warned,
            _ if self.skipped.is_some() => CheckOutcome::Skipped,
            _ => CheckOutcome::Passed,
        }
    }

    /// The summary, or why the check was skipped.
    pub(crate) fn told(&self) -> &str {
        self.skipped.as_deref().unwrap_or(&self.summary)
    }
}

impl MigrationResult {
    /// The name of its files without the extension: `20250217143000_create_orders_table`.
    pub(crate) fn title(&self) -> String {
        self.version.title(&self.name)
    }

    /// The evidence for the data law: `, 37 of 41 tables had rows`.
    pub(crate) fn rested(&self) -> String {
        let words = self.rests.words().filter(|_| self.data != ResultMark::Unknown);
        words.map(|words| format!(", {words}")).unwrap_or_default()
    }
}

impl ResultMark {
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

impl DiagramFate {
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

impl CiReport {
    /// Whether a merge is prevented.
    pub(crate) fn failed(&self) -> bool {
        self.checks.iter().any(CheckResult::failed)
    }

    /// Whether a check was not completed, so that its result is unknown.
    pub(crate) fn broke_off(&self) -> bool {
        self.checks.iter().any(|check| check.lost)
    }

    /// All findings, in the order of the checks.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| &check.findings)
    }

    /// `7 checks passed` or `2 errors and 1 warning, 7 checks run`, and the number of migrations.
    pub(crate) fn counts(&self) -> String {
        let found = |severity, noun| {
            let number = self.findings().filter(|finding| finding.severity == severity).count();
            (number > 0).then(|| style::count(number, noun))
        };
        let found: Vec<String> =
            [found(Severity::Error, "error"), found(Severity::Warning, "warning")].into_iter().flatten().collect();
        let skipped = self.checks.iter().filter(|check| check.outcome() == CheckOutcome::Skipped).count();
        let checks = style::count(self.checks.len() - skipped, "check");
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        let migrations = self.scope.words().map(|words| format!(", {words}")).unwrap_or_default();
        match found.is_empty() {
            true => format!("{checks} passed{skipped}{migrations}"),
            false => format!("{}, {checks} run{skipped}{migrations}", found.join(" and ")),
        }
    }
}
