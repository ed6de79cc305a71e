//! Following a database that changes: after each step only what the step touched is described again.
//!
//! A row of a catalog tells by its `xmin` which transaction wrote it, and the count and sum of
//! a catalog's identifiers tell whether a row is gone. From both follow the *units* (relations,
//! routines, types) that were touched. When something got another name, the texts of what
//! depends on it change without a row of theirs being written, so they are described again too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::change::{Change, Sided};
use super::object::Id;
use super::read::{COMMENTS, MEMBERS, PLAIN, QUERIES, assemble, scoped};
use super::row::{Found, Objects, Oid};
use super::{Schema, touched};
use crate::db::{Answer, Database, Failure, IDENTITY, Part, Row, Session};
use crate::error::{Error, ErrorKind, Result};

/// How many of [`QUERIES`] are described by unit; after them come globals, members and comments.
const BY_UNIT: usize = 7;
const GLOBALS: usize = 7;
/// The unit of what belongs to no relation, routine or type.
const NO_UNIT: Oid = 0;
/// The catalogs whose rows say something of an object that they name, and are read as its comments are.
const COMMENTED: [&str; 3] = ["pg_description", "pg_seclabel", "pg_depend"];
/// A transaction that is older than every other one.
const EVER: &str = "2";

/// Follows the schema of one database, on a connection of its own.
#[derive(Debug)]
pub struct Watcher {
    session: Session,
    /// The first transaction that the last look did not see.
    since: String,
    schema: Schema,
    units: HashMap<Oid, Vec<Found>>,
    catalogs: BTreeMap<String, Catalog>,
    /// What belongs to extensions.
    members: HashSet<Oid>,
}

/// The rows of one catalog: their identifiers and the units they are a part of.
#[derive(Debug, Default)]
struct Catalog {
    rows: HashMap<i64, Oid>,
    sum: i128,
}

/// What the server told about one catalog.
struct Touched {
    catalog: String,
    count: usize,
    sum: i128,
    rows: Vec<(i64, Oid)>,
}

impl Watcher {
    /// Connects and reads the whole schema once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached, or refuses a query.
    pub async fn open(database: &Database) -> Result<Self> {
        let session = Session::connect(database, "roundtrip schema").await?;
        let schema = Schema { version: session.major_version(), ..Schema::default() };
        let (units, catalogs) = (HashMap::new(), BTreeMap::new());
        let mut watcher = Self { session, since: EVER.to_owned(), schema, units, catalogs, members: HashSet::new() };
        watcher.prepare().await.map_err(unreadable)?;
        watcher.look().await?;
        Ok(watcher)
    }

    /// The schema as it was at the last look.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Looks at what was committed since the last look, and tells what is different now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server is gone, or refuses a query.
    pub async fn look(&mut self) -> Result<Change> {
        self.advance().await.map_err(unreadable)
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        self.session.close().await;
    }

    async fn prepare(&mut self) -> std::result::Result<(), Failure> {
        let mut message = String::from(
            "SET search_path TO pg_catalog; SET jit TO off; SET plan_cache_mode TO force_generic_plan; \
             SET default_transaction_read_only TO on;",
        );
        message += &format!("PREPARE touched (xid) AS {};", touched::query("$1"));
        PLAIN.iter().for_each(|setting| message += &format!("{};", setting.replacen(" LOCAL", "", 1)));
        for (n, query) in QUERIES.iter().enumerate() {
            let parameter = if n == GLOBALS || n == MEMBERS { "" } else { "(oid[])" };
            message += &format!("PREPARE q{n} {parameter} AS {};", scoped(query, Some("$1")));
        }
        // What is prepared here belongs to one server process, so that nobody stands between who lends another one.
        message += &format!("SELECT {IDENTITY}");
        let rows = self.session.rows(&message).await?;
        if let Some(process) = rows.last().and_then(|identity| self.session.recognise(identity)) {
            self.session.keeps(&process);
        }
        Ok(())
    }

