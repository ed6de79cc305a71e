//! What is around the schema of a database and is changed by migrations all the same: the database itself, what is built
//! in, large objects, and what exists once for a server.
//!
//! It is no part of a [`Schema`](super::Schema): names of databases differ from one environment to the next, and roles
//! belong to whoever runs the server. Only the proof compares it, before and after. A probe tells whether anything can
//! have changed, and everything is read again where something did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::Change;
use super::object::{Fact, Id, Kind, Object};
use super::read::PLAIN;
use super::row::Objects;
use crate::db::{Answer, Database, Failure, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::ident::QualifiedName;
use crate::sql::Positioned;

const PROBES: [&str; 2] = [include_str!("catalog/around/probe.sql"), include_str!("catalog/around/probe_server.sql")];
pub(super) const QUERIES: [&str; 2] =
    [include_str!("catalog/around/database.sql"), include_str!("catalog/around/server.sql")];
/// What a server has that others use as well.
const SHARED: &str = include_str!("catalog/around/shared.sql");
/// Every sequence that is no part of PostgreSQL.
const SEQUENCES: &str = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'S' AND c.oid >= 16384 AND c.relpersistence <> 't' ORDER BY 1, 2;";

type Seen = BTreeMap<Arc<Id>, Arc<Object>>;

/// Follows what is around the schema of one database, on a connection of its own.
#[derive(Debug)]
pub struct Surroundings {
    session: Session,
    /// How many of the queries are asked: a server that others use as well is not looked at.
    queries: usize,
    probed: Vec<Option<String>>,
    seen: Seen,
    /// What the server had at the beginning, where others use it as well.
    shared: BTreeSet<String>,
}

/// Where the sequences of a database stand.
#[derive(Debug, Default)]
pub struct Positions(Seen);

impl Surroundings {
    /// Connects, and looks once. `of_server` is whether the server has no other user, so that whatever exists once for it
    /// belongs to this database.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached, or refuses a query.
    pub async fn open(database: &Database, of_server: bool) -> Result<Self> {
        let session = Session::connect(database, "roundtrip schema").await?;
        let queries = if of_server { 2 } else { 1 };
        let (probed, seen, shared) = (Vec::new(), Seen::new(), BTreeSet::new());
        let mut around = Self { session, queries, probed, seen, shared };
        around.prepare().await.map_err(unreadable)?;
        if !of_server {
            around.shared = around.read_shared().await.map_err(unreadable)?;
        }
        around.look().await?;
        Ok(around)
    }

    /// Looks at what was committed since the last look, and tells what is different now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server is gone, or refuses a query.
    pub async fn look(&mut self) -> Result<Change> {
        self.advance().await.map_err(unreadable)
    }

    /// What a server has now that it did not have at the beginning, as the statements that remove it: roles, tablespaces,
    /// replication origins. Of a server that has no other user everything is told by [`Surroundings::look`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server is gone, or refuses a query.
    pub async fn left_on_server(&mut self) -> Result<Vec<String>> {
        if self.queries > 1 {
            return Ok(Vec::new());
        }
        let now = self.read_shared().await.map_err(unreadable)?;
        Ok(now.difference(&self.shared).cloned().collect())
    }

    /// Where the sequences stand now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server is gone, or refuses a query.
    pub async fn positions(&mut self) -> Result<Positions> {
        self.read_positions().await.map_err(unreadable)
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        self.session.close().await;
    }

    async fn prepare(&mut self) -> std::result::Result<(), Failure> {
        let mut message = String::from(
            "SET search_path TO pg_catalog; SET jit TO off; SET plan_cache_mode TO force_generic_plan; \
             SET default_transaction_read_only TO on; SET datestyle TO 'ISO'; SET timezone TO 'UTC';",
        );
        PLAIN.iter().for_each(|setting| message += &format!("{};", setting.replacen(" LOCAL", "", 1)));
        for (n, (probe, query)) in PROBES.iter().zip(QUERIES).enumerate() {
            message += &format!("PREPARE p{n} AS {probe}; PREPARE a{n} AS {query};");
        }
        message += &format!("PREPARE shared AS {SHARED};");
        self.session.send(&message).await
    }

    async fn read_shared(&mut self) -> std::result::Result<BTreeSet<String>, Failure> {
        Ok(self.session.rows("EXECUTE shared").await?.into_iter().flatten().flatten().collect())
    }

    async fn advance(&mut self) -> std::result::Result<Change, Failure> {
        let probe: String = (0..self.queries).map(|n| format!("EXECUTE p{n};")).collect();
        let probed: Vec<Option<String>> = self.session.rows(&probe).await?.into_iter().flatten().collect();
        if probed == self.probed {
            return Ok(Change::default());
        }
        let all: String = (0..self.queries).map(|n| format!("EXECUTE a{n};")).collect();
        let seen = objects(self.session.results(&all).await?);
        self.probed = probed;
        let before = std::mem::replace(&mut self.seen, seen);
        Ok(between(&before, &self.seen))
    }

    async fn read_positions(&mut self) -> std::result::Result<Positions, Failure> {
        let names = self.session.rows(SEQUENCES).await?.into_iter().filter_map(|row| {
            let mut cells = row.into_iter().flatten();
            Some(QualifiedName::new(cells.next()?, cells.next()?))
        });
        let names: Vec<QualifiedName> = names.collect();
        let query: String = names.iter().map(|name| format!("SELECT last_value, is_called FROM {name};")).collect();
        let rows = if names.is_empty() { Vec::new() } else { self.session.rows(&query).await? };
        let position = |(name, row): (&QualifiedName, Vec<Option<String>>)| {
            let id = Arc::new(Id::named(Kind::SequencePosition, name.schema(), name.name()));
            let cells = ["is called", "last value"].into_iter().zip(row.into_iter().rev());
            let facts = cells.map(|(name, value)| Fact { name: name.into(), value: value.unwrap_or_default().into() });
            (id.clone(), Arc::new(Object { id, facts: facts.collect(), position: None }))
        };
        Ok(Positions(names.iter().zip(rows).map(position).collect()))
    }
}

impl Positions {
    /// What is different later, of sequences that are there both times and that a script gave a position.
    pub fn until(&self, later: &Self, given: &Positioned) -> Change {
        let both = |id: &Arc<Id>| self.0.contains_key(id) && later.0.contains_key(id) && given.may_mean(&id.name);
        let of = |seen: &Seen| -> Seen {
            seen.iter().filter(|(id, _)| both(id)).map(|(id, one)| (id.clone(), one.clone())).collect()
        };
        between(&of(&self.0), &of(&later.0))
    }
}

/// The objects that queries found. What is built in is only told where it is not as it always is.
fn objects(answers: Vec<Answer>) -> Seen {
    let mut objects = Objects::default();
    for answer in answers {
        answer.rows.into_iter().for_each(|row| objects.take(&answer.columns, row));
    }
    let found = objects.finish().into_iter().map(|one| one.object);
    let is_told = |object: &Object| object.id.kind != Kind::BuiltIn || !object.facts.is_empty();
    found.filter(is_told).map(|object| (object.id.clone(), Arc::new(object))).collect()
}

fn between(before: &Seen, after: &Seen) -> Change {
    let mut change = Change::default();
    for id in before.keys().chain(after.keys()) {
        change.put(id, before.get(id).cloned(), after.get(id).cloned());
    }
    change
}

fn unreadable(failure: Failure) -> Error {
    failure.explain(ErrorKind::Connection, "schema-unreadable", "read what is around the schema")
}
