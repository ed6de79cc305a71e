//! The surroundings of the schema of a database, which migrations can also change: the database itself, built-in
//! objects, large objects, and the objects that exist once per server.
//!
//! The surroundings are not part of a [`Schema`](super::Schema): the names of databases differ between environments,
//! and roles belong to whoever runs the server. Only the proof compares them, before and after. A probe tells whether
//! anything can have changed, and if so, everything is read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::db::{Answer, Database, Failure, Row, Session};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::ident::QualifiedName;

use super::change::Change;
use super::object::{Fact, Id, Kind, Object};
use super::read::PLAIN;
use super::row::Objects;

const PROBES: [&str; 2] = [
    concat!(include_str!("catalog/around/probe.sql"), include_str!("catalog/around/given_away.sql"), "))"),
    include_str!("catalog/around/probe_server.sql"),
];
pub(super) const QUERIES: [&str; 2] = [
    concat!(include_str!("catalog/around/database.sql"), include_str!("catalog/around/given_away.sql")),
    include_str!("catalog/around/server.sql"),
];
/// Every sequence that is not part of PostgreSQL, with the column that owns it.
const SEQUENCES: &str = "SELECT n.nspname, c.relname, t.relname, a.attname \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 \
         AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') \
     LEFT JOIN pg_class t ON t.oid = d.refobjid \
     LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
     WHERE c.relkind = 'S' AND c.oid >= 16384 AND c.relpersistence <> 't' ORDER BY 1, 2;";

type Seen = BTreeMap<Arc<Id>, Arc<Object>>;

/// Follows the surroundings of the schema of one database, on its own connection.
#[derive(Debug)]
pub struct Surroundings {
    session: Session,
    /// How many of the queries are sent: a server that others use too is not read.
    queries: usize,
    probed: Vec<Option<String>>,
    seen: Seen,
}

/// The positions of the sequences of a database.
#[derive(Debug, Default)]
pub struct Positions(BTreeMap<Arc<Id>, Position>);

#[derive(Debug)]
struct Position {
    object: Arc<Object>,
    /// The table and the column that own the sequence.
    of: Option<(String, String)>,
}

impl Surroundings {
    /// Connects, and reads once. `of_server` tells whether the server has no other user, so that everything that exists
    /// once per server belongs to this database.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if the server cannot be reached, or refuses a query.
    pub async fn open(database: &Database, of_server: bool) -> Result<Self> {
        let session = Session::connect(database, "roundtrip schema").await?;
        let queries = if of_server { 2 } else { 1 };
        let mut around = Self { session, queries, probed: Vec::new(), seen: Seen::new() };
        around.prepare().await.map_err(unreadable)?;
        around.look().await?;
        Ok(around)
    }

    /// Reads what has been committed since the last call, and returns what has changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if the server is gone, or refuses a query.
    pub async fn look(&mut self) -> Result<Change> {
        self.advance().await.map_err(unreadable)
    }

    /// The current positions of the wanted sequences, which are selected by their names and by the tables and columns
    /// that own them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if the server is gone, or refuses a query.
    pub async fn positions(&mut self, wanted: impl Fn(&Wanted<'_>) -> bool) -> Result<Positions> {
        self.read_positions(&wanted).await.map_err(unreadable)
    }

    /// Ends the connection to the server.
    pub async fn close(self) {
        self.session.close().await;
    }

    async fn prepare(&mut self) -> std::result::Result<(), Failure> {
        let mut message = String::from(
            "SET search_path TO pg_catalog; SET jit TO off; SET plan_cache_mode TO force_generic_plan; \
             SET default_transaction_read_only TO on; SET datestyle TO 'ISO'; SET timezone TO 'UTC';",
        );
        PLAIN.iter().for_each(|setting| message += &format!("{};", setting.replacen(" LOCAL", "", 1)));
        for (n, (probe, query)) in PROBES.iter().zip(QUERIES).enumerate().take(self.queries) {
            message += &format!("PREPARE p{n} AS {probe}; PREPARE a{n} AS {query};");
        }
        self.session.send(&message).await
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

    async fn read_positions(
        &mut self,
        wanted: &dyn Fn(&Wanted<'_>) -> bool,
    ) -> std::result::Result<Positions, Failure> {
        let all = self.session.rows(SEQUENCES).await?.into_iter().filter_map(|row| {
            let mut cells = row.into_iter();
            let name = QualifiedName::new(cells.next()??, cells.next()??);
            let of = cells.next().flatten().zip(cells.next().flatten());
            let is_wanted = wanted(&Wanted { schema: name.schema(), name: name.name(), of: pair(of.as_ref()) });
            is_wanted.then_some((name, of))
        });
        let all: Vec<Named> = all.collect();
        let query: String = all.iter().map(|(name, _)| format!("SELECT last_value, is_called FROM {name};")).collect();
        let rows = if all.is_empty() { Vec::new() } else { self.session.rows(&query).await? };
        let position = |((name, of), row): (Named, Row)| {
            let id = Arc::new(Id::named(Kind::SequencePosition, name.schema(), name.name()));
            let cells = ["is called", "last value"].into_iter().zip(row.into_iter().rev());
            let facts = cells.map(|(name, value)| Fact { name: name.into(), value: value.unwrap_or_default().into() });
            let object = Arc::new(Object { id: id.clone(), facts: facts.collect(), position: None });
            (id, Position { object, of })
        };
        Ok(Positions(all.into_iter().zip(rows).map(position).collect()))
    }
}

/// A sequence, and the table and the column that own it.
type Named = (QualifiedName, Option<(String, String)>);

/// A sequence whose position may be wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its schema.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The table and the column that own it.
    pub of: Option<(&'a str, &'a str)>,
}

fn pair(of: Option<&(String, String)>) -> Option<(&str, &str)> {
    of.map(|(table, column)| (&**table, &**column))
}

impl Positions {
    /// What has changed later, in the sequences that exist both times.
    pub fn until(&self, later: &Self) -> Change {
        let mut change = Change::default();
        for (id, before) in &self.0 {
            if let Some(after) = later.0.get(id) {
                change.put(id, Some(before.object.clone()), Some(after.object.clone()));
            }
        }
        change
    }

    /// The sequences.
    pub fn sequences(&self) -> impl Iterator<Item = Wanted<'_>> {
        self.0.iter().map(|(id, one)| Wanted { schema: &id.schema, name: &id.name, of: pair(one.of.as_ref()) })
    }
}

/// The objects that queries found. Built-in objects are included only if they are not as usual.
fn objects(answers: Vec<Answer>) -> Seen {
    let mut objects = Objects::default();
    answers.iter().for_each(|answer| objects.take_all(answer));
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
    failure.explain(ErrorKind::Connection, codes::SCHEMA_UNREADABLE, "read the surroundings of the schema")
}
