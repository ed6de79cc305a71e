//! What concurrent statements leave behind when they do not finish. It is read from the catalogs, before and after, and
//! not guessed from names.

use migrate_base::codes;
use migrate_base::db::TextRow;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::{QualifiedName, literal};
use migrate_base::sql::StatementClass;

use super::explain;
use crate::runner::plan::PlanStep;
use crate::source::{Script, Version};

/// In the note of a failure, precedes what the statement left half done.
pub(in crate::runner) const LEFT_BEHIND: &str = "; left behind: ";

/// The end of the note when `IF NOT EXISTS` found an index that is not valid.
pub(in crate::runner) const NOT_VALID: &str = "exists but is not valid";

/// Something half done, according to the catalogs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::runner) struct LeftoverObject {
    pub(in crate::runner) kind: LeftoverKind,
    pub(in crate::runner) oid: String,
    /// Its quoted name.
    pub(in crate::runner) name: String,
    /// The quoted name of its table.
    pub(in crate::runner) of: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::runner) enum LeftoverKind {
    /// An index that is not valid.
    Index,
    /// An index that is not valid because it was being dropped.
    Dropped,
    /// A partition that is half detached.
    Partition,
}

/// Finds every index that is not valid and whose table is not being worked on by another session, and every partition
/// that is half detached; `{since}` are conditions for the rows `i`, `c` and `h`.
///
/// An index on a partitioned table is not valid as long as a partition lacks its own index; that is not a failure.
const LOOK: &str = include_str!("leftover.sql");

/// The query for everything that is half done now.
pub(in crate::runner) fn look() -> String {
    LOOK.replace("{of_index}", "").replace("{of_partition}", "")
}

/// The query for what became half done after the newest row that says that a statement of a migration started or is
/// done.
pub(in crate::runner) fn look_since(ledger: &QualifiedName, version: &Version) -> String {
    let since = |rows: &[&str]| {
        let base = base(ledger, version);
        let newer = rows.iter().map(|row| format!("pg_catalog.age({row}.xmin) < {base}"));
        format!(" AND ({})", newer.collect::<Vec<_>>().join(" OR "))
    };
    LOOK.replace("{of_index}", &since(&["i", "c"])).replace("{of_partition}", &since(&["h"]))
}

/// The age of the newest row about a statement of a migration, in transactions.
pub(in crate::runner) fn base(ledger: &QualifiedName, version: &Version) -> String {
    format!(
        "(SELECT pg_catalog.age(l.xmin) FROM {ledger} l WHERE l.version = {} AND l.event IN ('started', 'progress') \
         ORDER BY l.id DESC LIMIT 1)",
        literal(version.as_str())
    )
}

impl LeftoverObject {
    pub(in crate::runner) fn of(row: TextRow) -> Option<Self> {
        let mut row = row.into_iter();
        let kind = match row.next()??.as_str() {
            "index" => LeftoverKind::Index,
            _ => LeftoverKind::Partition,
        };
        Some(Self { kind, oid: row.next()??, name: row.next()??, of: row.next()?? })
    }

    /// Whether it is one of the two copies that `REINDEX CONCURRENTLY` creates.
    pub(in crate::runner) fn is_copy(&self) -> bool {
        let name = self.name.trim_end_matches('"').trim_end_matches(|c: char| c.is_ascii_digit());
        self.kind == LeftoverKind::Index && (name.ends_with("_ccnew") || name.ends_with("_ccold"))
    }

    /// Interprets it as left by a statement of this class: a statement that drops an index does not leave it half
    /// built.
    pub(in crate::runner) fn by(mut self, class: StatementClass) -> Self {
        if class == StatementClass::DropIndexConcurrently && self.kind == LeftoverKind::Index && !self.is_copy() {
            self.kind = LeftoverKind::Dropped;
        }
        self
    }

    /// Describes it for a note.
    pub(in crate::runner) fn note(&self) -> String {
        match self.kind {
            LeftoverKind::Index if self.is_copy() => {
                format!(
                    "the index {} was left behind: a copy that is not used, but slows down writes to {}",
                    self.name, self.of
                )
            }
            LeftoverKind::Index => {
                format!(
                    "the index {} was left behind half built: it is not used, but slows down writes to {}",
                    self.name, self.of
                )
            }
            LeftoverKind::Dropped => {
                format!(
                    "the index {} was left behind half dropped: it is no longer used, but slows down writes to {}",
                    self.name, self.of
                )
            }
            LeftoverKind::Partition => format!("the partition {} was left half detached from {}", self.name, self.of),
        }
    }

    /// Describes it briefly, for the ledger.
    pub(in crate::runner) fn brief(&self) -> String {
        match self.kind {
            LeftoverKind::Index | LeftoverKind::Dropped => format!("index {}, not valid", self.name),
            LeftoverKind::Partition => format!("partition {}, half detached", self.name),
        }
    }

