//! Sessions that block a statement, so that it has to wait on every table and thereby reveals which locks it
//! wants. The probe decides who waits, and when the statement may continue.
//!
//! One session holds the strongest lock on every table where the statement has not been seen yet. Where it has
//! been seen, another session holds the lock that lets it pass but nothing stronger. Neither session waits for
//! long, so neither is ever part of a deadlock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use migrate_base::lock_mode::LockMode;
use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database, Result};

use super::barrier::{LockableTable, named};
use super::look::{PriorRelations, RelationOid};

/// The locks that a statement has or requested.
pub(super) type StatementLocks = BTreeMap<RelationOid, LockMode>;

/// Sessions that block one statement.
#[derive(Debug)]
pub(super) struct LockBarrier {
    /// Holds the strongest lock on tables where the statement has not been seen.
    first: Rehearsal,
    /// The tables that it has locked. Each has a savepoint, so that the last ones can be released.
    stack: Vec<RelationOid>,
    /// Holds the weaker locks on tables where the statement has been seen.
    second: BackendSession,
    /// Takes them over from the second session: some statements wait for all existing transactions.
    third: BackendSession,
    tables: BTreeMap<RelationOid, LockableTable>,
    /// Nothing is learned by blocking the statement once it has requested this lock.
    enough: LockMode,
}

/// A session and its backend pid.
#[derive(Debug)]
struct BackendSession {
    session: Rehearsal,
    pid: String,
}

/// A moment in which nothing blocked the statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Gap {
    /// The tables where it had not been seen before.
    pub(super) tables: BTreeSet<RelationOid>,
    /// Whether it may have strengthened a lock that had been seen.
    pub(super) stronger: bool,
}

/// A session waits for a lock as long as the statement needs that has to go first, and never as long as it
/// takes the server to check for a deadlock.
const SETTINGS: &str = "SET search_path TO pg_catalog, pg_temp; SET lock_timeout TO 200; SELECT pg_backend_pid();";

impl LockBarrier {
    pub(super) async fn open(address: &Database) -> Result<Self> {
        let (first, second, third) = tokio::try_join!(
            BackendSession::open(address),
            BackendSession::open(address),
            BackendSession::open(address)
        )?;
        let (first, stack, tables) = (first.session, Vec::new(), BTreeMap::new());
        Ok(Self { first, stack, second, third, tables, enough: LockMode::AccessExclusive })
    }

    /// Blocks a statement on all tables, as long as it has not requested `enough` there. Returns the tables
    /// where that is not possible.
    pub(super) async fn stand(
        &mut self,
        world: &PriorRelations,
        statement: &str,
        enough: LockMode,
    ) -> Result<BTreeSet<RelationOid>> {
        let oids = world.tables().map(|oid| oid.to_string()).collect::<Vec<_>>().join(",");
        let query = format!("SELECT oid, oid::regclass, relkind = 'm' FROM pg_class WHERE oid = ANY ('{{{oids}}}')");
        let (_, rows) = self.first.query(&query).await?;
        let table = |row: Vec<Option<String>>| {
            let [oid, name, is_view] = <[Option<String>; 3]>::try_from(row).ok()?;
            Some((oid?.parse().ok()?, LockableTable { name: name?, is_view: is_view? == "t" }))
        };
        self.tables = rows.into_iter().filter_map(table).collect();
        self.enough = enough;
        self.stack = Vec::new();
        // A table can be released without the others only if it was locked last, so those that are requested
        // first are locked last. A statement requests the tables that it names first, and then, as in VACUUM,
        // the oldest ones.
        let named = named(world, statement);
        let mut order: Vec<RelationOid> = self.tables.keys().copied().collect();
        order.sort_by_key(|oid| (named.get(oid).copied().unwrap_or(usize::MAX), *oid));
        order.reverse();
        tokio::try_join!(self.first.query("BEGIN"), self.second.session.query("BEGIN"))?;
        self.lock(order).await
    }

    /// Lets a waiting statement continue: on this table, or after other transactions have ended.
    pub(super) async fn pass(&mut self, table: Option<RelationOid>, seen: &StatementLocks) -> Result<Gap> {
        match table.and_then(|table| self.stack.iter().position(|oid| *oid == table)) {
            Some(at) => self.give_back(at, seen).await,
            None => self.hand_over(table, seen).await,
        }
    }

    /// Releases a table where the statement had not been seen before.
    async fn give_back(&mut self, at: usize, seen: &StatementLocks) -> Result<Gap> {
        let above = self.stack.split_off(at);
        let Some(table) = above.first() else { return Ok(Gap::default()) };
        let weaker = self.weaker(table, seen).map(|(lock, _)| lock).unwrap_or_default();
        let strong = format!("ROLLBACK TO SAVEPOINT s{table}");
        // The weaker lock is already queued behind the strong one, so that there is no gap between them.
        let Self { first, second, third, .. } = self;
        let (taken, given) = second.behind(&weaker, &mut third.session, first.query(&strong)).await;
        given?;
        let again: Vec<RelationOid> = above.into_iter().skip(1).filter(|oid| !seen.contains_key(oid)).collect();
        let tables = again.iter().copied().collect();
        self.lock(again).await?;
        match taken {
            Ok(()) => Ok(Gap { tables, stronger: false }),
            Err(_) => {
                self.second.session.query_all("ROLLBACK; BEGIN;").await?;
                Ok(Gap { tables, stronger: true })
            }
        }
    }

