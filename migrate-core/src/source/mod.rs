//! Migrations as files: the content of a folder, in order, and all problems in it.
//!
//! Only this module of the library reads migration files. The runner runs them, and the ledger knows what is applied.

mod assemble;
mod checksum;
mod directive;
mod driven;
mod files;
mod layout;
mod load;
mod nothing;
mod odd;
mod script;
mod unreadable;
mod version;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::parallel;

pub use checksum::{Checksum, normalise};
pub use directive::{CapturedMigration, Directives, FormerMigration};
pub use driven::{DeclaredLimits, DrivenMigration};
pub(crate) use files::has_own_name;
pub(crate) use layout::diesel_version;
pub use layout::{Layout, MigrationFolder, NotALayout};
pub use load::EmbeddedFile;
pub use load::decode;
pub(crate) use load::unreadable_file;
pub use script::Script;
pub use version::{NotAVersion, Version, title};

/// The migrations of a folder, in the order of their versions.
#[derive(Debug, Clone, Default)]
pub struct MigrationSet {
    migrations: Vec<Arc<Migration>>,
    /// The migrations without a version, which run after all others whenever they change.
    repeatables: Vec<Arc<Migration>>,
    folder: PathBuf,
    /// What was found instead, if a folder without migrations was read.
    empty: Option<Box<Finding>>,
    /// The positions of the migrations that replace others.
    squashes: Vec<usize>,
    /// Whether a migration was converted from another tool's folder.
    is_converted: bool,
}

/// One migration: a version, a name, and how to apply and roll it back.
#[derive(Debug, Clone)]
pub struct Migration {
    version: Version,
    name: Box<str>,
    body: MigrationBody,
    /// Whether it has no down script without a declaration, because the files of another tool have none.
    is_up_only: bool,
    fixture: Option<Arc<Script>>,
    verify: Option<Arc<Script>>,
}

/// What a migration is written in.
#[derive(Debug, Clone)]
pub enum MigrationBody {
    /// A pair of SQL files.
    Sql {
        /// The up script.
        up: Arc<Script>,
        /// The down script; `None` if the up script is declared irreversible.
        down: Option<Arc<Script>>,
    },
    /// A Rust file, whose code is compiled into the executable, or a file of another tool in another language.
    Code {
        /// The file.
        path: PathBuf,
        /// Other files of it, which another tool reads.
        beside: Vec<PathBuf>,
        /// The checksum of its text.
        checksum: Checksum,
        /// What its file declares; nothing for one in Rust, whose code runs both ways.
        declared: DeclaredLimits,
    },
}

impl MigrationBody {
    /// A file that declares nothing.
    fn code(path: PathBuf, checksum: Checksum) -> Self {
        Self::Code { path, beside: Vec::new(), checksum, declared: DeclaredLimits::default() }
    }
}

