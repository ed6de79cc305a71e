//! The beginning of a chain, applied once and kept: the database is copied instead of created again.
//!
//! The name of a template is a digest of everything that it was made from: the text of every migration up to it
//! and, if one of them is written in Rust, the executable. The template gets the name when it is complete, so
//! an attempt that was killed is never mistaken for a template. Each server version has its own data, so the
//! version is part of the identity too.

use std::sync::Arc;

use migrate_base::ident::{ident, literal};
use migrate_core::runner::Rehearsal;
use migrate_core::source::MigrationBody;
use migrate_core::{CodeMigrations, Database, Error, Migration};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::apart::{self, DatabasePlacement};
use super::database::TestDatabase;
use super::office;
use super::own::OwnServer;
use super::replay::ReplaySettings;
use super::saved;
use super::setup::Setup;
use super::shared::Lease;
use super::{rehearsal, server};
use crate::error::ProofError;
use crate::error::ServerError;

/// The prefix of the names of all templates; the number changes when their contents do.
const PREFIX: &str = "roundtrip_1_";
/// How many templates are kept, and how many bytes they may have in total.
const MOST: usize = 48;
const BYTES: i64 = 1 << 30;
/// A chain with fewer statements than this is applied faster than it is copied.
const SHORT: usize = 12;
/// A migration with at least this many statements is worth a template of its own.
const LARGE: usize = 500;

/// A database with these migrations applied.
///
/// With `remember` the chain is kept as a template for the next time.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn migrated(
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
    remember: bool,
) -> Result<TestDatabase, ProofError> {
    loop {
        match made(migrations, code, remember).await {
            // The chain itself creates a schema that the environment has.
            Err(ProofError::Core(error)) if ReplaySettings::give_way(&error) => {}
            // Its texts do not show that it needs its own server.
            Err(ProofError::Server(ServerError::ChangesServer(_))) if server().await?.can_be_apart() => {
                return apart::own_where(true, Box::pin(made(migrations, code, remember))).await;
            }
            outcome => return outcome,
        }
    }
}

async fn made(
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
    remember: bool,
) -> Result<TestDatabase, ProofError> {
    let apart = apart::for_migrations(migrations).await?;
    if apart.is_own {
        return Box::pin(made_apart(&apart, migrations, code, remember)).await;
    }
    let server = server().await?;
    if is_short(migrations) || !server.remembers() {
        return build(TestDatabase::for_chain(migrations).await?, migrations, code).await;
    }
    // Otherwise two tasks of this process would build the same template. Two processes may do so, and one
    // result is kept.
    static ONE_BUILDS: Mutex<()> = Mutex::const_new(());
    let _one = ONE_BUILDS.lock().await;
    let names = names(migrations);
    let found = find(&names).await?;
    let whole = found.as_ref().is_some_and(|(_, applied)| *applied == migrations.len());
    let database = match found {
        Some((copy, applied)) => build(copy, &migrations[applied..], code).await,
        None => begin(migrations, code, &names, remember).await,
    };
    match database {
        Ok(made) if remember && !whole => match names.last() {
            Some(name) => keep(made, name).await.map_err(ProofError::from),
            None => Ok(made),
        },
        other => other,
    }
}

/// Applies a chain of which nothing is kept. If its first migration is a large one, that migration gets its own
/// template as well.
async fn begin(
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
    names: &[String],
    remember: bool,
) -> Result<TestDatabase, ProofError> {
    let empty = TestDatabase::shared_for_chain().await?;
    match (migrations, names) {
        ([first, rest @ ..], [name, ..]) if remember && !rest.is_empty() && is_large(first) => {
            let made = build(empty, std::slice::from_ref(first), code).await?;
            build(keep(made, name).await?, rest, code).await
        }
        _ => build(empty, migrations, code).await,
    }
}

/// Whether a migration is a baseline, or as large as one: running it takes far longer than copying its result.
pub(crate) fn is_large(migration: &Arc<Migration>) -> bool {
    statements(migration) >= Some(LARGE)
}

/// How many statements the up script has; `None` for a migration written in Rust.
pub(crate) fn statements(migration: &Migration) -> Option<usize> {
    migration.up_script().map(|up| up.statements().len())
}

/// Whether a chain is too short for a template: a few statements are, one migration with many is not. How much
/// a migration in Rust does is not known.
fn is_short(migrations: &[Arc<Migration>]) -> bool {
    migrations.iter().map(|one| statements(one).unwrap_or(SHORT / 4)).sum::<usize>() < SHORT
}

