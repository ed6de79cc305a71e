//! What a server says of a query on one schema, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use crate::ident::QualifiedName;

/// What a server says of a query when it is to prepare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It cannot be prepared.
    Refused(Refusal),
    /// It can, and this goes in and comes out.
    Described(Shape),
}

/// Why a query cannot be prepared, or planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// What the server said.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What it proposes.
    pub hint: Option<String>,
    /// The byte of the query's text that it points at.
    pub at: Option<usize>,
}

/// What goes into a query, and what comes out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// The columns of the result, in order; none where nothing comes back.
    pub columns: Vec<Column>,
    /// The types of the parameters, in order.
    pub parameters: Vec<String>,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as a driver sees it: that of a domain is the type under it.
    pub of: String,
    /// The column of a table or view that it shows, where it shows one as it is.
    pub origin: Option<(QualifiedName, String)>,
    /// Whether that column is never null; `false` where it is not known.
    pub is_filled: bool,
}

/// What a query uses of the schema, as the server's own parser stored it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The tables and views that it names. Views are looked through only where something is written.
    pub tables: Vec<Touch>,
    /// The functions that it calls, those of operators aside: the name, the name with the types, whether it is PostgreSQL's own.
    pub routines: BTreeSet<(String, String, bool)>,
    /// The same of operators.
    pub operators: BTreeSet<(String, String, bool)>,
}

/// A table or view in a query, and what is done with it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The table.
    pub table: QualifiedName,
    /// The columns that are read; a row as a whole reads all of them.
    pub reads: BTreeSet<String>,
    /// The columns that new rows are given.
    pub inserts: BTreeSet<String>,
    /// The columns that are set in rows that are there.
    pub updates: BTreeSet<String>,
    /// What is written into columns; of several rows the worst.
    pub values: BTreeMap<String, Written>,
    /// The rights that it takes: `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
    pub rights: Vec<&'static str>,
    /// The view that the query names instead.
    pub via: Option<QualifiedName>,
    /// Whether the role that sends the query needs the rights: the owner of a view has them for it, but for one with
    /// `security_invoker`.
    pub as_caller: bool,
}

/// What a query writes into a column, from the best to the worst for a column that must not be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// A value that stands in the query.
    Filled,
    /// Whatever a parameter or an expression gives.
    Unknown,
    /// The default, because the query says `DEFAULT`.
    Default,
    /// NULL.
    Null,
}

impl Touch {
    /// Whether something is written.
    pub fn writes(&self) -> bool {
        self.rights.iter().any(|right| *right != "SELECT")
    }

    /// Whether rows are added.
    pub fn adds(&self) -> bool {
        self.rights.contains(&"INSERT")
    }
}
