//! Reads the migration folders of other tools.
//!
//! Each layout only determines which files belong to which migration and which bytes of them are its up script and its
//! down script; the rest of a shared file is replaced by blanks, so that lines and columns stay the same. What the tool
//! would run and we cannot is a finding, or a migration at which the chain stops.

mod detect;
mod flyway;
mod folders;
mod liquibase;
mod listed;
mod listing;
mod marked;
mod numbered;
mod pairs;
mod placeholder;
mod unread;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

pub(crate) use folders::diesel_version;
use listing::FolderListing;
use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};

use super::{CapturedMigration, Checksum, Migration, MigrationBody, MigrationSet, Script, Version, assemble};

/// The tool whose files a folder contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Layout {
    /// Ours: `<14 digits>_<snake_case>.up.sql` and `.down.sql`, and nothing else.
    #[default]
    Roundtrip,
    /// sqlx: `<digits>_<anything>.up.sql` and `.down.sql`, or `.sql` alone.
    Sqlx,
    /// golang-migrate: the same pairs, sent without a transaction around them.
    GolangMigrate,
    /// diesel: folders with `up.sql`, `down.sql` and a `metadata.toml`.
    Diesel,
    /// dbmate: single files with `-- migrate:up` and `-- migrate:down`.
    Dbmate,
    /// goose: single files with `-- +goose Up` and `-- +goose Down`.
    Goose,
    /// sql-migrate: single files with `-- +migrate Up` and `-- +migrate Down`.
    SqlMigrate,
    /// Flyway: `V1.2__name.sql` and `U1.2__name.sql`, in folders inside the folder as well.
    Flyway,
    /// refinery: `V1__name.sql` and `U1__name.sql`, both of which go up.
    Refinery,
    /// Prisma: folders with a `migration.sql`.
    Prisma,
    /// Drizzle: the files in `meta/_journal.json`.
    Drizzle,
    /// node-pg-migrate: single files with `-- Up Migration` and `-- Down Migration`.
    NodePgMigrate,
    /// tern: single files with `---- create above / drop below ----`.
    Tern,
    /// graphile-migrate: the files in `committed`.
    GraphileMigrate,
    /// Supabase: `<digits>_<anything>.sql`.
    Supabase,
    /// Atlas: `<digits>_<anything>.sql`, with an `atlas.sum`.
    Atlas,
    /// sqitch: the changes of `sqitch.plan`, with scripts in `deploy` and `revert`.
    Sqitch,
    /// yoyo: `<digits>.<anything>.sql` and `.rollback.sql`, after those that they depend on.
    Yoyo,
    /// Liquibase: files of formatted SQL, with changesets.
    Liquibase,
    /// postgrator: `<digits>.do.<anything>.sql` and `.undo.`.
    Postgrator,
}

const WORDS: [(Layout, &str); 20] = [
    (Layout::Roundtrip, "roundtrip"),
    (Layout::Sqlx, "sqlx"),
    (Layout::GolangMigrate, "golang-migrate"),
    (Layout::Diesel, "diesel"),
    (Layout::Dbmate, "dbmate"),
    (Layout::Goose, "goose"),
    (Layout::SqlMigrate, "sql-migrate"),
    (Layout::Flyway, "flyway"),
    (Layout::Refinery, "refinery"),
    (Layout::Prisma, "prisma"),
    (Layout::Drizzle, "drizzle"),
    (Layout::NodePgMigrate, "node-pg-migrate"),
    (Layout::Tern, "tern"),
    (Layout::GraphileMigrate, "graphile-migrate"),
    (Layout::Supabase, "supabase"),
    (Layout::Atlas, "atlas"),
    (Layout::Sqitch, "sqitch"),
    (Layout::Yoyo, "yoyo"),
    (Layout::Liquibase, "liquibase"),
    (Layout::Postgrator, "postgrator"),
];

/// A text that is not the name of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotALayout;

impl Layout {
    /// The names of all layouts.
    pub fn names() -> Vec<&'static str> {
        WORDS.iter().map(|(_, word)| *word).collect()
    }

    /// Detects which tool wrote a folder, from the file names and the first lines of the files.
    pub fn detect(folder: &Path) -> Self {
        detect::detect(folder)
    }

    /// Whether the tool compares versions as numbers; otherwise its own order has to be the same.
    fn is_numeric(self) -> bool {
        !matches!(
            self,
            Self::Diesel
                | Self::Dbmate
                | Self::Prisma
                | Self::Drizzle
                | Self::Supabase
                | Self::Atlas
                | Self::Sqitch
                | Self::Yoyo
                | Self::Liquibase
        )
    }

    /// Whether the tool puts a transaction around a file.
    fn wraps(self) -> bool {
        // Flyway leaves it out if a statement cannot run in one, and psql, which sqitch calls, has none of its own.
        !matches!(self, Self::GolangMigrate | Self::Prisma | Self::Postgrator | Self::Flyway | Self::Sqitch)
    }
}

