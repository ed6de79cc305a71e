//! The whole chain as the role that owns the database and may do nothing else.
//!
//! Throw-away servers are reached as a superuser, and a superuser may everything: `CREATE EXTENSION`, functions in
//! C, roles, row security without effect. Migrations that need that fail in production, where they run as
//! the owner of a database. Here they do so as well: up, all the way down, and up again.

use std::sync::Arc;

use migrate_core::ident::{ident, literal};
use migrate_core::ledger::Direction;
use migrate_core::runner::Rehearsal;
use migrate_core::schema::{self, Schema};
use migrate_core::source::{Migration, Version};
use migrate_core::{CodeMigrations, Database, Error, MigrationSet};

use crate::ephemeral::{ROLE, TestDatabase, rehearsal, suited};
use crate::proof::ProofError;
use crate::random;
use crate::shape::remaining;

/// What became of a chain that its owner ran.
#[derive(Debug, Default)]
pub struct Owned {
    /// What the owner may not do, and a superuser may.
    pub refused: Vec<Refusal>,
    /// The migration that does not run at all, with the direction.
    pub failed: Option<Refusal>,
    /// How many were applied.
    pub applied: usize,
    /// How many were rolled back; fewer where one is irreversible.
    pub rolled_back: usize,
    /// What is left when all are rolled back.
    pub left: Vec<String>,
    /// What is different when all are applied again.
    pub different: Vec<String>,
}

/// A migration that the server refused.
#[derive(Debug)]
pub struct Refusal {
    /// Its version.
    pub version: Version,
    /// Which way it led.
    pub direction: Direction,
    /// What the server said, with the place.
    pub error: Error,
}

/// A database, its owner, and somebody who may everything.
struct Estate {
    database: TestDatabase,
    role: String,
    owner: Rehearsal,
    superuser: Rehearsal,
}

/// Runs a chain as the owner of its database: up, down as far as it goes, and up again. What the owner may not do is told,
/// and done by a superuser, so that the rest is seen as well.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or it makes no roles.
pub async fn as_owner(set: &MigrationSet, code: &CodeMigrations) -> Result<Owned, ProofError> {
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    suited(&chain, async {
        let mut estate = Estate::found(code).await?;
        let mut owned = Owned::default();
        let outcome = estate.around(&chain, &mut owned).await;
        estate.sell().await?;
        outcome.map(|()| owned)
    })
    .await
}

impl Estate {
    async fn found(code: &CodeMigrations) -> Result<Self, ProofError> {
        let database = TestDatabase::create().await?;
        let mark = crate::ephemeral::mark().await?;
        let (role, password) = (format!("{ROLE}{}_{mark}", random::hex(6)), random::hex(16));
        let mut superuser = rehearsal(Database::from(database.options()), code).await?;
        let made = format!(
            "CREATE ROLE {0} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {1}; ALTER DATABASE {2} OWNER TO {0};",
            ident(&role),
            literal(&password),
            ident(database.name())
        );
        superuser.query(&made).await?;
        let options = database.options().username(&role).password(&password);
        let owner = rehearsal(Database::from(options), code).await?;
        Ok(Self { database, role, owner, superuser })
    }

    async fn schema(&self) -> Result<Schema, ProofError> {
        Ok(schema::read(&Database::from(self.database.options())).await?)
    }

    async fn around(&mut self, chain: &[Arc<Migration>], owned: &mut Owned) -> Result<(), ProofError> {
        let nothing = self.schema().await?;
        owned.applied = self.run(chain.iter(), Direction::Up, owned).await;
        if owned.failed.is_some() {
            return Ok(());
        }
        let everything = self.schema().await?;
        // What cannot be undone is a wall.
        let lowest = chain.iter().rposition(|one| one.irreversible().is_some()).map_or(0, |at| at + 1);
        owned.rolled_back = self.run(chain[lowest..].iter().rev(), Direction::Down, owned).await;
        if owned.failed.is_some() {
            return Ok(());
        }
        if lowest == 0 {
            owned.left = remaining(&nothing, &self.schema().await?);
        }
        self.run(chain[lowest..].iter(), Direction::Up, owned).await;
        if owned.failed.is_none() {
            owned.different = remaining(&everything, &self.schema().await?);
        }
        Ok(())
    }

    /// Runs migrations one behind the other; returns how many ran.
    async fn run<'m>(
        &mut self,
        chain: impl Iterator<Item = &'m Arc<Migration>>,
        direction: Direction,
        owned: &mut Owned,
    ) -> usize {
        let mut count = 0;
        for migration in chain {
            let Err(error) = self.owner.run(migration, direction).await else {
                count += 1;
                continue;
            };
            let refusal = |error| Refusal { version: migration.version().clone(), direction, error };
            match self.superuser.run(migration, direction).await {
                Ok(_) => {
                    count += 1;
                    let known = owned
                        .refused
                        .iter()
                        .any(|one| one.version == *migration.version() && one.direction == direction);
                    owned.refused.extend((!known).then(|| refusal(error)));
                }
                Err(wrong) => {
                    owned.failed = Some(refusal(wrong));
                    break;
                }
            }
        }
        count
    }

    /// Drops the database and its owner.
    async fn sell(self) -> Result<(), ProofError> {
        self.owner.close().await;
        self.superuser.close().await;
        let server = self.database.options().database("postgres");
        if self.database.is_apart() {
            // Its role goes with its server.
            return Ok(self.database.drop_now().await?);
        }
        self.database.drop_now().await?;
        let mut office = Rehearsal::open(Database::from(server), CodeMigrations::none()).await?;
        let dropped = office.query(&format!("DROP ROLE IF EXISTS {}", ident(&self.role))).await;
        office.close().await;
        Ok(dropped.map(drop)?)
    }
}