    /// Describes it for a list of what exists.
    pub(in crate::runner) fn seen(&self) -> String {
        match self.kind {
            LeftoverKind::Index => format!("index {} exists but is not valid: half built", self.name),
            LeftoverKind::Dropped => format!("index {} exists but is not valid: half dropped", self.name),
            LeftoverKind::Partition => format!("partition {} is half detached from {}", self.name, self.of),
        }
    }

    /// The statement that removes or finishes it.
    pub(in crate::runner) fn cleaning(&self) -> String {
        match self.kind {
            LeftoverKind::Index => format!("DROP INDEX CONCURRENTLY {}", self.name),
            LeftoverKind::Dropped => format!("REINDEX INDEX CONCURRENTLY {}", self.name),
            LeftoverKind::Partition => format!("ALTER TABLE {} DETACH PARTITION {} FINALIZE", self.of, self.name),
        }
    }

    /// What that statement does, in two forms: as an activity, and as an infinitive.
    pub(in crate::runner) fn doing(&self) -> (String, String) {
        let (doing, to_do, what) = match self.kind {
            LeftoverKind::Index => ("removing", "remove", format!("the half-built index {}", self.name)),
            LeftoverKind::Dropped => ("rebuilding", "rebuild", format!("the half-dropped index {}", self.name)),
            LeftoverKind::Partition => ("detaching", "detach", format!("the partition {} from {}", self.name, self.of)),
        };
        (format!("{doing} {what}"), format!("{to_do} {what}"))
    }
}

/// The query for indexes: whether each is valid, whether it was created since the newest row about a statement, and its
/// quoted name.
pub(in crate::runner) fn indexes(condition: &str, ledger: &QualifiedName, version: &Version) -> String {
    format!(
        "SELECT i.indisvalid AND i.indisready AND i.indislive, pg_catalog.age(c.xmin) < {}, \
         pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {condition}",
        base(ledger, version)
    )
}

/// The finding for a statement that turned out to be done when undoing was expected to run nothing: it is now recorded
/// as done.
pub(in crate::runner) fn is_done_after_all(step: &PlanStep, script: &Script, at: usize) -> Error {
    let (version, all) = (&step.version, script.statements().len());
    let title = explain::title(step);
    let finding =
        Finding::new(codes::MAY_BE_DONE, format!("statement {} of {all} of {title} turned out to be done", at + 1))
            .at(line(script, at))
            .note("the ledger did not show it; it is now recorded, and nothing was undone")
            .help(format!(
                "`cargo xtask resolve {version} --undo` undoes it by running the whole script of the other direction"
            ))
            .help(format!("`cargo xtask resolve {version} --continue` continues after it"));
    Error::new(ErrorKind::Plan, finding)
}

/// The first line of a statement.
fn line(script: &Script, at: usize) -> Place {
    let span = script.statements().get(at).map_or(0..0, |statement| {
        let first_line = script.text()[statement.span.clone()].lines().next().map_or(0, str::len);
        statement.span.start..statement.span.start + first_line
    });
    Place::within(script.path(), script.text().clone(), span)
}

/// The finding for a statement that may have been done, completely or partly, when its run ended; the user has to
/// decide.
pub(in crate::runner) fn may_be_done(step: &PlanStep, script: &Script, at: usize, way: &str) -> Error {
    let (version, all) = (&step.version, script.statements().len());
    let (again, after) = match way {
        "--undo" => ("if nothing of it was done", "if it was done"),
        _ => ("runs it again", "continues after it"),
    };
    let failed = step.resume.as_ref().is_some_and(|unfinished| unfinished.failed.is_some());
    let why = match script.statements().get(at).map(|statement| statement.class) {
        Some(StatementClass::CreateIndexConcurrently) => {
            "the server chose the index name, and a valid index was created on the table since it started: this one \
             or another one"
        }
        Some(StatementClass::DetachConcurrently) => "its table or its partition no longer exists",
        _ if failed => "it commits by itself, and what it had committed before it failed stays",
        _ => {
            "it commits by itself, and the run ended while it was running: it may be done completely, partly, or not \
             at all"
        }
    };
    let title = explain::title(step);
    let finding =
        Finding::new(codes::MAY_BE_DONE, format!("statement {} of {all} of {title} may have been done", at + 1))
            .at(line(script, at))
            .note(why)
            .help("check what it has done, then finish it or undo it by hand")
            .help(format!("`cargo xtask resolve {version} {way} --from {}` {again}", at + 1))
            .help(format!("`cargo xtask resolve {version} {way} --from {}` {after}", at + 2));
    Error::new(ErrorKind::Plan, finding)
}

/// Whether a statement can leave something half done.
pub(in crate::runner) fn is_concurrent(class: StatementClass) -> bool {
    use StatementClass::{CreateIndexConcurrently, DetachConcurrently, DropIndexConcurrently, ReindexConcurrently};
    matches!(class, CreateIndexConcurrently | DropIndexConcurrently | ReindexConcurrently | DetachConcurrently)
}
