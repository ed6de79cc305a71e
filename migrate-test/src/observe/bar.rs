//! Sessions that stand in the way of a statement, so that it has to wait on every table and say what it
//! wants. Who waits, and when it is let through, is decided by the probe.
//!
//! One of them has the strongest lock on every table that the statement was not seen on. Where it was
//! seen, another one has the lock that lets this pass and nothing stronger. Neither waits for
//! long, so neither is ever part of a deadlock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use migrate_core::lock_mode::LockMode;
use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database, Result};

use super::barrier::{Table, named};
use super::look::{Oid, World};

/// What a statement has or asked for.
pub(super) type Seen = BTreeMap<Oid, LockMode>;

/// Sessions that stand in the way of one statement.
#[derive(Debug)]
pub(super) struct Bar {
    /// Has the strongest lock on what was not seen.
    first: Rehearsal,
    /// The tables that it has locked. Each has a savepoint, so that the last ones can be given back.
    stack: Vec<Oid>,
    /// Has the weaker locks on what was seen.
    second: Line,
    /// Takes them over from the second: some statements wait for all transactions that are there.
    third: Line,
    tables: BTreeMap<Oid, Table>,
    /// What it is no use to stand in the way of any more.
    enough: LockMode,
}

/// A session, and the number of its process.
#[derive(Debug)]
struct Line {
    session: Rehearsal,
    pid: String,
}

/// Where nothing was in the way of a statement for a moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Gap {
    /// The tables where it was not seen before.
    pub(super) tables: BTreeSet<Oid>,
    /// Whether it can have strengthened a lock that was seen.
    pub(super) stronger: bool,
}

/// A lock is waited for as long as it takes to let the statement through that has to go first, and never
/// as long as it takes the server to look for a deadlock.
const SETTINGS: &str = "SET search_path TO pg_catalog, pg_temp; SET lock_timeout TO 200; SELECT pg_backend_pid();";

impl Bar {
    pub(super) async fn open(address: &Database) -> Result<Self> {
        let (first, second, third) = tokio::try_join!(Line::open(address), Line::open(address), Line::open(address))?;
        let (first, stack, tables) = (first.session, Vec::new(), BTreeMap::new());
        Ok(Self { first, stack, second, third, tables, enough: LockMode::AccessExclusive })
    }

    /// Stands in the way of a statement on all tables, as long as it has not asked for `enough` there.
    /// Returns those where that cannot be done.
    pub(super) async fn stand(&mut self, world: &World, statement: &str, enough: LockMode) -> Result<BTreeSet<Oid>> {
        let oids = world.tables().map(|oid| oid.to_string()).collect::<Vec<_>>().join(",");
        let query = format!("SELECT oid, oid::regclass, relkind = 'm' FROM pg_class WHERE oid = ANY ('{{{oids}}}')");
        let (_, rows) = self.first.query(&query).await?;
        let table = |row: Vec<Option<String>>| {
            let [oid, name, is_view] = <[Option<String>; 3]>::try_from(row).ok()?;
            Some((oid?.parse().ok()?, Table { name: name?, is_view: is_view? == "t" }))
        };
        self.tables = rows.into_iter().filter_map(table).collect();
        self.enough = enough;
        self.stack = Vec::new();
        // The one that is asked for first is given back without the others when it is the last one. What
        // the statement names first comes first, and then, as in VACUUM, what was made first.
        let named = named(world, statement);
        let mut order: Vec<Oid> = self.tables.keys().copied().collect();
        order.sort_by_key(|oid| (named.get(oid).copied().unwrap_or(usize::MAX), *oid));
        order.reverse();
        tokio::try_join!(self.first.query("BEGIN"), self.second.session.query("BEGIN"))?;
        self.lock(order).await
    }

    /// Lets a statement through that waits: on this table, or for transactions to end.
    pub(super) async fn pass(&mut self, table: Option<Oid>, seen: &Seen) -> Result<Gap> {
        match table.and_then(|table| self.stack.iter().position(|oid| *oid == table)) {
            Some(at) => self.give_back(at, seen).await,
            None => self.hand_over(table, seen).await,
        }
    }

