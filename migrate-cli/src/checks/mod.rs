//! The checks that a change has to pass, one file each. `check`, `lint` and `ci` combine them.

pub(crate) mod changed;
pub(crate) mod consumers;
mod edited;
mod files;
mod lint;
mod locks;
mod proof;
mod released;
mod role;
mod sizes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place, Severity};
use migrate_core::{CodeMigrations, Error, ErrorKind, Migration, MigrationSet, Version};
use migrate_schema::SchemaDescription;
use migrate_test::engine::{EngineChain, of_project};
use tokio::sync::OnceCell;

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::style;
use crate::released::ReleasedBranch;
use crate::report::{CheckResult, CiReport, ReportScope};
use crate::shadow;

pub(crate) use consumers::consumers;
pub(crate) use edited::edited;
pub(crate) use files::files;
pub(crate) use lint::lint;
pub(crate) use locks::{fill, locks};
pub(crate) use proof::{blame, faults, fragile, how_to_prove, proof, proof_until, without_rows};
pub(crate) use released::released;
pub(crate) use role::{of_broken_downs, role};

/// The input of all checks.
pub(crate) struct CheckInput<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) code: CodeMigrations,
    /// The migrations, or what is wrong with the files.
    pub(crate) set: std::result::Result<MigrationSet, Error>,
    /// The migrations on the base branch, or why there is nothing to compare with.
    pub(crate) released: std::result::Result<ReleasedBranch, String>,
    /// The migrations that are not on the base branch in this form; all, if there is no base branch.
    pub(crate) new: BTreeSet<Version>,
    /// The same for the report.
    pub(crate) scope: ReportScope,
    /// The schema of the base branch, once a check has asked for it.
    schema: OnceCell<Option<Arc<SchemaDescription>>>,
}

impl<'a> CheckInput<'a> {
    /// Reads the files, and finds the base branch.
    pub(crate) fn survey(
        context: &'a Context<'a>,
        code: CodeMigrations,
        base: Option<&str>,
        all: bool,
    ) -> Result<Self> {
        let set = context.folder()?.load().and_then(|set| match set.is_empty() {
            true => Err(Error::new(ErrorKind::Files, set.why_empty())),
            false => Ok(set),
        });
        let released = ReleasedBranch::of(context, base)?;
        let new = match (&set, &released) {
            (Ok(set), Ok(released)) if !all => released.new_versions(set),
            (Ok(set), _) => set.up_to(None).iter().map(|migration| migration.version().clone()).collect(),
            (Err(_), _) => BTreeSet::new(),
        };
        let scope = match &set {
            Ok(_) if all => ReportScope::All(new.len()),
            Ok(_) => ReportScope::New(new.len()),
            Err(_) => ReportScope::Unread,
        };
        Ok(Self { context, code, set, released, new, scope, schema: OnceCell::new() })
    }

    /// The migrations of another tool, and the base branch.
    pub(crate) fn driven(context: &'a Context<'a>, chain: EngineChain, base: Option<&str>) -> Result<Self> {
        let EngineChain { set, code, .. } = chain;
        let released = ReleasedBranch::of_engine(context, &set, base)?;
        let own = of_project(&context.config, &set);
        let new = match &released {
            Ok(released) => released.new_versions(&set).intersection(&own).cloned().collect(),
            Err(_) => own,
        };
        let scope = ReportScope::New(new.len());
        Ok(Self { context, code, set: Ok(set), released, new, scope, schema: OnceCell::new() })
    }

    /// The schema of the base branch; objects that are not in it are not in use. `None` if there is no base branch, or
    /// if its migrations do not apply.
    ///
    /// # Errors
    ///
    /// The connection to the server is lost, or there is no temporary folder for the files of the base branch.
    pub(crate) async fn released_schema(&self) -> Result<Option<Arc<SchemaDescription>>> {
        let read = async || {
            let Some(base) = self.released_set()? else { return Ok(None) };
            match shadow::migrations(&base, &self.code, None).await {
                Ok(described) => Ok(Some(described)),
                Err(Failure::Core(error)) if error.kind() == ErrorKind::Statement => Ok(None),
                Err(failure) => Err(failure),
            }
        };
        self.schema.get_or_try_init(read).await.cloned()
    }

    /// The repeatable migrations of the base branch that this checkout changes, as they are there.
    ///
    /// # Errors
    ///
    /// There is no temporary folder for the files of the base branch.
    pub(crate) fn replaced_repeatables(&self) -> Result<Vec<Arc<Migration>>> {
        let Some(base) = self.released_set()? else { return Ok(Vec::new()) };
        let is_changed = |one: &&Arc<Migration>| self.new.contains(one.version());
        Ok(base.repeatables().iter().filter(is_changed).cloned().collect())
    }