/// The same on its own server: a data folder is kept.
async fn made_apart(
    apart: &DatabasePlacement,
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
    remember: bool,
) -> Result<TestDatabase, ProofError> {
    let Some(lease) = server().await?.lease().filter(|_| !is_short(migrations)) else {
        return build(TestDatabase::apart_for_chain(apart).await?, migrations, code).await;
    };
    let names: Vec<String> = names(migrations).into_iter().map(|name| name_apart(apart, &name)).collect();
    let mut found = None;
    for (at, name) in names.iter().enumerate().rev() {
        if let Some(own) = OwnServer::saved(lease, name).await {
            found = Some((TestDatabase::saved(own, apart), at + 1));
            break;
        }
    }
    let (ground, applied) = match found {
        Some(found) => found,
        None => (TestDatabase::apart_for_chain(apart).await?, 0),
    };
    let mut database = build(ground, &migrations[applied..], code).await?;
    if let Some(name) = names.last().filter(|_| remember && applied < migrations.len()) {
        database.save(lease, name).await?;
    }
    Ok(database)
}

/// A copy of a database that the owner of this name created with these migrations, if one was kept.
pub(crate) async fn owned(migrations: &[Arc<Migration>]) -> Result<Option<(TestDatabase, String)>, ServerError> {
    if migrations.is_empty() || !keeps_owned().await? {
        return Ok(None);
    }
    let name = owned_name(migrations);
    let query = format!("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {}", literal(&name));
    let Some(owner) = office::ask(&query).await?.pop() else { return Ok(None) };
    let Some(copy) = copy_kept(&name).await else { return Ok(None) };
    office::ask(&format!("ALTER DATABASE {} OWNER TO {}", ident(copy.name()), ident(&owner))).await?;
    Ok(Some((copy, owner)))
}

/// Keeps such a database, with its owner. Nobody may be connected.
pub(crate) async fn keep_owned(made: TestDatabase, migrations: &[Arc<Migration>]) -> Result<(), ServerError> {
    // If it is not needed, its owner is swept when this process is gone.
    put_away(made, &owned_name(migrations)).await
}

/// Whether a database with an owner can be kept: on a shared server with persistent templates.
pub(crate) async fn keeps_owned() -> Result<bool, ServerError> {
    Ok(server().await?.remembers() && !apart::current().unwrap_or_default().is_own)
}

/// The name for a database that an owner created: its rollbacks were run as well.
fn owned_name(migrations: &[Arc<Migration>]) -> String {
    let mut digest = Sha256::new();
    // The version is part of the digest: another version may find more.
    digest.update(format!("owned 2 {} {:?}", env!("CARGO_PKG_VERSION"), names(migrations).last()));
    for one in migrations {
        let down = one.down_script().map_or("none", |down| down.checksum().as_str());
        digest.update(format!("{} {down};", one.version()));
    }
    format!("{PREFIX}{}", hex(&digest))
}

/// A database with what `[shadow]` sets up.
pub(super) async fn set_up(setup: &Setup) -> Result<TestDatabase, ServerError> {
    let remembers = server().await?.remembers();
    let name = format!("{PREFIX}{}", setup.key());
    if remembers {
        let query = format!("SELECT datname FROM pg_database WHERE datname = {}", literal(&name));
        if !office::ask(&query).await?.is_empty()
            && let Some(copy) = copy_kept(&name).await
        {
            return Ok(copy);
        }
    }
    let made = TestDatabase::copy_of("template0").await?;
    setup.run(&made.options()).await?;
    if remembers { keep(made, &name).await } else { Ok(made) }
}

/// The same on its own server.
pub(super) async fn apart(lease: &Lease, apart: &DatabasePlacement) -> Result<TestDatabase, ServerError> {
    let Some(setup) = Setup::current() else {
        return TestDatabase::named(OwnServer::fresh(lease).await?, apart).await;
    };
    let replay = ReplaySettings::current().map(|replay| replay.key()).unwrap_or_default();
    let name = name_apart(apart, &format!("{} {replay}", setup.key()));
    if let Some(own) = OwnServer::saved(lease, &name).await {
        return Ok(TestDatabase::saved(own, apart));
    }
    let mut made = TestDatabase::named(OwnServer::fresh(lease).await?, apart).await?;
    setup.run(&made.options()).await?;
    made.save(lease, &name).await?;
    Ok(made)
}

/// The name of a data folder, which also depends on the name of its database.
fn name_apart(apart: &DatabasePlacement, name: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{name} {:?}", apart.name));
    hex(&digest)
}

