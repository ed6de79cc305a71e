//! Services that share the database, and what they ask of it: plain data, read from files that git keeps.
//!
//! Nothing here asks a server. What a change does to a consumer is found by whoever has the schemas before and after.

mod answer;
mod compare;
mod load;
mod order;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::finding::Place;
use crate::ident::QualifiedName;

pub use answer::{Answer, Column, Reach, Refusal, Shape, Touch};
pub use compare::{Difference, Weight, differences, meaning};
pub use load::{Consumers, load};
pub use order::{Order, Way, needs_value, way};

/// A service that shares the database.
#[derive(Debug, Clone, Default)]
pub struct Consumer {
    /// Its name: `billing`.
    pub name: String,
    /// The role as which it connects, where that is said.
    pub role: Option<String>,
    /// Its queries, each as often as it was found.
    pub queries: Vec<Query>,
    /// Tables and columns that it says it uses, for a service whose queries cannot be had.
    pub uses: Vec<Use>,
    /// When what it asks was last read from it, as RFC 3339, where that is known.
    pub taken: Option<String>,
}

/// A query of a consumer.
#[derive(Debug, Clone)]
pub struct Query {
    /// What the service calls it; where it has no name, its place in the file.
    pub name: String,
    /// The text as the server takes it: with `$1`, `$2`, … for its parameters.
    pub text: Arc<str>,
    /// Where it was found.
    pub origin: Origin,
    /// How often it was run, where somebody counted.
    pub calls: Option<u64>,
}

/// A part of a file, and how a text that was made of it goes back to it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
    /// The bytes of the whole query.
    pub span: Range<usize>,
    /// Pieces of the query's text, in order, each with the byte where it begins in the query's text and the byte where
    /// it begins in the file; between two beginnings both run alike.
    pub pieces: Vec<(usize, usize)>,
}

/// A table or a column that a service uses.
#[derive(Debug, Clone)]
pub struct Use {
    /// The table.
    pub table: QualifiedName,
    /// The column; `None` is the table as a whole.
    pub column: Option<String>,
    /// Whether it is written.
    pub writes: bool,
    /// Where that is said.
    pub place: Place,
}

impl Query {
    /// The whole query.
    pub fn place(&self) -> Place {
        let Origin { path, text, span, .. } = &self.origin;
        Place::within(path, text.clone(), span.clone())
    }

    /// These bytes of the query's text, in the file.
    pub fn part(&self, bytes: Range<usize>) -> Place {
        let Origin { path, text, span, pieces } = &self.origin;
        let back = |byte: usize| {
            let piece = pieces.iter().rev().find(|(own, _)| *own <= byte);
            piece.map_or(span.start, |(own, file)| (file + (byte - own)).min(span.end))
        };
        Place::within(path, text.clone(), back(bytes.start)..back(bytes.end))
    }
}
