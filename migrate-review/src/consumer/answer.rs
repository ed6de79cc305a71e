//! What a server reports about a query on one schema, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::QualifiedName;

/// The server's answer when it prepares a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrepareAnswer {
    /// The query cannot be prepared.
    Refused(PrepareRefusal),
    /// It can be prepared, with these parameters and result columns.
    Described(QueryDescription),
}

/// Why a query cannot be prepared, or planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareRefusal {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The message of the server.
    pub message: String,
    /// Its detail.
    pub detail: Option<String>,
    /// Its hint.
    pub hint: Option<String>,
    /// The byte of the query's text that the error points at.
    pub at: Option<usize>,
}

/// The parameters and the result columns of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryDescription {
    /// The columns of the result, in order; empty if nothing is returned.
    pub columns: Vec<ResultColumn>,
    /// The types of the parameters, in order.
    pub parameters: Vec<String>,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type as a driver sees it: for a domain, the base type.
    pub of: String,
    /// The column of a table or view that it returns unchanged, if it does.
    pub origin: Option<(QualifiedName, String)>,
    /// Whether that column is never null; `false` if unknown.
    pub is_filled: bool,
}

/// What a query uses of the schema, as stored by the server's own parser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryDependencies {
    /// The tables and views that it names. Views are expanded only for writes.
    pub tables: Vec<TableAccess>,
    /// The functions that it calls, except those behind operators: the name, the name with the types, and whether it is
    /// built in.
    pub routines: BTreeSet<(String, String, bool)>,
    /// The operators that it uses, in the same form.
    pub operators: BTreeSet<(String, String, bool)>,
}

/// A table or view in a query, and what the query does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableAccess {
    /// The table.
    pub table: QualifiedName,
    /// The columns that are read; a whole-row reference reads all of them.
    pub reads: BTreeSet<String>,
    /// The columns that get values in new rows.
    pub inserts: BTreeSet<String>,
    /// The columns that are set in existing rows.
    pub updates: BTreeSet<String>,
    /// What is written to columns; for several rows, the worst case.
    pub values: BTreeMap<String, AssignedValue>,
    /// The privileges that it needs: `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
    pub rights: Vec<&'static str>,
    /// The view that the query names and that leads to this table.
    pub via: Option<QualifiedName>,
    /// Whether the role that sends the query needs the privileges. For a view its owner needs them, unless the view has
    /// `security_invoker`.
    pub as_caller: bool,
}

/// What a query writes to a column, from best to worst for a column that must not be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AssignedValue {
    /// A value written in the query.
    Filled,
    /// The value of a parameter or an expression.
    Unknown,
    /// The default, because the query contains `DEFAULT`.
    Default,
    /// NULL.
    Null,
}

impl TableAccess {
    /// Whether something is written.
    pub fn writes(&self) -> bool {
        self.rights.iter().any(|right| *right != "SELECT")
    }

    /// Whether rows are added.
    pub fn adds(&self) -> bool {
        self.rights.contains(&"INSERT")
    }
}
