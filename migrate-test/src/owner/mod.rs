//! Runs the whole chain as the role that owns the database and is not a superuser.
//!
//! Sessions on shadow servers are superusers, and a superuser may do everything: install untrusted extensions,
//! create functions in C, ignore row security. Migrations that need this fail in production, where they run as
//! the owner of a database. Here they run as the owner too: up, all the way down, and up again.
//!
//! The owner of a database may also need the right to create roles, and membership in existing roles. These are
//! granted when something is refused at first, and reported, because in production the owner has these rights
//! or gets them without the help of a superuser in the migration. What is refused even then is run by the same
//! role as a superuser, so that the objects that it creates have the same owner.

mod kept;

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_base::ident::{ident, literal};
use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database, Direction, Error, Migration, MigrationSet, Version};
use migrate_schema::{self as schema, Schema};

use crate::ephemeral::{ROLE, TestDatabase, keeps_owned, rehearsal, suited};
use crate::error::ProofError;
use crate::random;
use crate::shape::remaining;

/// The result of running a chain as its owner.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct OwnerReport {
    /// What only a superuser may do, but not the owner.
    pub refused: Vec<MigrationRefusal>,
    /// The migrations that need more than ownership of the database, but no superuser: the right to create
    /// roles, or membership in some.
    pub needs_roles: BTreeSet<Version>,
    /// The migration that does not run at all, with the direction.
    pub failed: Option<MigrationRefusal>,
    /// How many were applied.
    pub applied: usize,
    /// How many of them were applied, rolled back and applied again in an earlier run without any finding.
    pub before: usize,
    /// How many were rolled back; fewer than applied if one is irreversible.
    pub rolled_back: usize,
    /// What is left when all are rolled back.
    pub left: Vec<String>,
    /// What differs when all are applied again.
    pub different: Vec<String>,
}

/// A migration that the server refused.
#[derive(Debug)]
#[non_exhaustive]
pub struct MigrationRefusal {
    /// Its version.
    pub version: Version,
    /// The direction.
    pub direction: Direction,
    /// Whether the up script had run before, and was rolled back.
    pub again: bool,
    /// The server's error, with the location.
    pub error: Error,
}

/// A database, its owner, and a session of a superuser.
struct OwnedDatabase {
    database: TestDatabase,
    role: String,
    owner: Rehearsal,
    superuser: Rehearsal,
    /// The roles that the chain creates if they are missing: where it runs, they exist.
    known: BTreeSet<String>,
    /// The roles that appeared when something was run as a superuser.
    came: BTreeSet<String>,
    /// Whether the owner is dropped with the database.
    goes: bool,
}

/// The rights of the owner beyond what it owns, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnerRight {
    /// May create roles, and is a member of the other roles of the server.
    Member,
    /// The same, and those roles may create objects in every schema, as new owners of tables must.
    Host,
    /// All rights.
    Superuser,
}

/// Runs a chain as the owner of its database: up, down as far as possible, and up again. What the owner may not
/// do is reported, and then done by a superuser, so that the remaining migrations are tested too.
///
/// For the first `settled` migrations, a result without findings is remembered on a server of this machine.
/// Then only the migrations after them are run.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or roles cannot be created on it.
pub async fn as_owner(set: &MigrationSet, settled: usize, code: &CodeMigrations) -> Result<OwnerReport, ProofError> {
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    let repeatables = set.repeatables();
    let work = async {
        if let Some(owned) = kept::onward(&chain, repeatables, settled, code).await? {
            return Ok(owned);
        }
        let (first, roles) = once(&chain, repeatables, settled, code, BTreeSet::new()).await?;
        if first.refused.is_empty() || roles.is_empty() {
            return Ok(first);
        }
        // A migration that creates a role if it is missing, such as a baseline, finds the role where the chain
        // runs, and is a member of it.
        let (second, _) = once(&chain, repeatables, settled, code, roles).await?;
        let is_better = second.failed.is_none() && second.refused.len() < first.refused.len();
        Ok(if is_better { second } else { first })
    };
    suited(&chain, Box::pin(work)).await
}