/// A folder of migrations, and what has to be known to read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationFolder {
    /// The folder.
    pub path: PathBuf,
    /// Whose files they are.
    pub layout: Layout,
    /// Files that the other tool would run and that are left out on purpose, as paths below the folder.
    pub skip: Vec<String>,
    /// The values of placeholders in the files.
    pub placeholders: BTreeMap<String, String>,
    /// Files that are an up script as a whole, although a remark in them looks like the mark of a down script.
    pub whole: Vec<String>,
}

impl MigrationFolder {
    /// A folder of this layout, without placeholders, of which nothing is left out.
    pub fn new(path: impl Into<PathBuf>, layout: Layout) -> Self {
        Self { path: path.into(), layout, ..Self::default() }
    }

    /// Reads the folder, and checks its files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Files`] with one finding for each problem in the folder.
    pub fn load(&self) -> Result<MigrationSet> {
        self.refuse_keys()?;
        match self.layout {
            Layout::Roundtrip => MigrationSet::load(&self.path),
            _ => self.read_foreign(&[]),
        }
    }

    /// Like [`Self::load`], as if the folder also had these migrations: pairs named `<version>_<name>.up.sql` and
    /// `.down.sql`, whatever the layout is. A folder that does not exist yet counts as empty.
    ///
    /// # Errors
    ///
    /// Those of [`Self::load`].
    pub fn load_with(&self, drafts: &[(String, String)]) -> Result<MigrationSet> {
        match self.layout {
            Layout::Roundtrip => MigrationSet::load_with(&self.path, drafts),
            _ => self.read_foreign(drafts),
        }
    }

    /// Reads the folder for a migrator; see [`MigrationSet::read`]. The files of other tools are checked at once,
    /// because what is sent of them depends on their statements.
    ///
    /// # Errors
    ///
    /// Those of [`MigrationSet::read`], or of [`Self::load`] for another tool's folder.
    pub fn read(&self) -> Result<MigrationSet> {
        self.refuse_keys()?;
        match self.layout {
            Layout::Roundtrip => MigrationSet::read(&self.path),
            _ => self.read_foreign(&[]),
        }
    }

    /// The finding for keys that only have a meaning for the files of another tool.
    fn refuse_keys(&self) -> Result<()> {
        let has_keys = !(self.skip.is_empty() && self.whole.is_empty() && self.placeholders.is_empty());
        if self.layout != Layout::Roundtrip || !has_keys {
            return Ok(());
        }
        let what = "`skip`, `whole` and `[placeholders]` are about the files of other tools";
        let finding = Finding::new(codes::SKIP_UNKNOWN, what).at(Place::file(&self.path));
        Err(Error::new(ErrorKind::Files, finding.help("set `layout` in migrate.toml, or remove these keys")))
    }

    fn read_foreign(&self, added: &[(String, String)]) -> Result<MigrationSet> {
        let mut listing = FolderListing::new(self);
        let layout = self.layout;
        let mut drafts = match layout {
            _ if !added.is_empty() && !self.path.exists() => Vec::new(),
            Layout::Roundtrip => Vec::new(),
            Layout::Diesel => folders::diesel(&mut listing)?,
            Layout::Prisma => folders::prisma(&mut listing)?,
            Layout::Flyway => flyway::flyway(&mut listing)?,
            Layout::Refinery => flyway::refinery(&mut listing)?,
            Layout::Drizzle => listed::drizzle(&mut listing)?,
            Layout::Sqitch => listed::sqitch(&mut listing)?,
            Layout::GraphileMigrate => numbered::graphile(&mut listing)?,
            Layout::Yoyo => numbered::yoyo(&mut listing)?,
            Layout::Liquibase => liquibase::files(&mut listing)?,
            Layout::Sqlx | Layout::GolangMigrate | Layout::Supabase | Layout::Atlas | Layout::Postgrator => {
                pairs::pairs(layout, &mut listing)?
            }
            Layout::Dbmate | Layout::Goose | Layout::SqlMigrate | Layout::NodePgMigrate | Layout::Tern => {
                marked::files(layout, &mut listing)?
            }
        };
        if self.path.exists() {
            listing.check_skips();
        }
        pairs::add_drafts(&self.path, added, &mut drafts);
        let mut findings = listing.findings;
        findings.extend(misordered(layout, &drafts));
        drafts.sort_by(|a, b| a.version.cmp(&b.version));
        let twice = drafts.windows(2).filter(|pair| pair[0].version == pair[1].version);
        findings.extend(twice.map(|pair| same_version(self, &pair[0], &pair[1])));
        let built = drafts.into_iter().map(|draft| Arc::new(draft.build(self, &mut findings)));
        let migrations = built.collect();
        match findings.is_empty() {
            true => Ok(MigrationSet::of(migrations, &self.path, layout)),
            false => Err(Error::of(ErrorKind::Files, findings)),
        }
    }
}

