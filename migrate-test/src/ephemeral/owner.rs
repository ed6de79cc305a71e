//! Tracks which process owns a database on a server, and which databases have no owner any more.
//!
//! A process holds an advisory lock while it lives, and the names of its databases end with the number of that
//! lock. If the lock of a database can be acquired, its owner is gone: the next process that uses the server
//! sweeps. A database that was kept on purpose has an expiry time in its comment, and a database that somebody
//! is connected to is never dropped.

use migrate_base::ident::{ident, literal};
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OnceCell, oneshot};

use super::EphemeralServer;
use super::database::PREFIX;
use super::office;
use super::shared::KEEP;
use crate::error::ServerError;
use crate::random;

/// The first key of the advisory locks of all owners: `rtrp` as bytes.
const CLASS: i32 = 0x7274_7270;
/// The prefix of the comment of a database that was kept; the seconds since 1970 follow.
const KEPT: &str = "kept until ";

/// The mark of this process.
static MARK: OnceCell<String> = OnceCell::const_new();

/// The prefix of the names of all roles that own test databases.
pub(crate) const ROLE: &str = "roundtrip_owner_";

/// The mark in the names of this process's databases. The first call also starts to sweep what dead processes
/// left on the server.
pub(super) async fn mark(server: &EphemeralServer) -> Result<&'static str, ServerError> {
    let mark = MARK.get_or_try_init(|| async {
        let (answer, answered) = oneshot::channel();
        office::spawn(server, |options| own(options, answer));
        answered.await.unwrap_or_else(|_| Err(office::cannot(&sqlx::Error::WorkerCrashed)))
    });
    Ok(mark.await?)
}

/// Takes a lock and reports its mark, sweeps, and holds the lock as long as the process lives.
async fn own(options: PgConnectOptions, answer: oneshot::Sender<Result<String, ServerError>>) {
    let (mut session, mark) = match take(&options).await {
        Ok(taken) => taken,
        Err(error) => {
            // The caller may be gone.
            let _ = answer.send(Err(error));
            return;
        }
    };
    // If the caller is gone, the next one gets another mark.
    if answer.send(Ok(mark)).is_ok() {
        sweep(&mut session).await;
        std::future::pending().await
    }
}

/// A session that holds the lock of a new mark.
async fn take(options: &PgConnectOptions) -> Result<(PgConnection, String), ServerError> {
    let mut session = office::open(options).await?;
    let mark = random::hex(8);
    let lock = format!("SELECT pg_catalog.pg_advisory_lock({CLASS}, {})", number(&mark));
    office::rows(&mut session, &lock).await.map_err(|error| office::cannot(&error))?;
    Ok((session, mark))
}

/// The mark as a number in SQL.
fn number(mark: &str) -> String {
    format!("x{}::int", literal(mark))
}

/// The statement that keeps a database for a while.
pub(super) fn keep(database: &str) -> String {
    let seconds = KEEP.as_secs();
    format!(
        "DO $$ BEGIN EXECUTE pg_catalog.format('COMMENT ON DATABASE %I IS %L', {}, {} || \
         (pg_catalog.date_part('epoch', pg_catalog.now())::bigint + {seconds})); END $$",
        literal(database),
        literal(KEPT)
    )
}

/// Drops the databases and the roles of owners that are gone, except databases that somebody is connected to.
/// What cannot be dropped, or not before this process ends, is left to the next process. The order is random,
/// so that the same database is not always first.
async fn sweep(session: &mut PgConnection) {
    sweep_roles(session).await;
    let kept = literal(KEPT);
    let databases = format!(
        "SELECT datname FROM pg_catalog.pg_database d WHERE datname ~ {} AND {} \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid) \
         AND coalesce(pg_catalog.substring(pg_catalog.shobj_description(d.oid, 'pg_database'), \
         '^' || {kept} || '([0-9]+)$')::bigint < pg_catalog.date_part('epoch', pg_catalog.now()), true) \
         ORDER BY pg_catalog.random()",
        literal(&format!("^{PREFIX}[0-9]+_[0-9]+_[0-9a-f]{{8}}$")),
        is_gone("d.datname")
    );
    for name in office::rows(session, &databases).await.unwrap_or_default() {
        // Without FORCE, so that a database with connections stays.
        let _ = office::rows(session, &format!("DROP DATABASE IF EXISTS {}", ident(&name))).await;
    }
    // The roles that owned one of these databases.
    sweep_roles(session).await;
}

async fn sweep_roles(session: &mut PgConnection) {
    let roles = format!(
        "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname ~ {} AND {}",
        literal(&format!("^{ROLE}[0-9a-f]+_[0-9a-f]{{8}}$")),
        is_gone("rolname")
    );
    for name in office::rows(session, &roles).await.unwrap_or_default() {
        let _ = office::rows(session, &format!("DROP ROLE IF EXISTS {}", ident(&name))).await;
    }
}

/// The condition that nobody holds the lock whose number is at the end of a name.
fn is_gone(name: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.classid = {CLASS} \
         AND l.objsubid = 2 AND l.granted \
         AND l.objid::bigint = ('x' || pg_catalog.lpad(pg_catalog.right({name}::text, 8), 16, '0'))::bit(64)::bigint)"
    )
}