/// The same with existing roles; returns those that the chain created as well.
async fn once(
    chain: &[Arc<Migration>],
    repeatables: &[Arc<Migration>],
    settled: usize,
    code: &CodeMigrations,
    known: BTreeSet<String>,
) -> Result<(OwnerReport, BTreeSet<String>), ProofError> {
    let mut estate = OwnedDatabase::found(code, known).await?;
    let mut owned = OwnerReport::default();
    let mut outcome = estate.around(chain, &mut owned).await;
    if outcome.is_ok() && owned.failed.is_none() {
        outcome = estate.run(repeatables.iter(), Direction::Up, &mut owned).await.map(drop);
    }
    let came = std::mem::take(&mut estate.came);
    let is_plain = outcome.is_ok() && owned.has_nothing_to_tell() && estate.known.is_empty() && came.is_empty();
    // What they made is no part of what is kept.
    let is_kept = is_plain
        && repeatables.is_empty()
        && settled > 0
        && chain.len() - settled <= owned.rolled_back
        && keeps_owned().await?;
    match is_kept {
        true => estate.keep(chain, settled, code).await?,
        false => estate.sell().await?,
    }
    outcome.map(|()| (owned, came))
}

impl OwnerReport {
    fn has_nothing_to_tell(&self) -> bool {
        let Self { refused, needs_roles, failed, left, different, .. } = self;
        refused.is_empty() && needs_roles.is_empty() && failed.is_none() && left.is_empty() && different.is_empty()
    }
}

impl OwnedDatabase {
    async fn found(code: &CodeMigrations, known: BTreeSet<String>) -> Result<Self, ProofError> {
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
        Ok(Self { database, role, owner, superuser, known, came: BTreeSet::new(), goes: true })
    }

