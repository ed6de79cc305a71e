//! The beginning of a chain, applied once and kept: a database that is copied instead of made.
//!
//! A template is found by its name, which is a digest of everything that made it: the text of
//! every migration up to it and, where one of them is written in Rust, the executable. It gets
//! the name when it is complete, so an attempt that was killed is never taken for one. The
//! server is part of it too: each version has data of its own.

use std::sync::Arc;

use migrate_core::ident::{ident, literal};
use migrate_core::source::{Body, Migration};
use migrate_core::{CodeMigrations, Database};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::database::{Office, TestDatabase};
use super::replay::Replay;
use super::{rehearsal, server};
use crate::proof::ProofError;

/// How the names of all templates begin; the number changes when what they hold does.
const PREFIX: &str = "roundtrip_1_";
/// How many templates are kept, and how many bytes they may have together.
const MOST: usize = 48;
const BYTES: i64 = 1 << 30;
/// A chain that is shorter than this is applied faster than it is copied.
const SHORT: usize = 4;

/// A database at which these migrations are applied.
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
            // The chain makes a schema itself that the environment has.
            Err(ProofError::Core(error)) if Replay::give_way(&error) => {}
            outcome => return outcome,
        }
    }
}

async fn made(
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
    remember: bool,
) -> Result<TestDatabase, ProofError> {
    let server = server().await?;
    if migrations.len() < SHORT || !server.remembers() {
        return build(TestDatabase::for_chain().await?, migrations, code).await;
    }
    // Two of this process would otherwise build the same one; two processes may, and one is kept.
    static ONE_BUILDS: Mutex<()> = Mutex::const_new(());
    let _one = ONE_BUILDS.lock().await;
    let names = names(migrations);
    let mut office = Office::open(&server.options("postgres")).await?;
    let found = find(&mut office, &names).await?;
    let whole = found.as_ref().is_some_and(|(_, applied)| *applied == migrations.len());
    let database = match found {
        Some((copy, applied)) => build(copy, &migrations[applied..], code).await,
        None => build(TestDatabase::for_chain_in(&mut office).await?, migrations, code).await,
    };
    let database = match database {
        Ok(made) if remember && !whole => keep(&mut office, made, &names).await,
        other => other,
    };
    office.close().await;
    database
}

/// A copy of the longest beginning that is kept, and how many migrations it has.
async fn find(office: &mut Office, names: &[String]) -> Result<Option<(TestDatabase, usize)>, ProofError> {
    let list: Vec<String> = names.iter().map(|name| literal(name)).collect();
    let query = format!("SELECT datname FROM pg_database WHERE datname IN ({})", list.join(", "));
    let known = office.ask(&query).await?;
    let Some(at) = names.iter().rposition(|name| known.contains(name)) else { return Ok(None) };
    // A template that somebody dropped in this moment is made anew.
    let Ok(copy) = TestDatabase::copy_in(office, &names[at]).await else { return Ok(None) };
    touch(office, &names[at]).await;
    Ok(Some((copy, at + 1)))
}

/// Removes all templates of the server; they are made again when they are needed.
///
/// # Errors
///
/// [`ServerError`](crate::ServerError) when there is no server, or it refuses.
pub async fn clear() -> Result<usize, crate::ServerError> {
    let mut office = Office::open(&server().await?.options("postgres")).await?;
    let query = format!("SELECT datname FROM pg_database WHERE starts_with(datname, {})", literal(PREFIX));
    let all = office.ask(&query).await?;
    for name in &all {
        office.ask(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(name))).await?;
    }
    office.close().await;
    Ok(all.len())
}

/// The names of the templates for the first migration, the first two, and so on.
fn names(migrations: &[Arc<Migration>]) -> Vec<String> {
    let mut digest = Sha256::new();
    if let Some(replay) = Replay::current() {
        digest.update(replay.key());
    }
    let mut names = Vec::with_capacity(migrations.len());
    for migration in migrations {
        for part in [migration.version().as_str(), migration.name(), migration.up_checksum().as_str()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        if matches!(migration.body(), Body::Code { .. }) {
            digest.update(executable());
        }
        let hex: String = digest.clone().finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        names.push(format!("{PREFIX}{hex}"));
    }
    names
}

/// What tells this build of the executable apart from others: its size and its time.
fn executable() -> String {
    let meta = std::env::current_exe().and_then(std::fs::metadata);
    meta.map_or_else(|_| crate::random::hex(8), |meta| format!("{} {:?}", meta.len(), meta.modified().ok()))
}

async fn build(
    database: TestDatabase,
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
) -> Result<TestDatabase, ProofError> {
    let mut rehearsal = rehearsal(Database::from(database.options()), code).await?;
    let outcome = rehearsal.climb(migrations).await;
    rehearsal.close().await;
    match outcome {
        Ok(()) => Ok(database),
        Err(error) => {
            database.drop_now().await?;
            Err(error.into())
        }
    }
}

/// Makes a finished database a template, and returns a copy of it.
async fn keep(office: &mut Office, made: TestDatabase, names: &[String]) -> Result<TestDatabase, ProofError> {
    let Some(name) = names.last() else { return Ok(made) };
    let copy = TestDatabase::copy_in(office, made.name()).await?;
    // Where another process was faster the name is taken, and ours is not needed.
    if made.rename(name).await.is_ok() {
        touch(office, name).await;
        evict(office, name).await?;
    }
    Ok(copy)
}

/// Notes that a template was used, in its comment.
async fn touch(office: &mut Office, name: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
    // A template that is gone by now needs no note.
    let _ = office.ask(&format!("COMMENT ON DATABASE {} IS '{now:020}'", ident(name))).await;
}

/// Drops the templates that were not used for the longest time, while there are too many.
async fn evict(office: &mut Office, newest: &str) -> Result<(), ProofError> {
    let query = format!(
        "SELECT datname FROM (SELECT datname, count(*) OVER age AS place, sum(pg_database_size(oid)) OVER age AS bytes \
         FROM pg_database WHERE starts_with(datname, {}) AND datname <> {} \
         WINDOW age AS (ORDER BY shobj_description(oid, 'pg_database') DESC NULLS LAST, datname)) AS kept \
         WHERE place >= {MOST} OR bytes > {BYTES}",
        literal(PREFIX),
        literal(newest)
    );
    for name in office.ask(&query).await? {
        // One that is being copied in this moment stays until the next time.
        let _ = office.ask(&format!("DROP DATABASE IF EXISTS {}", ident(&name))).await;
    }
    Ok(())
}