    async fn advance(&mut self) -> std::result::Result<Change, Failure> {
        let message = format!(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint % 4294967296; EXECUTE touched('{}'); \
             EXECUTE q{GLOBALS}; EXECUTE q{MEMBERS};",
            self.since
        );
        let mut answers = self.session.results(&message).await?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let (since, touched, globals, members) = (next(), next(), next(), next());
        self.since = since.rows.into_iter().flatten().next().flatten().unwrap_or_else(|| EVER.to_owned());
        let mut units = self.touched(touched, &members.rows).await?;
        let mut objects = Objects::default();
        globals.rows.into_iter().for_each(|row| objects.take(&globals.columns, row));
        let globals = objects.finish();
        let (mut gone, mut found) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        let mut first = true;
        while first || !units.is_empty() {
            let described = self.describe(&units, first.then_some(&globals), &members.rows).await?;
            seen.extend(units.iter().copied());
            let known = self.forget(&units, first);
            let renamed = renamed(&known, &described);
            gone.extend(known);
            found.extend(described);
            units = self.dependents(&renamed).await?.difference(&seen).copied().collect();
            first = false;
        }
        Ok(self.replace(gone, found))
    }

    /// The units of all rows that came, changed or went since the last look, or that an extension took or gave back.
    async fn touched(&mut self, answer: Answer, members: &[Row]) -> std::result::Result<BTreeSet<Oid>, Failure> {
        let mut units = BTreeSet::new();
        let now: HashSet<Oid> = members.iter().filter_map(|row| row.last()?.as_deref()?.parse().ok()).collect();
        let mut comments: BTreeSet<Oid> = self.members.symmetric_difference(&now).copied().collect();
        self.members = now;
        let mut losers = Vec::new();
        for touched in answer.rows.into_iter().filter_map(parse) {
            let catalog = self.catalogs.entry(touched.catalog.clone()).or_default();
            let into = if is_comment(&touched.catalog) { &mut comments } else { &mut units };
            into.extend(touched.rows.iter().map(|(_, unit)| *unit));
            catalog.add(touched.rows);
            if catalog.differs(touched.count, touched.sum) {
                losers.push(touched.catalog);
            }
        }
        let lists: String = losers.iter().filter_map(|catalog| touched::keys(catalog)).collect();
        let lists = if lists.is_empty() { Vec::new() } else { self.session.results(&lists).await? };
        for (name, list) in losers.iter().zip(lists) {
            let keys = list.rows.into_iter().flatten().next().flatten().unwrap_or_default();
            let keys = keys.split(',').filter_map(|key| key.parse().ok()).collect();
            let gone = self.catalogs.entry(name.clone()).or_default().keep(&keys);
            if is_comment(name) { comments.extend(gone) } else { units.extend(gone) }
        }
        // A comment names the object that it is on, which may be a part of a unit.
        for object in comments {
            let parts = self.catalogs.values().filter_map(|catalog| catalog.rows.get(&i64::from(object)));
            units.extend(parts.copied().chain([object]));
        }
        units.remove(&NO_UNIT);
        Ok(units)
    }

