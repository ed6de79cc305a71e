//! Follows a database that changes: after each step, only what the step touched is described again.
//!
//! The `xmin` of a catalog row shows which transaction wrote it. The count and the sum of a catalog's identifiers show
//! whether a row is gone. Together they give the *units* (relations, routines, types) that were touched. When an object
//! is renamed, the texts of its dependents change although none of their rows is written, so the dependents are
//! described again too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::db::{AnswerPart, Database, IDENTITY, Session, SessionFailure, StatementAnswer};
use migrate_base::error::{Error, ErrorKind, Result};

use super::catalogs::{Catalogs, NO_UNIT, Traces};
use super::change::{ObjectPair, SchemaChange};
use super::object::{Id, Object};
use super::read::{COMMENTS, CatalogRows, GLOBALS, MEMBERS, PLAIN, QUERIES, assemble, of_units, scoped, set};
use super::row::{CatalogObject, ObjectCollector, Oid};
use super::{Schema, touched};

/// The maximum number of units to ask for by a list: with a long list, it depends on luck which plan a query gets.
const MANY: usize = 200;
/// A transaction that is older than all others.
const EVER: &str = "2";

/// Follows the schema of one database on a separate connection.
pub struct Watcher {
    session: Session,
    /// The first transaction that the last look did not see.
    since: String,
    schema: Schema,
    units: HashMap<Oid, Vec<CatalogObject>>,
    catalogs: Catalogs,
    /// The last answer of the probe: another one means that objects without a unit may have changed.
    probed: Option<String>,
    /// The members of extensions: catalog and object.
    members: HashSet<(Oid, Oid)>,
    /// The same without the catalogs: traces identify units and objects by their numbers alone.
    member_numbers: HashSet<Oid>,
    /// What is left out, as if it did not exist.
    left_out: ObjectFilter,
}

/// Decides which objects are left out.
type ObjectFilter = Box<dyn Fn(&Object) -> bool + Send + Sync>;

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("session", &self.session).field("since", &self.since).finish_non_exhaustive()
    }
}

impl Watcher {
    /// Connects and reads the whole schema once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if the server cannot be reached or rejects a query.
    pub async fn open(database: &Database) -> Result<Self> {
        Self::open_without(database, |_| false).await
    }

    /// The same, as if these objects did not exist.
    ///
    /// # Errors
    ///
    /// Those of [`Watcher::open`].
    pub async fn open_without(
        database: &Database,
        left_out: impl Fn(&Object) -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        let session = Session::connect(database, "roundtrip schema").await?;
        let schema = Schema { version: session.major_version(), ..Schema::default() };
        let mut watcher = Self {
            session,
            since: EVER.to_owned(),
            schema,
            units: HashMap::new(),
            catalogs: Catalogs::default(),
            probed: None,
            members: HashSet::new(),
            member_numbers: HashSet::new(),
            left_out: Box::new(left_out),
        };
        watcher.prepare().await.map_err(unreadable)?;
        watcher.look().await?;
        Ok(watcher)
    }

    /// The schema as it was at the last look.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Looks at what was committed since the last look, and returns what changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if the connection is lost or the server rejects a query.
    pub async fn look(&mut self) -> Result<SchemaChange> {
        self.advance().await.map_err(unreadable)
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.session.close().await;
    }

    async fn prepare(&mut self) -> std::result::Result<(), SessionFailure> {
        let mut message = String::from(
            "SET search_path TO pg_catalog; SET jit TO off; SET plan_cache_mode TO force_generic_plan; \
             SET default_transaction_read_only TO on;",
        );
        message += &format!("PREPARE touched (xid) AS {};", touched::query("$1"));
        message += &format!("PREPARE probe AS {};", touched::probe());
        PLAIN.iter().for_each(|setting| message += &format!("{};", setting.replacen(" LOCAL", "", 1)));
        for query in &QUERIES {
            let parameter = match query.rows {
                CatalogRows::OfUnits | CatalogRows::Comments => "(oid[])",
                CatalogRows::Globals | CatalogRows::Members => "",
            };
            message += &format!("PREPARE {} {parameter} AS {};", query.name, scoped(query.sql, Some("$1")));
        }
        // Prepared statements belong to one server process, so no pooler may switch the session to another process.
        message += &format!("SELECT {IDENTITY}");
        let rows = self.session.rows(&message).await?;
        if let Some(process) = rows.last().and_then(|identity| self.session.recognise(identity)) {
            self.session.keeps(&process);
        }
        Ok(())
    }

