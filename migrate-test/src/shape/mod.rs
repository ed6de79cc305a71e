//! Shapes: schemas that are created on shadow databases, to prove statements before anybody sees them.

mod along;
mod baseline;
mod came;
mod capture;
mod complete;
mod data;
mod derive;
mod difference;
mod known;
mod named;
mod origin;
mod pair;
mod rename;
mod start;
mod steps;
mod translate;

use std::collections::BTreeSet;

use migrate_base::db::ReadOnlySession;
use migrate_base::sql::{ServerUse, server_use};
use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database, Error};
use migrate_schema::ddl::{Ddl, DdlStage, DdlStatement};
use migrate_schema::{self as schema, Schema, SchemaChange, SchemaDescription, SideNames, ddl};

use crate::ephemeral::{TestDatabase, own_where, rehearsal};
use crate::proof::ProofError;

pub use along::{PendingSchemas, along, onward};
pub use baseline::{Baseline, baseline, baseline_with, role_guard};
pub use capture::LeftOut;
pub use data::{TableData, table_data, tables_with_rows};
pub use derive::{DerivedScript, derive};
pub use difference::{DifferenceAdditions, DifferenceScript, difference, finished};
pub use known::leads_to;
pub use named::{ChainSplit, NamedChain, named};
pub use origin::{ObjectHistory, origins};
pub use rename::renamed;
pub use start::{InitialSchema, start};
pub use steps::stepped;
pub use translate::{TranslatedSchema, translated};

/// A shadow database with a session on it.
pub struct ShadowDatabase {
    database: TestDatabase,
    rehearsal: Rehearsal,
    /// The session that reads its schema, connected on first use.
    reader: Option<ReadOnlySession>,
}

impl ShadowDatabase {
    /// An empty database.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when there is no server, or it refuses.
    pub async fn blank() -> Result<Self, ProofError> {
        Self::on(TestDatabase::create().await?, CodeMigrations::none()).await
    }

    /// An empty database on a server with these roles.
    async fn with_roles(roles: &BTreeSet<String>) -> Result<Self, ProofError> {
        let mut shadow = Self::blank().await?;
        shadow.rehearsal().query(&role_guard(roles)).await?;
        Ok(shadow)
    }

    /// An empty database for a script; it has its own server if the script changes the server.
    ///
    /// # Errors
    ///
    /// Those of [`ShadowDatabase::blank`].
    pub async fn for_script(text: &str) -> Result<Self, ProofError> {
        own_where(server_use(text) != ServerUse::None, Self::blank()).await
    }

    /// A session on an existing database.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when it cannot be reached.
    pub async fn on(database: TestDatabase, code: CodeMigrations) -> Result<Self, ProofError> {
        let rehearsal = rehearsal(Database::from(database.options()), &code).await?;
        Ok(Self { database, rehearsal, reader: None })
    }

    /// Its schema.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when the server is gone.
    pub async fn describe(&mut self) -> Result<SchemaDescription, ProofError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => ReadOnlySession::open_own(&Database::from(self.database.options())).await?,
        };
        Ok(schema::describe_with(self.reader.insert(reader)).await?)
    }

    /// Its session, to run migrations.
    pub fn rehearsal(&mut self) -> &mut Rehearsal {
        &mut self.rehearsal
    }

    /// Runs the statements of a difference, all stages in order.
    pub(crate) async fn run(&mut self, ddl: &Ddl) -> Result<(), (DdlStatement, Error)> {
        let mut statements: Vec<&DdlStatement> = ddl.statements.iter().filter(|one| !one.is_stop()).collect();
        statements.sort_by_key(|statement| statement.stage);
        let texts: Vec<String> = statements.iter().map(|one| in_transaction(one)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.rehearsal.statements(&texts).await.map_err(|(at, error)| (statements[at].clone(), error))
    }

    /// Runs one statement after the settings that apply to it.
    pub(crate) async fn run_one(&mut self, settings: &[&DdlStatement], statement: &DdlStatement) -> Result<(), Error> {
        let text = in_transaction(statement);
        let texts: Vec<&str> = settings.iter().map(|one| one.text.as_str()).chain([text.as_str()]).collect();
        self.rehearsal.statements(&texts).await.map_err(|(_, error)| error)
    }

    /// Runs the statements of a difference one by one; returns those that fail.
    pub(crate) async fn run_each(&mut self, ddl: &Ddl) -> Result<Vec<RefusedStatement>, ProofError> {
        let (settings, rest) = ddl.split_settings();
        let mut refused = Vec::new();
        for (at, statement) in rest.into_iter().enumerate().filter(|(_, one)| !one.is_stop()) {
            if let Err(error) = self.run_one(&settings, statement).await {
                refused.push(RefusedStatement { at, statement: statement.clone(), why: capture::reason(&error) });
            }
        }
        Ok(refused)
    }

    /// Drops the database.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when the server refuses.
    pub async fn end(self) -> Result<(), ProofError> {
        self.rehearsal.close().await;
        if let Some(reader) = self.reader {
            reader.close().await;
        }
        Ok(self.database.let_go().await?)
    }
}

/// A statement that the server refuses.
pub(crate) struct RefusedStatement {
    /// Its position among the statements that follow the settings.
    pub(crate) at: usize,
    pub(crate) statement: DdlStatement,
    /// The server's message.
    pub(crate) why: String,
}

/// A statement in a form that can run in a transaction.
fn in_transaction(statement: &DdlStatement) -> String {
    match statement.stage {
        DdlStage::Concurrent => statement.text.replacen(" CONCURRENTLY ", " ", 1),
        _ => statement.text.clone(),
    }
}

/// Does work on databases in which roles are created, if there are any. If possible, the databases have their
/// own servers, so that no role remains.
async fn for_roles<T>(roles: &BTreeSet<String>, work: impl Future<Output = T>) -> T {
    own_where(!roles.is_empty(), Box::pin(work)).await
}

/// The server for shadow databases.
pub(crate) async fn here() -> Result<Database, ProofError> {
    Ok(Database::from(crate::server().await?.options("postgres")))
}

/// The major version of a server.
pub(crate) async fn server_version(database: &Database) -> Result<u32, ProofError> {
    let rows = database.ask("ask for the version of the server", "SHOW server_version_num").await?;
    let number = rows.first().and_then(|row| row.first()?.as_ref()?.parse::<u32>().ok());
    Ok(number.unwrap_or_default() / 10_000)
}

/// The differences between the wanted schema and the one that was created, regardless of owners.
pub(crate) fn remaining(wanted: &Schema, made: &Schema) -> Vec<String> {
    let change = SchemaChange::between(&ddl::unowned(wanted), &ddl::unowned(made));
    change.sentences(SideNames { before: "wanted", after: "made" })
}
