//! Decides which chains are tested on servers of their own: those that change objects that exist once per
//! server.
//!
//! The SQL texts decide. The decision for a chain applies to every database that is created while the chain is
//! being worked on, including those for its first migrations, which may change nothing of the kind.

use std::sync::Arc;

use migrate_base::sql::{ServerUse, named_database, server_use};
use migrate_core::Migration;
use migrate_core::source::{MigrationBody, Script};

use super::server;
use super::setup::Setup;
use crate::error::ProofError;
use crate::error::ServerError;

/// How the databases of a chain are created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DatabasePlacement {
    /// Whether each has its own server.
    pub(crate) is_own: bool,
    /// The name that the chain expects its database to have.
    pub(crate) name: Option<String>,
}

tokio::task_local! {
    static CURRENT: DatabasePlacement;
}

/// Does work for a chain: the databases that are created for it have their own servers if the chain needs that.
pub(crate) async fn suited<T, E: From<ServerError>>(
    chain: &[Arc<Migration>],
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    if CURRENT.try_with(|_| ()).is_ok() {
        return work.await;
    }
    let apart = decide(chain).await?;
    CURRENT.scope(apart, work).await
}

/// The same for work that fails if a chain changes the server although its texts do not show that: the work is
/// repeated on a server of its own. Nothing has to be undone, because it was not committed.
pub(crate) async fn watched<T>(
    chain: &[Arc<Migration>],
    mut work: impl AsyncFnMut() -> Result<T, ProofError>,
) -> Result<T, ProofError> {
    match suited(chain, Box::pin(work())).await {
        Err(ProofError::Server(ServerError::ChangesServer(_))) if server().await?.can_be_apart() => {
            own_where(true, Box::pin(work())).await
        }
        outcome => outcome,
    }
}

/// Does work on databases that have their own servers, if `is_wanted` and if that is possible.
pub(crate) async fn own_where<T>(is_wanted: bool, work: impl Future<Output = T>) -> T {
    let is_own = is_wanted && server().await.is_ok_and(|server| server.can_be_apart());
    match is_own && !current().is_some_and(|apart| apart.is_own) {
        true => CURRENT.scope(DatabasePlacement { is_own, name: None }, work).await,
        false => work.await,
    }
}

/// The decision for the current work.
pub(crate) fn current() -> Option<DatabasePlacement> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Decides for a chain, including the scripts that run before it.
pub(crate) async fn decide(chain: &[Arc<Migration>]) -> Result<DatabasePlacement, ServerError> {
    let setup = Setup::current();
    let of_setup = setup.iter().flat_map(|setup| setup.texts());
    let texts = chain.iter().flat_map(|one| scripts(one)).map(|script| &**script.text()).chain(of_setup);
    let is_code = chain.iter().any(|one| matches!(one.body(), MigrationBody::Code { .. }));
    let code = if is_code { ServerUse::Unclear } else { ServerUse::None };
    let (mut reach, mut name) = (code, None);
    for text in texts {
        let found = server_use(text);
        reach = reach.max(found);
        if name.is_none() && found > ServerUse::Unclear {
            name = named_database(text);
        }
    }
    if reach == ServerUse::None {
        return Ok(DatabasePlacement::default());
    }
    let server = server().await?;
    match server.can_be_apart() {
        true => Ok(DatabasePlacement { is_own: true, name }),
        false if reach == ServerUse::Open => Err(ServerError::NeedsOwn { server: server.why().to_owned() }),
        false => Ok(DatabasePlacement::default()),
    }
}

/// Every script of a migration that runs on a shadow database.
fn scripts(migration: &Migration) -> impl Iterator<Item = &Arc<Script>> {
    [migration.up_script(), migration.down_script(), migration.fixture(), migration.verify()].into_iter().flatten()
}

/// The same for a chain that has no decision yet.
pub(crate) async fn for_migrations(chain: &[Arc<Migration>]) -> Result<DatabasePlacement, ServerError> {
    match current() {
        Some(apart) => Ok(apart),
        None => decide(chain).await,
    }
}