    /// The migrations of the base branch; `None` if there is no base branch, or its files cannot be read.
    fn released_set(&self) -> Result<Option<MigrationSet>> {
        let folder = self.context.folder()?;
        match self.released.as_ref().map(|released| released.set(&folder)) {
            Ok(Ok(base)) => Ok(Some(base)),
            // Nothing is wrong with the files: there is no place to read them.
            Ok(Err(error)) if error.kind() == ErrorKind::Configuration => Err(error.into()),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// For a check that has nothing to look at without the migrations.
    ///
    /// # Errors
    ///
    /// What is wrong with the files.
    pub(crate) fn require_set(&self) -> Result<()> {
        match &self.set {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Core(Error::of(error.kind(), error.findings().to_vec()))),
        }
    }

    /// A report on these checks, so far.
    pub(crate) fn report(&self, checks: Vec<CheckResult>) -> CiReport {
        CiReport { base: self.base(), scope: self.scope, checks, ..CiReport::default() }
    }

    /// The base of the comparison, in words; none if nothing was compared with it.
    fn base(&self) -> Option<String> {
        if !matches!(self.scope, ReportScope::New(_)) {
            return None;
        }
        self.released.as_ref().ok().map(|released| released.base.title())
    }
}

/// The check that no released migration of another tool was changed or removed.
pub(crate) fn edited_files(ground: &CheckInput<'_>) -> CheckResult {
    let clock = Clock::start("edited");
    let (Ok(set), Ok(released)) = (&ground.set, &ground.released) else {
        return clock.skipped("there is no base branch to compare with");
    };
    let base = released.base.title();
    let finding = |(name, is_gone): (String, bool)| {
        let (code, what) = match is_gone {
            true => (codes::MIGRATION_REMOVED, "was removed"),
            false => (codes::MIGRATION_EDITED, "was changed"),
        };
        let finding = Finding::new(code, format!("{name} {what} after it was released on {base}"));
        finding.at(Place::file(set.folder().join(&name))).help("restore it, and write a new migration for the change")
    };
    let findings: Vec<Finding> = released.changed_files(set).into_iter().map(finding).collect();
    clock.done(format!("{} changed", style::count(findings.len(), "released file")), findings)
}

/// A check that needs SQL, in a project whose migrations another tool runs.
pub(crate) fn without_sql(name: &'static str, tool: &str) -> CheckResult {
    Clock::start(name).skipped(format!("{tool} runs the migrations, so there is no SQL to look at"))
}

/// The finding for a check that could not run.
fn could_not_look(name: &str, why: &str, error: &Error) -> Finding {
    let place = error.findings().iter().find_map(|finding| finding.place.clone());
    let finding = Finding::new(codes::COULD_NOT_LOOK, format!("{name} could not run: {why}")).at(place);
    let finding = error.findings().iter().map(ToString::to_string).fold(finding, Finding::note);
    finding.help("fix the cause: `cargo xtask verify --all` shows it, and keeps the database")
}

/// If another finding reports the cause, a check that could not run because of it is only skipped: one cause gives one
/// finding.
pub(crate) fn told_elsewhere(checks: &mut [CheckResult]) {
    let cause = |finding: &Finding| match &finding.place {
        Some(place) => place.to_string(),
        None => finding.notes.join(" "),
    };
    let is_blind = |finding: &Finding| finding.code == codes::COULD_NOT_LOOK && finding.severity == Severity::Error;
    let proof = checks.iter().filter(|check| check.name == "proof").flat_map(|check| &check.findings);
    let mut told: BTreeSet<String> =
        proof.filter(|one| one.severity == Severity::Error && !is_blind(one)).map(cause).collect();
    for check in checks {
        let before = check.findings.len();
        check.findings.retain(|finding| !is_blind(finding) || told.insert(cause(finding)));
        if check.findings.len() < before && check.findings.is_empty() {
            check.skipped = Some(std::mem::take(&mut check.summary));
        }
    }
}

/// A running check.
struct Clock {
    name: &'static str,
    begin: Instant,
}

impl Clock {
    fn start(name: &'static str) -> Self {
        Self { name, begin: Instant::now() }
    }

    fn done(self, summary: impl Into<String>, findings: Vec<Finding>) -> CheckResult {
        let (summary, elapsed) = (summary.into(), self.begin.elapsed());
        CheckResult { name: self.name, summary, skipped: None, lost: false, findings, elapsed }
    }

    /// The check could not be completed; what it found before counts.
    fn lost(self, summary: &str, mut findings: Vec<Finding>, why: &[Finding]) -> CheckResult {
        findings.extend_from_slice(why);
        CheckResult { lost: true, ..self.done(format!("{summary}; not completed"), findings) }
    }

    /// The check could not run, which is not a success. `error` is the cause.
    fn could_not_look(self, why: &str, error: &Error) -> CheckResult {
        let finding = could_not_look(self.name, why, error);
        self.done(format!("not checked: {why}"), vec![finding])
    }

    fn skipped(self, why: impl Into<String>) -> CheckResult {
        CheckResult {
            name: self.name,
            summary: String::new(),
            skipped: Some(why.into()),
            lost: false,
            findings: Vec::new(),
            elapsed: self.begin.elapsed(),
        }
    }
}

/// A check that did not run or was not completed, because the server was lost or the command was interrupted.
pub(crate) fn broken_off(name: &'static str, findings: Vec<Finding>) -> CheckResult {
    CheckResult { lost: true, ..Clock::start(name).done("not completed", findings) }
}