    /// Describes units, and with them what has no unit.
    async fn describe(
        &mut self,
        units: &BTreeSet<Oid>,
        globals: Option<&Vec<Found>>,
        members: &[Row],
    ) -> std::result::Result<Vec<Found>, Failure> {
        let mut found: Vec<Found> = globals.cloned().unwrap_or_default();
        if !units.is_empty() {
            let list = array(units);
            let queries: String = (0..BY_UNIT).map(|n| format!("EXECUTE q{n} ('{list}');")).collect();
            let mut objects = Objects::default();
            let take = |part: Part<'_>| match part {
                Part::Row(columns, row) => objects.take(columns, row),
                Part::End(_) => {}
            };
            self.session.each(&queries, take).await?;
            found.extend(objects.finish());
        }
        let commented =
            COMMENTED.iter().any(|name| self.catalogs.get(*name).is_some_and(|catalog| !catalog.rows.is_empty()))
                || globals.is_some();
        let comments = match commented {
            true => {
                let objects: BTreeSet<Oid> = found.iter().map(|one| one.address.1).collect();
                let message = format!("EXECUTE q{COMMENTS} ('{}')", array(&objects));
                self.session.results(&message).await?.pop().unwrap_or_default().rows
            }
            false => Vec::new(),
        };
        Ok(assemble(found, members, comments))
    }

    /// Takes out what is known of these units.
    fn forget(&mut self, units: &BTreeSet<Oid>, globals: bool) -> Vec<Found> {
        let units = units.iter().copied().chain(globals.then_some(NO_UNIT));
        units.flat_map(|unit| self.units.remove(&unit).unwrap_or_default()).collect()
    }

    /// Replaces what is gone by what was found, all at once: the name of one may now be that of another.
    fn replace(&mut self, gone: Vec<Found>, found: Vec<Found>) -> Change {
        let mut sides: BTreeMap<Arc<Id>, Sided> = BTreeMap::new();
        for one in gone {
            let old = self.schema.objects.remove(&one.object.id);
            sides.entry(one.object.id).or_default().0 = old;
        }
        for one in found {
            let object = Arc::new(one.object.clone());
            self.schema.objects.insert(one.object.id.clone(), object.clone());
            sides.entry(one.object.id.clone()).or_default().1 = Some(object);
            self.units.entry(one.unit).or_default().push(one);
        }
        let mut change = Change::default();
        for (id, (before, after)) in sides {
            change.put(&id, before, after);
        }
        change
    }

    /// The units of what depends on these objects.
    async fn dependents(&mut self, renamed: &[(Oid, Oid)]) -> std::result::Result<BTreeSet<Oid>, Failure> {
        if renamed.is_empty() {
            return Ok(BTreeSet::new());
        }
        let pairs: Vec<String> = renamed.iter().map(|(class, object)| format!("({class}, {object})")).collect();
        let query = format!(
            "SELECT DISTINCT d.objid FROM pg_depend d WHERE (d.refclassid, d.refobjid) IN ({}) AND d.objid >= 16384",
            pairs.join(", ")
        );
        let rows = self.session.rows(&query).await?;
        let mut units = BTreeSet::new();
        for object in rows.into_iter().flatten().flatten().filter_map(|text| text.parse::<Oid>().ok()) {
            let parts = self.catalogs.values().filter_map(|catalog| catalog.rows.get(&i64::from(object)));
            units.extend(parts.copied());
        }
        units.remove(&NO_UNIT);
        Ok(units)
    }
}

impl Catalog {
    /// Adds rows; those that are known only may have changed.
    fn add(&mut self, rows: Vec<(i64, Oid)>) {
        for (id, unit) in rows.into_iter().filter(|(id, _)| *id != 0) {
            if self.rows.insert(id, unit).is_none() {
                self.sum += i128::from(id);
            }
        }
    }

    fn differs(&self, count: usize, sum: i128) -> bool {
        self.rows.len() != count || self.sum != sum
    }

    /// Keeps only these rows; returns the units of those that are gone.
    fn keep(&mut self, keys: &HashSet<i64>) -> Vec<Oid> {
        let gone: Vec<i64> = self.rows.keys().copied().filter(|key| !keys.contains(key)).collect();
        self.sum -= gone.iter().map(|key| i128::from(*key)).sum::<i128>();
        gone.iter().filter_map(|key| self.rows.remove(key)).collect()
    }
}

/// The objects that have another name than before.
fn renamed(known: &[Found], found: &[Found]) -> Vec<(Oid, Oid)> {
    let known: HashMap<_, &Arc<Id>> = known.iter().map(|one| (one.address, &one.object.id)).collect();
    let renamed = found.iter().filter(|one| known.get(&one.address).is_some_and(|id| **id != one.object.id));
    renamed.map(|one| (one.address.0, one.address.1)).collect()
}

fn is_comment(catalog: &str) -> bool {
    COMMENTED.contains(&catalog)
}

fn parse(row: Vec<Option<String>>) -> Option<Touched> {
    let mut cells = row.into_iter();
    let catalog = cells.next()??;
    let count = cells.next()??.parse().ok()?;
    let sum = cells.next()?.and_then(|sum| sum.parse().ok()).unwrap_or(0);
    let rows = cells.next()?.unwrap_or_default();
    let row = |text: &str| {
        let (id, unit) = text.split_once(':')?;
        Some((id.parse().ok()?, unit.parse().ok()?))
    };
    Some(Touched { catalog, count, sum, rows: rows.split(',').filter_map(row).collect() })
}

fn array(oids: &BTreeSet<Oid>) -> String {
    format!("{{{}}}", oids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn unreadable(failure: Failure) -> Error {
    failure.explain(ErrorKind::Connection, "schema-unreadable", "read the schema")
}