    /// Gives a table back where the statement was not seen before.
    async fn give_back(&mut self, at: usize, seen: &Seen) -> Result<Gap> {
        let above = self.stack.split_off(at);
        let Some(table) = above.first() else { return Ok(Gap::default()) };
        let weaker = self.weaker(table, seen).map(|(lock, _)| lock).unwrap_or_default();
        let strong = format!("ROLLBACK TO SAVEPOINT s{table}");
        // The weaker lock waits for the strong one to go, so that there is no moment between them.
        let Self { first, second, third, .. } = self;
        let (taken, given) = second.behind(&weaker, &mut third.session, first.query(&strong)).await;
        given?;
        let again: Vec<Oid> = above.into_iter().skip(1).filter(|oid| !seen.contains_key(oid)).collect();
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

    /// Ends the transaction that a statement waits for, which has one of the weaker locks. Another one
    /// takes them first, or waits for them where only one can have them.
    async fn hand_over(&mut self, table: Option<Oid>, seen: &Seen) -> Result<Gap> {
        let weaker = seen.keys().filter_map(|oid| Some((oid, self.weaker(oid, seen)?)));
        let (shared, other): (Vec<_>, Vec<_>) =
            weaker.partition(|(oid, (_, is_shared))| *is_shared && Some(**oid) != table);
        let text =
            |locks: &[(&Oid, (String, bool))]| locks.iter().map(|(_, (lock, _))| lock.as_str()).collect::<String>();
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

    /// The weaker lock on a table that was seen, and whether two sessions can have it.
    fn weaker(&self, table: &Oid, seen: &Seen) -> Option<(String, bool)> {
        let mode = *seen.get(table)?;
        let is_shared = !matches!(mode, LockMode::AccessShare | LockMode::RowShare | LockMode::RowExclusive);
        Some((self.tables.get(table)?.lock(Some(mode), self.enough)?, is_shared))
    }

    /// Gets out of the way.
    pub(super) async fn leave(&mut self) -> Result<()> {
        let (first, second, third) = (&mut self.first, &mut self.second.session, &mut self.third.session);
        tokio::try_join!(first.query("ROLLBACK"), second.query("ROLLBACK"), third.query("ROLLBACK")).map(drop)
    }

    pub(super) async fn close(self) {
        tokio::join!(self.first.close(), self.second.session.close(), self.third.session.close());
    }

    /// Takes the strongest lock on tables, one after the other. Returns those where it cannot be had.
    async fn lock(&mut self, order: Vec<Oid>) -> Result<BTreeSet<Oid>> {
        let lock = |oid: &Oid| {
            let lock = self.tables.get(oid)?.lock(None, self.enough)?;
            Some((*oid, format!("SAVEPOINT s{oid}; {lock}")))
        };
        let locks: Vec<(Oid, String)> = order.iter().filter_map(lock).collect();
        let mut open = BTreeSet::new();
        if locks.is_empty() {
            return Ok(open);
        }
        let all: String = locks.iter().map(|(_, lock)| lock.as_str()).collect();
        if self.first.query_all(&format!("SAVEPOINT all_of_them; {all}")).await.is_ok() {
            self.stack.extend(order);
            return Ok(open);
        }
        // Which of them cannot be had is found out one by one.
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

impl Line {
    async fn open(address: &Database) -> Result<Self> {
        let mut session = Rehearsal::open_limited(address.clone(), CodeMigrations::none(), Duration::ZERO).await?;
        let (_, rows) = session.query(SETTINGS).await?;
        Ok(Self { session, pid: rows.into_iter().flatten().next().flatten().unwrap_or_default() })
    }

    /// Takes locks that somebody has, who gives them back as soon as `watcher` has seen this one wait.
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
                    // Where it cannot be seen, it is given back all the same.
                    _ => break,
                }
            }
            give_back.await
        };
        tokio::join!(take, give)
    }
}
