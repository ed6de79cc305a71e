//! Migrations that another tool runs, in sessions of its own. It never runs them in a real database for us: only on a
//! shadow database, to prove them.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use migrate_base::db::{Database, Session};
use migrate_base::error::{ErrorKind, Result};
use migrate_base::{codes, ident::QualifiedName};
use migrate_schema::Object;

use crate::foreign::{self, ForeignTool};
use crate::ledger::Direction;
use crate::source::Migration;

/// Another migration tool, which runs the migrations of a chain.
pub trait MigrationEngine: Send + Sync {
    /// Runs one migration in a shadow database.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Code`] with what the tool printed, and when it ran something else.
    fn run<'a>(
        &'a self,
        migration: &'a Migration,
        direction: Direction,
        database: &'a Database,
    ) -> BoxFuture<'a, Result<()>>;

    /// Applies the beginning of the chain in a new shadow database, with as few commands as possible.
    ///
    /// # Errors
    ///
    /// Those of [`MigrationEngine::run`].
    fn climb<'a>(&'a self, migrations: &'a [Arc<Migration>], database: &'a Database) -> BoxFuture<'a, Result<()>>;

    /// Whether an object is part of the tool's own tables, which no migration creates.
    fn owns(&self, object: &Object) -> bool;

    /// Whether the tool adds rows to a table whenever it runs, whichever migration it runs.
    fn fills(&self, table: &str) -> bool;
}

/// The migrations that a tool has applied in a database, by the keys of its ledger; empty if there is no ledger.
///
/// The ledger is the table of this name, if it is given, or one with a usual name.
///
/// # Errors
///
/// [`ErrorKind::Connection`] when the server cannot be reached; [`ErrorKind::Code`] when the ledger cannot be read.
pub async fn applied_by(
    tool: &'static ForeignTool,
    table: Option<&QualifiedName>,
    database: &Database,
) -> Result<BTreeSet<String>> {
    let mut session = Session::connect(database, "roundtrip engine").await?;
    let found = match table {
        Some(table) => foreign::ledger_of(&mut session, tool, table).await.map(|found| found.into_iter().collect()),
        None => foreign::ledgers(&mut session, &[], foreign::SearchBy::Name).await,
    };
    session.close().await;
    let question = "read the ledger of another tool";
    let found = found.map_err(|failure| failure.explain(ErrorKind::Connection, codes::OTHER_LEDGER, question))?;
    let ledgers = found.iter().filter(|ledger| ledger.tool == tool);
    Ok(ledgers.flat_map(|ledger| ledger.applied()).map(|row| row.key.clone()).collect())
}