    /// A kept database whose owner still exists.
    async fn reopened(database: TestDatabase, role: String, code: &CodeMigrations) -> Result<Self, ProofError> {
        let superuser = rehearsal(Database::from(database.options()), code).await?;
        let owner = rehearsal(Database::from(database.options().username(&role)), code).await?;
        let (known, came) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { database, role, owner, superuser, known, came, goes: false })
    }

    async fn schema(&self) -> Result<Schema, ProofError> {
        Ok(schema::read(&Database::from(self.database.options())).await?)
    }

    async fn around(&mut self, chain: &[Arc<Migration>], owned: &mut OwnerReport) -> Result<(), ProofError> {
        let nothing = self.schema().await?;
        owned.applied = self.run(chain.iter(), Direction::Up, owned).await?;
        if owned.failed.is_some() {
            return Ok(());
        }
        let everything = self.schema().await?;
        // A migration that cannot be undone is a wall.
        let lowest = chain.iter().rposition(|one| one.irreversible().is_some()).map_or(0, |at| at + 1);
        owned.rolled_back = self.run(chain[lowest..].iter().rev(), Direction::Down, owned).await?;
        if owned.failed.is_some() {
            return Ok(());
        }
        if lowest == 0 {
            owned.left = remaining(&nothing, &self.schema().await?);
        }
        self.run(chain[lowest..].iter(), Direction::Up, owned).await?;
        if owned.failed.is_none() {
            owned.different = remaining(&everything, &self.schema().await?);
        }
        Ok(())
    }

    /// Runs migrations one after the other; returns how many succeeded.
    async fn run<'m>(
        &mut self,
        chain: impl Iterator<Item = &'m Arc<Migration>> + Clone,
        direction: Direction,
        owned: &mut OwnerReport,
    ) -> Result<usize, ProofError> {
        let mut count = 0;
        let again = direction == Direction::Up && owned.rolled_back > 0;
        // What the owner may do is sent in a few messages; what it may not do is run separately.
        while let Err((done, error)) = self.owner.run_all(chain.clone().skip(count), direction).await {
            count += done;
            let Some(migration) = chain.clone().nth(count) else { break };
            let again = again && !migration.version().is_repeatable();
            let refusal = |error| MigrationRefusal { version: migration.version().clone(), direction, again, error };
            // More rights help only if something is forbidden.
            let is_forbidden = error.sqlstate() == Some("42501");
            let helps = match is_forbidden {
                true => self.more(migration, direction).await?,
                false => None,
            };
            match helps {
                Some(OwnerRight::Superuser) => {
                    let known = owned
                        .refused
                        .iter()
                        .any(|one| one.version == *migration.version() && one.direction == direction);
                    owned.refused.extend((!known).then(|| refusal(error)));
                }
                Some(_) => drop(owned.needs_roles.insert(migration.version().clone())),
                None => match self.attempt(migration, direction, OwnerRight::Superuser).await? {
                    Ok(()) => owned.refused.push(refusal(error)),
                    Err(wrong) => {
                        owned.failed = Some(refusal(wrong));
                        return Ok(count);
                    }
                },
            }
            count += 1;
        }
        Ok(chain.count())
    }

    /// The least right beyond ownership with which a migration runs.
    async fn more(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
    ) -> Result<Option<OwnerRight>, ProofError> {
        let there = self.roles().await?;
        let lent: Vec<String> = self.known.difference(&there).map(|role| ident(role)).collect();
        let each = |verb: &str| lent.iter().map(|role| format!("{verb} ROLE {role};")).collect::<String>();
        if !lent.is_empty() {
            self.superuser.query(&each("CREATE")).await?;
        }
        for right in [OwnerRight::Member, OwnerRight::Host] {
            if self.attempt(migration, direction, right).await?.is_ok() {
                return Ok(Some(right));
            }
        }
        if !lent.is_empty() {
            self.superuser.query(&each("DROP")).await?;
        }
        Ok(self.attempt(migration, direction, OwnerRight::Superuser).await?.is_ok().then_some(OwnerRight::Superuser))
    }

    /// The roles of the server.
    async fn roles(&mut self) -> Result<BTreeSet<String>, ProofError> {
        let (_, rows) = self.superuser.query("SELECT rolname FROM pg_catalog.pg_roles").await?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    /// Runs a migration as the owner, with this right.
    async fn attempt(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
        right: OwnerRight,
    ) -> Result<Result<(), Error>, ProofError> {
        let (give, take) = match right {
            OwnerRight::Member => (self.memberships(), String::new()),
            OwnerRight::Host => (self.hosting("GRANT", "TO"), self.hosting("REVOKE", "FROM")),
            OwnerRight::Superuser => {
                let role = ident(&self.role);
                (format!("ALTER ROLE {role} SUPERUSER;"), format!("ALTER ROLE {role} NOSUPERUSER;"))
            }
        };
        if !give.is_empty() {
            self.superuser.query(&give).await?;
        }
        let before = if right == OwnerRight::Superuser { self.roles().await? } else { BTreeSet::new() };
        let outcome = self.owner.run(migration, direction).await.map(drop);
        if right == OwnerRight::Superuser {
            let after = self.roles().await?;
            self.came.extend(after.difference(&before).cloned());
        }
        if !take.is_empty() {
            self.superuser.query(&take).await?;
        }
        Ok(outcome)
    }

    /// Lets the owner create roles, and makes it a member of those of the chain, but not of the server's own
    /// roles, superusers, or the owners of other databases.
    fn memberships(&self) -> String {
        let role = ident(&self.role);
        let grant = format!("GRANT %I TO {role} WITH ADMIN OPTION");
        format!("ALTER ROLE {role} CREATEROLE; {}", for_each_role(&self.role, &grant, ""))
    }

    /// Lets the roles of the chain create objects in every schema, or revokes that.
    fn hosting(&self, verb: &str, to: &str) -> String {
        let command = format!("{verb} CREATE ON SCHEMA %2$I {to} %1$I");
        for_each_role(&self.role, &command, ", pg_catalog.pg_namespace n")
    }

    /// Drops the database and its owner.
    async fn sell(self) -> Result<(), ProofError> {
        self.owner.close().await;
        self.superuser.close().await;
        let server = self.database.options().database("postgres");
        if self.database.is_apart() {
            // The role is removed with its server.
            return Ok(self.database.drop_now().await?);
        }
        self.database.drop_now().await?;
        if !self.goes {
            return Ok(());
        }
        let mut office = Rehearsal::open(Database::from(server), CodeMigrations::none()).await?;
        // The privileges that it granted to others depend on it.
        let role = ident(&self.role);
        let dropped = office.query(&format!("DROP OWNED BY {role}; DROP ROLE IF EXISTS {role}")).await;
        office.close().await;
        Ok(dropped.map(drop)?)
    }
}

/// A command for each role that a chain may have created or needs. `%1$I` is the role's name, and `%2$I` that
/// of a schema if `more` adds schemas.
fn for_each_role(owner: &str, command: &str, more: &str) -> String {
    let (args, schemas) = match more.is_empty() {
        true => ("r.rolname", ""),
        false => (
            "r.rolname, n.nspname",
            "AND NOT pg_catalog.starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'",
        ),
    };
    format!(
        "DO $grant$ DECLARE command text; BEGIN \
         FOR command IN SELECT pg_catalog.format({}, {args}) FROM pg_catalog.pg_roles r{more} \
         WHERE NOT r.rolsuper AND r.rolname <> {} AND NOT pg_catalog.starts_with(r.rolname, 'pg_') \
         AND NOT pg_catalog.starts_with(r.rolname, {}) {schemas} \
         LOOP BEGIN EXECUTE command; \
         EXCEPTION WHEN undefined_object OR invalid_grant_operation THEN NULL; END; END LOOP; END $grant$;",
        literal(command),
        literal(owner),
        literal(ROLE)
    )
}