/// The finding for two migrations with the same version.
fn same_version(folder: &MigrationFolder, first: &ForeignMigration, second: &ForeignMigration) -> Finding {
    let layout = folder.layout;
    let finding = assemble::twice(second.path(), first.path());
    let what = if first.version.is_repeatable() { "repeatable migrations by name" } else { "migrations by version" };
    let finding =
        finding.help(format!("rename the one that is not applied to any database: {layout} identifies {what}"));
    // Flyway can be given other folders for each database.
    let other = second.path().parent().filter(|other| Some(*other) != first.path().parent());
    match other.and_then(|other| other.strip_prefix(&folder.path).ok()) {
        Some(below) if layout == Layout::Flyway => finding.help(format!(
            "or, if {} is for other databases, leave it out: `skip = [\"{}\"]` in migrate.toml",
            below.display(),
            below.display()
        )),
        _ => finding,
    }
}

/// The finding for a tool whose own order is not that of the versions.
fn misordered(layout: Layout, drafts: &[ForeignMigration]) -> Option<Finding> {
    let pair = drafts.windows(2).find(|pair| !layout.is_numeric() && pair[0].version > pair[1].version)?;
    let [first, second] = pair else { return None };
    Some(
        Finding::new(
            codes::VERSION_ORDER,
            format!(
                "{layout} runs {} before {}, and versions are compared as numbers here",
                first.version, second.version
            ),
        )
        .at(Place::file(second.path()))
        .note(format!("the one before it is {}", first.path().display()))
        .help("rename the one that is not applied to any database, so that both orders are the same"),
    )
}

/// Whether a file has the name of an up script in a layout with separate up scripts.
pub(super) fn named_like(layout: Layout, name: &str) -> bool {
    let found = match layout {
        Layout::Flyway => flyway::versioned(name).filter(|_| name.ends_with(".sql")),
        _ => pairs::pair(name),
    };
    found.is_some_and(|found| found.up)
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS.iter().find(|(layout, _)| layout == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Layout {
    type Err = NotALayout;

    fn from_str(text: &str) -> std::result::Result<Self, NotALayout> {
        WORDS.iter().find(|(_, word)| *word == text).map(|(layout, _)| *layout).ok_or(NotALayout)
    }
}

/// A migration as found by a layout.
struct ForeignMigration {
    version: Version,
    name: String,
    body: ForeignBody,
    /// What the ledger of the tool identifies it by, if that is not its version or its file.
    from: Option<CapturedMigration>,
}

enum ForeignBody {
    Sql {
        up: ForeignScript,
        down: Option<ForeignScript>,
    },
    /// A file in another language, which only the tool can run.
    Code(PathBuf, Checksum),
}

/// One direction of it: the text that is sent, at the same positions as in the file.
pub(super) struct ForeignScript {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The text before its placeholders were filled, whose checksum is kept: a value may differ between databases.
    pub(super) raw: Option<String>,
    pub(super) no_transaction: bool,
}

impl ForeignMigration {
    fn sql(version: Version, name: String, up: ForeignScript, down: Option<ForeignScript>) -> Self {
        Self { version, name, body: ForeignBody::Sql { up, down }, from: None }
    }

    /// Gives it a down script, or another one.
    fn set_down(&mut self, script: ForeignScript) {
        if let ForeignBody::Sql { down, .. } = &mut self.body {
            *down = Some(script);
        }
    }

    fn path(&self) -> &Path {
        match &self.body {
            ForeignBody::Sql { up, .. } => &up.path,
            ForeignBody::Code(path, _) => path,
        }
    }

    fn build(self, folder: &MigrationFolder, findings: &mut Vec<Finding>) -> Migration {
        let Self { version, name, body, from } = self;
        let layout = folder.layout;
        let (body, is_up_only) = match body {
            ForeignBody::Sql { up, down } => {
                let is_repeatable = version.is_repeatable();
                // It gets a transaction of ours, whatever is in it.
                let mut up = Script::foreign(up, is_repeatable || layout.wraps(), findings);
                let down = down.map(|part| Arc::new(Script::foreign(part, layout.wraps(), findings)));
                up.directives.captured = up.directives.captured.take().or(from);
                if is_repeatable {
                    findings.extend(unread::outside_transaction(&up));
                    up.directives.irreversible = Some("a repeatable migration has no down script".to_owned());
                }
                let is_up_only = down.is_none() && (is_repeatable || up.directives.irreversible.is_none());
                if is_up_only {
                    let below = up.path.strip_prefix(&folder.path).unwrap_or(&up.path).to_string_lossy();
                    let is_whole = folder.whole.iter().any(|name| *name == below.replace('\\', "/"));
                    findings.extend(unread::down_inside(layout, &up.path, &up.text).filter(|_| !is_whole));
                    let why = || format!("there is no down script in the {layout} files");
                    up.directives.irreversible.get_or_insert_with(why);
                }
                (MigrationBody::Sql { up: Arc::new(up), down }, is_up_only)
            }
            ForeignBody::Code(path, checksum) => (MigrationBody::code(path, checksum), false),
        };
        Migration { version, name: name.into(), body, is_up_only, fixture: None, verify: None }
    }
}