fn hex(digest: &Sha256) -> String {
    digest.clone().finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A copy of the longest beginning that is kept, and its number of migrations.
async fn find(names: &[String]) -> Result<Option<(TestDatabase, usize)>, ProofError> {
    let list: Vec<String> = names.iter().map(|name| literal(name)).collect();
    let query = format!("SELECT datname FROM pg_database WHERE datname IN ({})", list.join(", "));
    let known = office::ask(&query).await?;
    let Some(at) = names.iter().rposition(|name| known.contains(name)) else { return Ok(None) };
    Ok(copy_kept(&names[at]).await.map(|copy| (copy, at + 1)))
}

/// A copy of a template; `None` if another process dropped it at this moment, so that it is created again.
async fn copy_kept(name: &str) -> Option<TestDatabase> {
    let copy = TestDatabase::copy_of(name).await.ok()?;
    touch(name).await;
    Some(copy)
}

/// Removes all templates of the server. They are created again when they are needed.
///
/// # Errors
///
/// [`ServerError`] when there is no server, or it refuses.
pub async fn clear() -> Result<usize, ServerError> {
    let server = server().await?;
    let folders = server.lease().map_or(Ok(0), |lease| saved::clear(&lease.home))?;
    let query = format!("SELECT datname FROM pg_database WHERE starts_with(datname, {})", literal(PREFIX));
    let all = office::ask(&query).await?;
    for name in &all {
        office::ask(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(name))).await?;
    }
    Ok(all.len() + folders)
}

/// Distinguishes a chain from all others, on the kind of server that is used now.
pub(crate) fn chain_key(migrations: &[Arc<Migration>]) -> String {
    let (replay, setup) = (ReplaySettings::current().map(|one| one.key()), Setup::current().map(|one| one.key()));
    format!("{:?} {replay:?} {setup:?} {:?}", names(migrations).pop(), apart::current().unwrap_or_default())
}

/// The names of the templates for the first migration, the first two, and so on.
fn names(migrations: &[Arc<Migration>]) -> Vec<String> {
    let mut digest = Sha256::new();
    if let Some(replay) = ReplaySettings::current() {
        digest.update(replay.key());
    }
    if let Some(setup) = Setup::current() {
        digest.update(setup.key());
    }
    let mut names = Vec::with_capacity(migrations.len());
    for migration in migrations {
        for part in [migration.version().as_str(), migration.name(), migration.up_checksum().as_str()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        if matches!(migration.body(), MigrationBody::Code { .. }) {
            digest.update(executable());
        }
        names.push(format!("{PREFIX}{}", hex(&digest)));
    }
    names
}

/// Distinguishes this build of the executable from others: its size and its modification time.
fn executable() -> String {
    let meta = std::env::current_exe().and_then(std::fs::metadata);
    meta.map_or_else(|_| crate::random::hex(8), |meta| format!("{} {:?}", meta.len(), meta.modified().ok()))
}

async fn build(
    database: TestDatabase,
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
) -> Result<TestDatabase, ProofError> {
    if migrations.is_empty() {
        return Ok(database);
    }
    let mut rehearsal = rehearsal(Database::from(database.options()), code).await?;
    if !database.is_apart() {
        rehearsal.spare_server();
    }
    let outcome = rehearsal.climb(migrations).await;
    rehearsal.close().await;
    match outcome {
        Ok(()) => Ok(database),
        Err(error) => {
            database.let_go().await?;
            Err(refused(error))
        }
    }
}

/// Separates what was refused because it changes the whole server from what does not apply.
pub(crate) fn refused(error: Error) -> ProofError {
    if Rehearsal::is_of_server(&error) { ServerError::ChangesServer(error).into() } else { error.into() }
}

/// Turns a finished database into a template, and returns a copy of it.
async fn keep(made: TestDatabase, name: &str) -> Result<TestDatabase, ServerError> {
    let copy = TestDatabase::copy_of(made.name()).await?;
    put_away(made, name).await?;
    Ok(copy)
}

/// Turns a finished database into a template. If another process was faster, the name is taken, and our
/// database is not needed.
async fn put_away(made: TestDatabase, name: &str) -> Result<(), ServerError> {
    if made.rename(name).await.is_ok() {
        touch(name).await;
        evict(name).await?;
    }
    Ok(())
}

/// Records in the comment of a template when it was used.
async fn touch(name: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
    // A template that has been dropped meanwhile needs no record.
    let _ = office::ask(&format!("COMMENT ON DATABASE {} IS '{now:020}'", ident(name))).await;
}

/// Drops the templates that have not been used for the longest time, while there are too many.
async fn evict(newest: &str) -> Result<(), ServerError> {
    let query = format!(
        "SELECT datname FROM (SELECT datname, count(*) OVER age AS place, sum(pg_database_size(oid)) OVER age AS bytes \
         FROM pg_database WHERE starts_with(datname, {}) AND datname <> {} \
         WINDOW age AS (ORDER BY shobj_description(oid, 'pg_database') DESC NULLS LAST, datname)) AS kept \
         WHERE place >= {MOST} OR bytes > {BYTES}",
        literal(PREFIX),
        literal(newest)
    );
    for name in office::ask(&query).await? {
        // A template that is being copied at this moment stays until the next time.
        let _ = office::ask(&format!("DROP DATABASE IF EXISTS {}", ident(&name))).await;
    }
    Ok(())
}
