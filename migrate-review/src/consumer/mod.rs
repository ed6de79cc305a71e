//! Services that share the database, and the queries that they send: plain data, read from files kept in git.
//!
//! The caller, which has the schemas before and after, works out how a change affects a consumer. Only `capture`
//! queries a server.

mod capture;
mod declared;
mod exported;
mod files;
mod gather;
mod json_text;
mod load;
mod offline;
mod placeholder;
mod script;
mod uses;

mod answer;
mod compare;
mod order;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_base::codes::{self, Code};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::QualifiedName;
use migrate_base::visible;

pub use answer::{
    AssignedValue, PrepareAnswer, PrepareRefusal, QueryDependencies, QueryDescription, ResultColumn, TableAccess,
};
pub use capture::{CapturedQueries, capture};
pub use compare::{ChangeImpact, QueryDifference, differences, meaning};
pub(crate) use declared::WrittenDeclaration;
pub use declared::{ConsumerDeclaration, ParameterStyle, PlacedText};
pub use exported::{ExportChanges, ExportedConsumer, ExportedQuery, ExportedUse};
pub use load::{Consumers, FOLDER, load, read};
pub use order::{ChangeSplit, ColumnChanges, SafeOrder, needs_value, table_of, way};

/// A service that shares the database.
#[derive(Debug, Clone, Default)]
pub struct Consumer {
    /// Its name: `billing`.
    pub name: String,
    /// The role that it connects as, if declared.
    pub role: Option<String>,
    /// Its queries, each as often as it was found.
    pub queries: Vec<Query>,
    /// Tables and columns that it declares, for a service whose queries are not available.
    pub uses: Vec<DeclaredUse>,
    /// When its queries were last read from it, as RFC 3339, if known.
    pub taken: Option<String>,
    /// What was read for it, in order.
    pub sources: Vec<ConsumerSource>,
    /// What could not be read; [`Consumers::problems`] contains these too.
    pub problems: Vec<Finding>,
}

/// A place that was read for a consumer.
#[derive(Debug, Clone)]
pub struct ConsumerSource {
    /// The kind of the place.
    pub kind: SourceKind,
    /// The name given for it: a file, a folder or a pattern.
    pub name: String,
    /// The files found there.
    pub files: Vec<PathBuf>,
    /// How many queries they contain.
    pub queries: usize,
}

/// The format of the queries in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// SQL files.
    Sql,
    /// The data that sqlx stores.
    Sqlx,
    /// An exported or captured consumer.
    Exported,
}

impl SourceKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Sqlx => "sqlx",
            Self::Exported => "exported",
        }
    }
}

/// A query of a consumer.
#[derive(Debug, Clone)]
pub struct Query {
    /// The name that the service gives it; without a name, its place in the file.
    pub name: String,
    /// The text as the server accepts it: with `$1`, `$2`, … for its parameters.
    pub text: Arc<str>,
    /// Where it was found.
    pub origin: QueryOrigin,
    /// How often it was run, if counted.
    pub calls: Option<u64>,
    /// Where the service itself keeps it, possibly in another repository.
    pub found: Option<RepositoryPlace>,
    /// Whether its `*` is expanded when the service is built, as sqlc does: a new column appears in its result only
    /// after the next build.
    pub expands: bool,
}

/// A place in the repository of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryPlace {
    /// The file.
    pub file: String,
    /// The line on which the query begins.
    pub line: Option<usize>,
}

/// A part of a file, and the mapping from a text made from it back to the file.
#[derive(Debug, Clone)]
pub struct QueryOrigin {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
    /// The bytes of the whole query.
    pub span: Range<usize>,
    /// Pieces of the query's text, in order, each with the byte where it starts in the query's text and the byte where
    /// it starts in the file; between two starts both advance equally.
    pub pieces: Vec<(usize, usize)>,
}

/// A table or a column that a service uses.
#[derive(Debug, Clone)]
pub struct DeclaredUse {
    /// The table.
    pub table: QualifiedName,
    /// The column; `None` means the whole table.
    pub column: Option<String>,
    /// Whether it is written to.
    pub writes: bool,
    /// Where that is declared.
    pub place: Place,
}

impl Query {
    /// The whole query.
    pub fn place(&self) -> Place {
        let QueryOrigin { path, text, span, .. } = &self.origin;
        Place::within(path, text.clone(), span.clone())
    }

    /// These bytes of the query's text, in the file.
    pub fn part(&self, bytes: Range<usize>) -> Place {
        let QueryOrigin { path, text, span, pieces } = &self.origin;
        let back = |byte: usize| {
            let piece = pieces.iter().rev().find(|(own, _)| *own <= byte);
            piece.map_or(span.start, |(own, file)| (file + (byte - own)).min(span.end))
        };
        Place::within(path, text.clone(), back(bytes.start)..back(bytes.end))
    }
}

/// Whether a text can be the name of a consumer, and so of a folder and of a table in `migrate.toml`.
pub fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_part) && text.len() <= 63
}

/// The finding for an invalid name.
pub fn misnamed(text: &str) -> Finding {
    let message = match text {
        "" => "a consumer needs a name".to_owned(),
        _ => format!("`{}` cannot be the name of a consumer", visible::line(text)),
    };
    Finding::new(codes::CONSUMER_NAME, message)
        .help("use letters, digits, `-` and `_`, at most 63 characters, such as billing")
}

/// The finding for a JSON document that cannot be read, with its place.
fn json_error(code: Code, what: &str, path: &Path, text: &Arc<str>, error: &serde_json::Error) -> Finding {
    let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let at = line + error.column().saturating_sub(1);
    let message = error.to_string();
    let why = message.split(" at line ").next().unwrap_or_default();
    Finding::new(code, format!("{what}: {why}")).at(Place::within(path, text.clone(), at..at + 1))
}

/// `queries/orders.sql:12`.
impl std::fmt::Display for RepositoryPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}