impl MigrationSet {
    /// The migrations, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Migration>> {
        self.migrations.iter()
    }

    /// The repeatable migrations, in the order in which they run: after all others, and again whenever they change.
    pub fn repeatables(&self) -> &[Arc<Migration>] {
        &self.repeatables
    }

    /// The migrations up to a version, without some of the repeatable ones.
    pub fn cut(&self, version: &Version, is_left_out: impl Fn(&Version) -> bool) -> Self {
        let migrations = self.migrations.iter().filter(|one| one.version() <= version).cloned().collect();
        let repeatables = self.repeatables.iter().filter(|one| !is_left_out(one.version())).cloned().collect();
        Self { repeatables, ..Self::new(migrations, &self.folder, self.empty.clone()) }
    }

    /// The migrations that make the schema of a version, or of the newest one: those up to it, and after the newest one
    /// also the repeatable ones.
    pub fn up_to(&self, version: Option<&Version>) -> Vec<Arc<Migration>> {
        let wanted = |one: &&Arc<Migration>| version.is_none_or(|version| one.version() <= version);
        let is_newest = self.last().is_none_or(|last| version.is_none_or(|version| last.version() <= version));
        let repeatables = self.repeatables.iter().filter(|_| is_newest);
        self.migrations.iter().filter(wanted).chain(repeatables).cloned().collect()
    }

    /// The migration with this version, or the repeatable one that has this in its place.
    pub fn get(&self, version: &Version) -> Option<&Arc<Migration>> {
        let all = if version.is_repeatable() { &self.repeatables } else { &self.migrations };
        let at = all.binary_search_by(|m| m.version.cmp(version)).ok()?;
        all.get(at)
    }

    /// The newest migration.
    pub fn last(&self) -> Option<&Arc<Migration>> {
        self.migrations.last()
    }

    /// The number of migrations that have a version.
    pub fn len(&self) -> usize {
        self.migrations.len()
    }

    /// Whether there are no migrations, not even repeatable ones.
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty() && self.repeatables.is_empty()
    }

    /// The finding that there are no migrations, with what was found instead. It is meaningful only if the set is
    /// empty.
    pub fn why_empty(&self) -> Finding {
        self.empty.as_deref().cloned().unwrap_or_else(nothing::nothing_embedded)
    }

    /// Creates the set of a folder that was read as this layout.
    fn of(mut migrations: Vec<Arc<Migration>>, folder: &Path, layout: Layout) -> Self {
        let first = migrations.partition_point(|one| !one.version.is_repeatable());
        let repeatables = migrations.split_off(first);
        let is_empty = migrations.is_empty() && repeatables.is_empty();
        let empty = is_empty.then(|| Box::new(nothing::nothing(folder, layout)));
        Self { repeatables, ..Self::new(migrations, folder, empty) }
    }

    fn new(migrations: Vec<Arc<Migration>>, folder: &Path, empty: Option<Box<Finding>>) -> Self {
        let squashes = (0..).zip(&migrations).filter(|(_, one)| one.squashes().is_some()).map(|(at, _)| at).collect();
        let is_converted = migrations.iter().any(|one| one.was().is_some());
        Self { migrations, repeatables: Vec::new(), folder: folder.to_owned(), empty, squashes, is_converted }
    }

    /// The migrations that were converted from another tool's folder.
    pub(crate) fn converted(&self) -> impl Iterator<Item = (&Migration, &FormerMigration)> {
        let all = self.migrations.iter().filter(|_| self.is_converted);
        all.filter_map(|one| Some((&**one, one.was()?)))
    }

    /// The migrations that replace others.
    pub(crate) fn squashes(&self) -> impl Iterator<Item = &Migration> {
        self.squashes.iter().filter_map(|at| self.migrations.get(*at)).map(|one| &**one)
    }

    /// Checks the statements of all migrations except those that were accepted before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Files`] with a finding for each statement that prevents a file from being run.
    pub(crate) fn check(&self, is_accepted: impl Fn(&Migration) -> bool) -> Result<()> {
        let findings = self.findings(|one| !is_accepted(one));
        if findings.is_empty() { Ok(()) } else { Err(Error::of(ErrorKind::Files, findings)) }
    }

    /// The problems with the statements of the selected migrations.
    fn findings(&self, is_wanted: impl Fn(&Migration) -> bool) -> Vec<Finding> {
        let wanted: Vec<&Migration> = self.migrations.iter().map(|one| &**one).filter(|one| is_wanted(one)).collect();
        parallel::map(&wanted, |migration| migration.findings()).into_iter().flatten().collect()
    }

    /// The folder of the migrations, as given.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl<'a> IntoIterator for &'a MigrationSet {
    type Item = &'a Arc<Migration>;
    type IntoIter = std::slice::Iter<'a, Arc<Migration>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Migration {
    /// The version, which decides the order.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The name, in snake case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is written in.
    pub fn body(&self) -> &MigrationBody {
        &self.body
    }

    /// Rows that must exist before the migration is tried, if the proof needs rows that it would not generate.
    pub fn fixture(&self) -> Option<&Arc<Script>> {
        self.fixture.as_ref()
    }

    /// A query that must return no row after the migration.
    pub fn verify(&self) -> Option<&Arc<Script>> {
        self.verify.as_ref()
    }

    /// The problems with the statements of its files.
    fn findings(&self) -> Vec<Finding> {
        let scripts = [self.up_script(), self.down_script(), self.fixture(), self.verify()];
        let of_scripts = scripts.into_iter().flatten().flat_map(|script| script.findings()).cloned();
        of_scripts.chain(self.verify().and_then(|script| not_one_query(script))).collect()
    }

    /// The checksum of the up script.
    pub fn up_checksum(&self) -> &Checksum {
        match &self.body {
            MigrationBody::Sql { up, .. } => up.checksum(),
            MigrationBody::Code { checksum, .. } => checksum,
        }
    }

    /// The down script, if there is one.
    pub fn down_script(&self) -> Option<&Arc<Script>> {
        match &self.body {
            MigrationBody::Sql { down, .. } => down.as_ref(),
            MigrationBody::Code { .. } => None,
        }
    }

    /// The up script, if it is SQL.
    pub fn up_script(&self) -> Option<&Arc<Script>> {
        match &self.body {
            MigrationBody::Sql { up, .. } => Some(up),
            MigrationBody::Code { .. } => None,
        }
    }

    /// The language of a migration that is not written in SQL.
    pub fn language(&self) -> Option<&'static str> {
        let MigrationBody::Code { path, .. } = &self.body else { return None };
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        Some(match extension {
            "rs" => Self::RUST,
            "go" => "Go",
            "py" => "Python",
            "java" | "class" => "Java",
            "kt" => "Kotlin",
            "js" | "mjs" | "cjs" => "JavaScript",
            "ts" | "mts" | "cts" => "TypeScript",
            "rb" => "Ruby",
            "exs" => "Elixir",
            "php" => "PHP",
            "cs" => "C#",
            _ => "another language",
        })
    }

    /// The language whose migrations can be compiled into the executable.
    pub(crate) const RUST: &'static str = "Rust";

    /// The file to name for the migration as a whole.
    pub fn path(&self) -> &Path {
        match &self.body {
            MigrationBody::Sql { up, .. } => up.path(),
            MigrationBody::Code { path, .. } => path,
        }
    }

    /// Its files: what applies it, and what rolls it back.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let beside = match &self.body {
            MigrationBody::Sql { .. } => &[],
            MigrationBody::Code { beside, .. } => &**beside,
        };
        let down = self.down_script().map(|script| script.path());
        std::iter::once(self.path()).chain(down).chain(beside.iter().map(PathBuf::as_path))
    }

    /// Whether it has no down script although it is not declared irreversible, because the files of another tool have
    /// none.
    pub fn is_up_only(&self) -> bool {
        self.is_up_only
    }

    /// Why there is no down script, if that was declared, or the layout of another tool has none.
    pub fn irreversible(&self) -> Option<&str> {
        match &self.body {
            MigrationBody::Sql { up, .. } => up.directives.irreversible.as_deref(),
            MigrationBody::Code { declared, .. } => declared.irreversible.as_deref(),
        }
    }

    /// What it was before its folder was converted into ours.
    pub fn was(&self) -> Option<&FormerMigration> {
        self.up_script()?.directives().was.as_ref()
    }

    /// The migration of another tool whose statements it has.
    pub fn captured(&self) -> Option<&CapturedMigration> {
        self.up_script()?.directives().captured.as_ref()
    }

    /// The first of the migrations that this one replaces.
    pub fn squashes(&self) -> Option<&Version> {
        self.up_script()?.directives().squashes.as_ref()
    }

    /// Why the down script cannot restore all data, if that was declared.
    pub fn lossy(&self) -> Option<&str> {
        let (up, down) = match &self.body {
            MigrationBody::Sql { up, down } => (up, down),
            MigrationBody::Code { declared, .. } => return declared.lossy.as_deref(),
        };
        let of_down = || down.as_ref().and_then(|script| script.directives.lossy.as_deref());
        up.directives.lossy.as_deref().or_else(of_down)
    }
}

/// The finding for a check that is not one query: the rows of the query are the errors.
fn not_one_query(script: &Script) -> Option<Finding> {
    let second = script.statements().get(1)?;
    Some(
        Finding::new(codes::VERIFY_NOT_ONE, "a check must be one query that returns the rows that are wrong")
            .at(Place::within(script.path(), script.text().clone(), second.span.clone()))
            .help("combine the queries with UNION ALL"),
    )
}
