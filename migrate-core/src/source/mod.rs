//! Migrations as files: what a folder holds, in order, and everything that is wrong with it.
//!
//! Files are read here and nowhere else in the library. Running them is left to the runner,
//! and what is already applied to the ledger.

mod checksum;
mod directive;
mod files;
mod layout;
mod load;
mod nothing;
mod odd;
mod version;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::finding::Finding;
use crate::sql::Statement;

pub use checksum::{Checksum, normalise};
pub use directive::Directives;
pub use layout::{Layout, NotALayout};
pub use load::EmbeddedFile;
pub(crate) use load::decode;
pub use version::{NotAVersion, Version};

/// The migrations of a folder, in the order of their versions.
#[derive(Debug, Clone, Default)]
pub struct MigrationSet {
    migrations: Vec<Arc<Migration>>,
    folder: PathBuf,
    /// What was found instead, where a folder was read and has none.
    empty: Option<Box<Finding>>,
}

/// One migration: a version, a name, and how to go up and down.
#[derive(Debug, Clone)]
pub struct Migration {
    version: Version,
    name: Box<str>,
    body: Body,
    /// Whether nobody declared that it has no down script: the files of another tool just have none.
    is_up_only: bool,
    fixture: Option<Arc<Script>>,
    verify: Option<Arc<Script>>,
}

/// What a migration is written in.
#[derive(Debug, Clone)]
pub enum Body {
    /// A pair of SQL files.
    Sql {
        /// The way up.
        up: Arc<Script>,
        /// The way down; `None` where the up is declared irreversible.
        down: Option<Arc<Script>>,
    },
    /// A Rust file; what it does is compiled into the executable.
    Code {
        /// The Rust file.
        path: PathBuf,
        /// The checksum of its text.
        checksum: Checksum,
    },
}

/// One SQL file.
#[derive(Debug, Clone)]
pub struct Script {
    path: PathBuf,
    text: Arc<str>,
    checksum: Checksum,
    statements: Vec<Statement>,
    directives: Directives,
}

impl MigrationSet {
    /// The migrations, the oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Migration>> {
        self.migrations.iter()
    }

    /// The migration with this version.
    pub fn get(&self, version: &Version) -> Option<&Arc<Migration>> {
        let at = self.migrations.binary_search_by(|m| m.version.cmp(version)).ok()?;
        self.migrations.get(at)
    }

    /// The newest migration.
    pub fn last(&self) -> Option<&Arc<Migration>> {
        self.migrations.last()
    }

    /// How many migrations there are.
    pub fn len(&self) -> usize {
        self.migrations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty()
    }

    /// That there are none, as a finding that says what was found instead. It only means something where there are none.
    pub fn why_empty(&self) -> Finding {
        self.empty.as_deref().cloned().unwrap_or_else(nothing::nothing_embedded)
    }

    /// The migrations of a folder that was read as this layout.
    fn of(migrations: Vec<Arc<Migration>>, folder: &Path, layout: Layout) -> Self {
        let empty = migrations.is_empty().then(|| Box::new(nothing::nothing(folder, layout)));
        Self { migrations, folder: folder.to_owned(), empty }
    }

    /// The folder that they come from, as it was given.
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
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Rows that must exist before it is tried, where the proof needs some that it would not think of.
    pub fn fixture(&self) -> Option<&Arc<Script>> {
        self.fixture.as_ref()
    }

    /// A query that must return no row after it.
    pub fn verify(&self) -> Option<&Arc<Script>> {
        self.verify.as_ref()
    }

    /// The checksum of the way up.
    pub fn up_checksum(&self) -> &Checksum {
        match &self.body {
            Body::Sql { up, .. } => &up.checksum,
            Body::Code { checksum, .. } => checksum,
        }
    }

    /// The SQL file of the way down, where there is one.
    pub fn down_script(&self) -> Option<&Arc<Script>> {
        match &self.body {
            Body::Sql { down, .. } => down.as_ref(),
            Body::Code { .. } => None,
        }
    }

    /// The SQL file of the way up, where it is SQL.
    pub fn up_script(&self) -> Option<&Arc<Script>> {
        match &self.body {
            Body::Sql { up, .. } => Some(up),
            Body::Code { .. } => None,
        }
    }

    /// The file to point at when the migration as a whole is meant.
    pub fn path(&self) -> &Path {
        match &self.body {
            Body::Sql { up, .. } => &up.path,
            Body::Code { path, .. } => path,
        }
    }

    /// Whether it has no down script although nobody declared it irreversible: the files of another tool just have none.
    pub fn is_up_only(&self) -> bool {
        self.is_up_only
    }

    /// Why there is no way down, where that was declared, or the layout of another tool has none.
    pub fn irreversible(&self) -> Option<&str> {
        match &self.body {
            Body::Sql { up, .. } => up.directives.irreversible.as_deref(),
            Body::Code { .. } => None,
        }
    }

    /// The first of the migrations in whose place this one stands.
    pub fn squashes(&self) -> Option<&Version> {
        self.up_script()?.directives().squashes.as_ref()
    }

    /// Why the way down cannot bring all data back, where that was declared.
    pub fn lossy(&self) -> Option<&str> {
        let Body::Sql { up, down } = &self.body else { return None };
        let of_down = || down.as_ref().and_then(|script| script.directives.lossy.as_deref());
        up.directives.lossy.as_deref().or_else(of_down)
    }
}

impl Script {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text, normalised; this is what the server gets.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The checksum of the text.
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// Its statements, in order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// What its head declares.
    pub fn directives(&self) -> &Directives {
        &self.directives
    }
}