    async fn advance(&mut self) -> std::result::Result<SchemaChange, SessionFailure> {
        let message = format!(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint % 4294967296; EXECUTE touched('{}'); \
             EXECUTE probe;",
            self.since
        );
        let mut answers = self.session.results(&message).await?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let (since, touched, probed) = (cell(next()), next(), cell(next()));
        self.since = since.unwrap_or_else(|| EVER.to_owned());
        let mut traces = self.catalogs.take(touched.rows);
        self.find_gone(&mut traces).await?;
        let (mut gone, mut found) = (Vec::new(), Vec::new());
        let mut renamed = Vec::new();
        if probed.is_none() || self.probed != probed || self.is_of_none(&traces) {
            renamed = self.globals(&mut traces, &mut gone, &mut found).await?;
            self.probed = probed;
        }
        let mut units = self.units_of(traces);
        units.extend(self.dependents(&renamed).await?);
        let (mut seen, mut is_renamed) = (BTreeSet::new(), false);
        while !units.is_empty() {
            let described = self.describe(&units).await?;
            seen.extend(units.iter().copied());
            let known = self.forget(&units);
            renamed = self::renamed(&known, &described);
            is_renamed |= !renamed.is_empty();
            gone.extend(known);
            found.extend(described);
            units = self.dependents(&renamed).await?.difference(&seen).copied().collect();
        }
        // Descriptions of objects without a unit contain names as well.
        if is_renamed {
            found.retain(|one| one.unit != NO_UNIT);
            self.globals(&mut Traces::default(), &mut gone, &mut found).await?;
        }
        Ok(self.replace(gone, found))
    }

    /// Finds the rows that are gone from the catalogs whose rows no longer match the known ones.
    async fn find_gone(&mut self, traces: &mut Traces) -> std::result::Result<(), SessionFailure> {
        let losers = std::mem::take(&mut traces.losers);
        let lists: String = losers.iter().filter_map(|catalog| touched::keys(catalog)).collect();
        let lists = if lists.is_empty() { Vec::new() } else { self.session.results(&lists).await? };
        for (name, list) in losers.iter().zip(lists) {
            let keys = cell(list).unwrap_or_default();
            let keys = keys.split(',').filter_map(|key| key.parse().ok()).collect();
            self.catalogs.keep(name, &keys, traces);
        }
        Ok(())
    }

    /// Whether a member of an extension was touched, because its privileges are described, or a comment on an object
    /// without a unit.
    fn is_of_none(&self, traces: &Traces) -> bool {
        let own: HashSet<Oid> = self.units.get(&NO_UNIT).into_iter().flatten().map(|one| one.address.1).collect();
        traces.units.iter().any(|unit| self.member_numbers.contains(unit))
            || traces.commented.iter().any(|object| own.contains(object))
    }

    /// Reads the objects without a unit and the members of extensions again. An object that joined or left an extension
    /// leaves a trace. Returns the objects whose names changed.
    async fn globals(
        &mut self,
        traces: &mut Traces,
        gone: &mut Vec<CatalogObject>,
        found: &mut Vec<CatalogObject>,
    ) -> std::result::Result<Vec<(Oid, Oid)>, SessionFailure> {
        let message = format!("EXECUTE {}; EXECUTE {};", GLOBALS.name, MEMBERS.name);
        let mut answers = self.session.results(&message).await?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let (globals, members) = (next(), set(&next().rows));
        traces.commented.extend(self.members.symmetric_difference(&members).map(|(_, object)| *object));
        self.member_numbers = members.iter().map(|(_, object)| *object).collect();
        self.members = members;
        let mut objects = ObjectCollector::default();
        objects.take_all(&globals);
        let described = self.complete(objects.finish(), true).await?;
        let known = self.forget(&BTreeSet::from([NO_UNIT]));
        let renamed = renamed(&known, &described);
        gone.extend(known);
        found.extend(described);
        Ok(renamed)
    }