    /// Ends the transaction that a statement waits for, which holds one of the weaker locks. Another session
    /// takes these locks first, or queues for them if only one session can hold them.
    async fn hand_over(&mut self, table: Option<RelationOid>, seen: &StatementLocks) -> Result<Gap> {
        let weaker = seen.keys().filter_map(|oid| Some((oid, self.weaker(oid, seen)?)));
        let (shared, other): (Vec<_>, Vec<_>) =
            weaker.partition(|(oid, (_, is_shared))| *is_shared && Some(**oid) != table);
        let text = |locks: &[(&RelationOid, (String, bool))]| {
            locks.iter().map(|(_, (lock, _))| lock.as_str()).collect::<String>()
        };
        let (shared, other) = (format!("BEGIN; {}", text(&shared)), text(&other));
        let Self { first, second, third, .. } = self;
        let taken = third.session.query_all(&shared).await;
        let (waited, ended) = third.behind(&other, first, second.session.query("ROLLBACK")).await;
        ended?;
        std::mem::swap(&mut self.second, &mut self.third);
        let stronger = taken.and(waited).is_err();
        if stronger {
            self.second.session.query_all("ROLLBACK; BEGIN;").await?;
        }
        Ok(Gap { tables: BTreeSet::new(), stronger })
    }

    /// The weaker lock on a table where the statement has been seen, and whether two sessions can hold it at
    /// once.
    fn weaker(&self, table: &RelationOid, seen: &StatementLocks) -> Option<(String, bool)> {
        let mode = *seen.get(table)?;
        let is_shared = !matches!(mode, LockMode::AccessShare | LockMode::RowShare | LockMode::RowExclusive);
        Some((self.tables.get(table)?.lock(Some(mode), self.enough)?, is_shared))
    }

    /// Stops blocking.
    pub(super) async fn leave(&mut self) -> Result<()> {
        let (first, second, third) = (&mut self.first, &mut self.second.session, &mut self.third.session);
        tokio::try_join!(first.query("ROLLBACK"), second.query("ROLLBACK"), third.query("ROLLBACK")).map(drop)
    }

    pub(super) async fn close(self) {
        tokio::join!(self.first.close(), self.second.session.close(), self.third.session.close());
    }

    /// Takes the strongest lock on tables, one after the other. Returns those where that is not possible.
    async fn lock(&mut self, order: Vec<RelationOid>) -> Result<BTreeSet<RelationOid>> {
        let lock = |oid: &RelationOid| {
            let lock = self.tables.get(oid)?.lock(None, self.enough)?;
            Some((*oid, format!("SAVEPOINT s{oid}; {lock}")))
        };
        let locks: Vec<(RelationOid, String)> = order.iter().filter_map(lock).collect();
        let mut open = BTreeSet::new();
        if locks.is_empty() {
            return Ok(open);
        }
        let all: String = locks.iter().map(|(_, lock)| lock.as_str()).collect();
        if self.first.query_all(&format!("SAVEPOINT all_of_them; {all}")).await.is_ok() {
            self.stack.extend(order);
            return Ok(open);
        }
        // If one of them cannot be locked, they are tried one by one.
        self.first.query("ROLLBACK TO SAVEPOINT all_of_them").await?;
        for (oid, lock) in locks {
            if self.first.query_all(&lock).await.is_ok() {
                self.stack.push(oid);
            } else {
                self.first.query(&format!("ROLLBACK TO SAVEPOINT s{oid}")).await?;
                open.insert(oid);
            }
        }
        Ok(open)
    }
}

impl BackendSession {
    async fn open(address: &Database) -> Result<Self> {
        let mut session = Rehearsal::open_limited(address.clone(), CodeMigrations::none(), Duration::ZERO).await?;
        let (_, rows) = session.query(SETTINGS).await?;
        Ok(Self { session, pid: rows.into_iter().flatten().next().flatten().unwrap_or_default() })
    }

    /// Queues for locks that another session holds, which releases them as soon as `watcher` sees this session
    /// wait.
    async fn behind<T>(
        &mut self,
        locks: &str,
        watcher: &mut Rehearsal,
        give_back: impl Future<Output = T>,
    ) -> (Result<()>, T) {
        let done = AtomicBool::new(locks.is_empty());
        let question = format!("SELECT FROM pg_locks WHERE pid = {} AND NOT granted", self.pid);
        let take = async {
            let taken = if locks.is_empty() { Ok(()) } else { self.session.query_all(locks).await.map(drop) };
            done.store(true, Ordering::Relaxed);
            taken
        };
        let give = async {
            while !done.load(Ordering::Relaxed) {
                match watcher.query(&question).await {
                    Ok((_, rows)) if rows.is_empty() => {}
                    // If that cannot be seen, they are released anyway.
                    _ => break,
                }
            }
            give_back.await
        };
        tokio::join!(take, give)
    }
}