    /// The units that left traces. A comment names the object that it is on, which can be a part of a unit.
    fn units_of(&self, traces: Traces) -> BTreeSet<Oid> {
        let mut units = traces.units;
        for object in traces.commented {
            units.extend(self.catalogs.units_of(object).chain([object]));
        }
        units.remove(&NO_UNIT);
        units
    }

    /// Describes units, except those of extensions.
    async fn describe(&mut self, units: &BTreeSet<Oid>) -> std::result::Result<Vec<CatalogObject>, SessionFailure> {
        let is_own = |unit: &Oid| !self.member_numbers.contains(unit);
        let units: BTreeSet<Oid> = units.iter().copied().filter(is_own).collect();
        let queries: String = match units.len() {
            0 => return Ok(Vec::new()),
            1..=MANY => of_units().map(|query| format!("EXECUTE {} ('{}');", query.name, array(&units))).collect(),
            _ => format!("BEGIN; SET LOCAL enable_nestloop TO off; {} COMMIT;", everything()),
        };
        let mut objects = ObjectCollector::default();
        let take = |part: AnswerPart<'_>| match part {
            AnswerPart::Row(columns, row) => objects.take(columns, row),
            AnswerPart::End(_) => {}
        };
        self.session.each(&queries, take).await?;
        let mut found = objects.finish();
        found.retain(|one| units.contains(&one.unit));
        let commented = self.catalogs.have_comments();
        self.complete(found, commented).await
    }

    /// Adds the comments, if there can be any, and leaves out the members of extensions.
    async fn complete(
        &mut self,
        found: Vec<CatalogObject>,
        commented: bool,
    ) -> std::result::Result<Vec<CatalogObject>, SessionFailure> {
        let comments = match commented && !found.is_empty() {
            true => {
                let objects: BTreeSet<Oid> = found.iter().map(|one| one.address.1).collect();
                let message = format!("EXECUTE {} ('{}')", COMMENTS.name, array(&objects));
                self.session.results(&message).await?.pop().unwrap_or_default().rows
            }
            false => Vec::new(),
        };
        let mut found = assemble(found, &self.members, comments);
        found.retain(|one| !(self.left_out)(&one.object));
        Ok(found)
    }

    /// Removes and returns what is known about these units.
    fn forget(&mut self, units: &BTreeSet<Oid>) -> Vec<CatalogObject> {
        units.iter().flat_map(|unit| self.units.remove(unit).unwrap_or_default()).collect()
    }

    /// Replaces what is gone with what was found, in one step: a new object can have the name of an old one.
    fn replace(&mut self, gone: Vec<CatalogObject>, found: Vec<CatalogObject>) -> SchemaChange {
        let mut sides: BTreeMap<Arc<Id>, ObjectPair> = BTreeMap::new();
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
        let mut change = SchemaChange::default();
        for (id, (before, after)) in sides {
            change.put(&id, before, after);
        }
        change
    }

    /// The units of the objects that depend on these objects.
    async fn dependents(&mut self, renamed: &[(Oid, Oid)]) -> std::result::Result<BTreeSet<Oid>, SessionFailure> {
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
            units.extend(self.catalogs.units_of(object));
        }
        units.remove(&NO_UNIT);
        Ok(units)
    }
}

/// The objects whose names changed.
fn renamed(known: &[CatalogObject], found: &[CatalogObject]) -> Vec<(Oid, Oid)> {
    let known: HashMap<_, &Arc<Id>> = known.iter().map(|one| (one.address, &one.object.id)).collect();
    let renamed = found.iter().filter(|one| known.get(&one.address).is_some_and(|id| **id != one.object.id));
    renamed.map(|one| (one.address.0, one.address.1)).collect()
}

/// The single cell of an answer.
fn cell(answer: StatementAnswer) -> Option<String> {
    answer.rows.into_iter().flatten().next().flatten()
}

/// The queries for all units.
fn everything() -> String {
    of_units().map(|query| format!("{};", scoped(query.sql, None))).collect()
}

fn array(oids: &BTreeSet<Oid>) -> String {
    format!("{{{}}}", oids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn unreadable(failure: SessionFailure) -> Error {
    failure.explain(ErrorKind::Connection, codes::SCHEMA_UNREADABLE, "read the schema")
}
