//! Reads a whole schema with one message.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use migrate_base::codes;
use migrate_base::db::{Cell, Database, Failure, Part, Reader, Row, Session, kept};
use migrate_base::error::{ErrorKind, Result};

use super::Schema;
use super::depend::{self, Dependencies};
use super::object::{Fact, Id, Kind};
use super::row::{Address, Found, Objects, Oid};

/// A query that reads the catalogs.
#[derive(Debug, Clone, Copy)]
pub(super) struct CatalogQuery {
    /// The name of its prepared statement.
    pub(super) name: &'static str,
    /// Its text, to be passed to [`scoped`].
    pub(super) sql: &'static str,
    /// What its rows contain.
    pub(super) rows: CatalogRows,
}

/// What the rows of a [`CatalogQuery`] contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CatalogRows {
    /// Objects of units: relations, routines, types.
    OfUnits,
    /// Objects that belong to no unit.
    Globals,
    /// Which objects belong to extensions.
    Members,
    /// Comments on the objects of all earlier queries.
    Comments,
}

/// Reads the text of a query from the file with its name.
macro_rules! catalog_query {
    ($name:literal, $rows:ident) => {
        CatalogQuery { name: $name, sql: include_str!(concat!("catalog/", $name, ".sql")), rows: CatalogRows::$rows }
    };
}

pub(super) const GLOBALS: CatalogQuery = catalog_query!("globals", Globals);
pub(super) const MEMBERS: CatalogQuery = catalog_query!("members", Members);
pub(super) const COMMENTS: CatalogQuery = catalog_query!("comments", Comments);

/// The queries, in the order in which they are sent.
pub(super) const QUERIES: [CatalogQuery; 10] = [
    catalog_query!("relations", OfUnits),
    catalog_query!("columns", OfUnits),
    catalog_query!("constraints", OfUnits),
    catalog_query!("indexes", OfUnits),
    catalog_query!("attached", OfUnits),
    catalog_query!("routines", OfUnits),
    catalog_query!("types", OfUnits),
    GLOBALS,
    MEMBERS,
    COMMENTS,
];

/// The queries about units.
pub(super) fn of_units() -> impl Iterator<Item = &'static CatalogQuery> {
    QUERIES.iter().filter(|query| query.rows == CatalogRows::OfUnits)
}

/// The role that reads the schema.
const ROLE: &str = "SELECT current_user";

/// A transaction in which names are qualified and JIT compilation is off. Catalogs that were never analysed are joined
/// by hashing, because the planner takes them for nearly empty. A view can only be described while its tables are not
/// locked; the lock timeout limits the wait for that.
const BEGIN: [&str; 9] = [
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL search_path TO pg_catalog",
    "SET LOCAL jit TO off",
    "SET LOCAL enable_nestloop TO off",
    "SET LOCAL lock_timeout TO '10s'",
    PLAIN[0],
    PLAIN[1],
    PLAIN[2],
    PLAIN[3],
];

/// The default values of the settings that affect how a text is written: a database or a role can have other values.
pub(super) const PLAIN: [&str; 4] = [
    "SET LOCAL quote_all_identifiers TO off",
    "SET LOCAL intervalstyle TO postgres",
    "SET LOCAL bytea_output TO hex",
    "SET LOCAL extra_float_digits TO 1",
];

/// Reads the schema of a database on a separate connection. Writes nothing.
///
/// # Errors
///
/// [`ErrorKind::Connection`] if the server cannot be reached or rejects a query.
pub async fn read(database: &Database) -> Result<Schema> {
    let mut reader = Reader::open(database).await?;
    let schema = read_with(&mut reader).await;
    reader.close().await;
    schema
}

/// The same as [`read`], on an existing connection.
///
/// # Errors
///
/// Those of [`read`].
pub async fn read_with(reader: &mut Reader) -> Result<Schema> {
    let schema = read_on(&mut reader.session).await;
    schema.map_err(|failure| failure.explain(ErrorKind::Connection, codes::SCHEMA_UNREADABLE, "read the schema"))
}

/// A schema and the dependencies between its objects.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// The objects.
    pub schema: Schema,
    /// What each object depends on.
    pub dependencies: Dependencies,
    /// The address of each object in the catalogs. A name can change, an address cannot.
    addresses: HashMap<Address, Arc<Id>>,
    /// The addresses by name, computed on first use.
    places: OnceLock<HashMap<Arc<Id>, Address>>,
    /// The role that owns what migrations create, as far as can be determined.
    maker: String,
}

impl Described {
    /// The objects that have another name in a later state of the same database: the old and the new name.
    pub fn renamed(&self, later: &Self) -> Vec<(Arc<Id>, Arc<Id>)> {
        let pairs = self.addresses.iter().filter_map(|(address, id)| Some((id, later.addresses.get(address)?)));
        let mut renamed: Vec<_> = pairs
            .filter(|(old, new)| old != new && old.kind == new.kind)
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect();
        renamed.sort();
        renamed
    }

    /// The objects that depend on an object, as far as the server knows.
    pub fn users<'a>(&'a self, id: &'a Id) -> impl Iterator<Item = &'a Arc<Id>> {
        self.dependencies.users(id)
    }

    /// The name of an object in a later state of the same database.
    pub fn later<'a>(&self, later: &'a Self, id: &Id) -> Option<&'a Arc<Id>> {
        let places = || self.addresses.iter().map(|(address, id)| (id.clone(), *address)).collect();
        later.addresses.get(self.places.get_or_init(places).get(id)?)
    }

    /// Whether this role is not the one that owns what migrations create.
    pub(super) fn is_of_another(&self, owner: &str) -> bool {
        !self.maker.is_empty() && owner != self.maker
    }

    /// The roles that own objects, except the one that owns what migrations create.
    pub fn owners(&self) -> BTreeSet<String> {
        let all = self.schema.objects().filter_map(|object| object.fact("owner"));
        all.filter(|owner| self.is_of_another(owner) && !owner.starts_with("pg_")).map(str::to_owned).collect()
    }

    /// Replaces the schema with another one, whose objects are in this one or in one of the `others`.
    pub fn with_schema(mut self, schema: Schema, others: &[&Self]) -> Self {
        others.iter().for_each(|other| self.dependencies.take_in(&other.dependencies));
        self.schema = schema;
        self
    }

    /// Leaves out one fact of an object, or the whole object if it consists of nothing else.
    pub fn leave_out_part(&mut self, id: &Id, part: &str) {
        if matches!(id.kind, Kind::DefaultPrivileges | Kind::Privileges) {
            self.leave_out(id);
        } else if let Some(object) = self.schema.objects.get_mut(id) {
            Arc::make_mut(object).facts.retain(|fact| &*fact.name != part);
        }
    }

    /// Leaves out the privileges that servers of this major version do not have.
    pub fn fit_privileges(&mut self, version: u32) {
        self.schema = super::ddl::known_privileges(&self.schema, version);
    }

    /// What these objects depend on.
    pub fn grounds(&self, of: &BTreeSet<Arc<Id>>) -> BTreeSet<Arc<Id>> {
        let pairs = self.dependencies.pairs().filter(|(user, _)| of.contains(&user.id));
        pairs.map(|(_, on)| on.id.clone()).collect()
    }

    /// Leaves out an object and everything that depends on it; returns what was left out. If a column of a table has to
    /// go, the whole table is left out.
    pub fn leave_out(&mut self, id: &Id) -> Vec<Arc<Id>> {
        let mut gone: Vec<Arc<Id>> = Vec::new();
        let mut queue: Vec<Arc<Id>> = self.schema.get(id).map(|object| object.id.clone()).into_iter().collect();
        while let Some(id) = queue.pop() {
            if self.schema.objects.remove(&id).is_none() {
                continue;
            }
            queue.extend(self.dependencies.users(&id).cloned());
            if id.kind == Kind::Column {
                queue.extend(self.dependencies.holder(&id).cloned());
            }
            gone.push(id);
        }
        gone.sort();
        gone
    }
}

/// Reads the schema of a database and the dependencies between its objects, on a separate connection.
///
/// # Errors
///
/// Those of [`read`].
pub async fn describe(database: &Database) -> Result<Described> {
    let mut reader = Reader::open(database).await?;
    let described = describe_with(&mut reader).await;
    reader.close().await;
    described
}

/// The same as [`describe`], on an existing connection.
///
/// # Errors
///
/// Those of [`read`].
pub async fn describe_with(reader: &mut Reader) -> Result<Described> {
    let Reader { session, planned } = reader;
    let (mut rows, mut role) = (depend::Rows::default(), String::new());
    let take = |query: usize, row: &[Cell<'_>]| match query {
        0 => rows.take(row),
        _ => role = row.first().copied().flatten().unwrap_or_default().to_owned(),
    };
    let found = fetch(session, &[depend::QUERY, ROLE], take, planned.as_mut()).await;
    let (mut found, version) =
        found.map_err(|failure| failure.explain(ErrorKind::Connection, codes::SCHEMA_UNREADABLE, "read the schema"))?;
    found.sort_by(|one, other| one.object.id.cmp(&other.object.id));
    let dependencies = Dependencies::new(&found, &rows);
    drop(rows);
    let maker = maker(&found, role);
    let addresses = found.iter().map(|one| (one.address, one.object.id.clone())).collect();
    Ok(Described { schema: schema(found, version), dependencies, addresses, places: OnceLock::new(), maker })
}

/// The role that migrations run as: the current role or, if that owns nothing, the role that owns the most objects.
fn maker(found: &[Found], role: String) -> String {
    let mut owned: BTreeMap<&str, usize> = BTreeMap::new();
    let owners = found.iter().filter_map(|one| one.object.fact("owner"));
    owners.filter(|owner| !owner.starts_with("pg_")).for_each(|owner| *owned.entry(owner).or_default() += 1);
    match owned.iter().max_by_key(|(_, count)| **count) {
        Some((most, _)) if !owned.contains_key(&*role) => (*most).to_owned(),
        _ => role,
    }
}

/// Reads the schema on a session that is not in a transaction.
pub async fn read_on(session: &mut Session) -> std::result::Result<Schema, Failure> {
    fetch(session, &[], |_, _| {}, None).await.map(|(found, version)| schema(found, version))
}

fn schema(found: Vec<Found>, version: u32) -> Schema {
    Schema { objects: found.into_iter().map(|one| (one.object.id.clone(), Arc::new(one.object))).collect(), version }
}

/// The result of reading a schema: the objects, and the major version of the server.
type Fetched = (Vec<Found>, u32);

/// Sends the queries, and `more` queries in the same transaction. The rows of those are passed to `take` as they
/// arrive, each with the number of its query. Queries that are already `planned` are not sent again.
async fn fetch(
    session: &mut Session,
    more: &[&str],
    mut take: impl FnMut(usize, &[Cell<'_>]),
    planned: Option<&mut Vec<String>>,
) -> std::result::Result<Fetched, Failure> {
    let queries = QUERIES.iter().map(|query| scoped(query.sql, None));
    let mut queries: Vec<String> = queries.chain(more.iter().map(|query| (*query).to_owned())).collect();
    if let Some(planned) = planned {
        queries = plan(session, queries, planned).await?;
    }
    let message = format!("{};\n{} {};\nCOMMIT;", BEGIN.join("; "), session.comment(), queries.join(";\n"));
    let (mut statement, mut objects) = (0, Objects::default());
    let (mut members, mut comments) = (Vec::new(), Vec::new());
    let outcome = session.each(&message, |part| match part {
        Part::End(_) => statement += 1,
        Part::Row(columns, row) => {
            let at = usize::saturating_sub(statement, BEGIN.len());
            match QUERIES.get(at).map(|query| query.rows) {
                Some(CatalogRows::OfUnits | CatalogRows::Globals) => objects.take(columns, row),
                Some(CatalogRows::Members) => members.push(kept(row)),
                Some(CatalogRows::Comments) => comments.push(kept(row)),
                None => take(at - QUERIES.len(), row),
            }
        }
    });
    if let Err(failure) = outcome.await {
        if failure.is_lock_timeout() {
            return Err(failure.with_holders(session.in_the_way(None).await));
        }
        // The transaction failed; report the error that the server gave for that.
        let _ = session.send("ROLLBACK").await;
        return Err(failure);
    }
    Ok((assemble(objects.finish(), &set(&members), comments), session.major_version()))
}

/// Prepares queries under the settings of [`BEGIN`], except those already planned; returns the statements that run
/// them.
async fn plan(
    session: &mut Session,
    queries: Vec<String>,
    planned: &mut Vec<String>,
) -> std::result::Result<Vec<String>, Failure> {
    let name = |at: usize| format!("roundtrip_{at}");
    let new: Vec<String> = queries.iter().filter(|query| !planned.contains(query)).cloned().collect();
    if !new.is_empty() {
        let prepared = (planned.len()..).zip(&new);
        let prepared: Vec<String> = prepared.map(|(at, query)| format!("PREPARE {} AS {query}", name(at))).collect();
        session.send(&format!("{};\n{};\nCOMMIT", BEGIN.join("; "), prepared.join(";\n"))).await?;
        planned.extend(new);
    }
    let at = |query: &String| planned.iter().position(|known| known == query);
    Ok(queries
        .iter()
        .map(|query| at(query).map_or_else(|| query.clone(), |at| format!("EXECUTE {}", name(at))))
        .collect())
}

/// A query for all units, or for the units in the list that a parameter holds.
///
/// A query marks the expressions that name the unit with braces: `{c.oid}`.
pub(super) fn scoped(query: &str, parameter: Option<&str>) -> String {
    let mut scoped = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once('{') {
        scoped.push_str(before);
        let (unit, after) = after.split_once('}').unwrap_or((after, ""));
        let is_unit = unit.ends_with(|c: char| c.is_ascii_lowercase()) && unit.contains('.');
        match parameter {
            _ if !is_unit => scoped.push_str(&format!("{{{unit}}}")),
            Some(parameter) => scoped.push_str(&format!("{unit} = ANY ({parameter})")),
            None => scoped.push_str("true"),
        }
        rest = after;
    }
    scoped + rest
}

/// Completes the objects that were found: adds comments as facts and removes members of extensions.
pub(super) fn assemble(mut found: Vec<Found>, members: &HashSet<(Oid, Oid)>, comments: Vec<Row>) -> Vec<Found> {
    let part_of_member = |unit| members.contains(&(PG_CLASS, unit)) || members.contains(&(PG_TYPE, unit));
    found.retain(|one| !members.contains(&(one.address.0, one.address.1)) && !part_of_member(one.unit));
    let mut said: HashMap<Address, Vec<Fact>> = HashMap::new();
    for (address, fact) in comments.into_iter().filter_map(comment) {
        said.entry(address).or_default().push(fact);
    }
    for one in &mut found {
        if let Some(facts) = said.remove(&one.address) {
            one.object.facts.extend(facts);
            one.object.facts.sort_unstable();
        }
    }
    found
}

/// The identifiers of `pg_class` and `pg_type` have never changed; drivers depend on them.
const PG_CLASS: Oid = 1259;
const PG_TYPE: Oid = 1247;

/// The members of extensions: catalog and object.
pub(super) fn set(rows: &[Row]) -> HashSet<(Oid, Oid)> {
    let number = |cell: &Option<String>| cell.as_ref()?.parse().ok();
    rows.iter().filter_map(|row| Some((number(row.first()?)?, number(row.get(1)?)?))).collect()
}

fn comment(row: Row) -> Option<(Address, Fact)> {
    let mut cells = row.into_iter().flatten();
    let (class, object, sub) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    Some(((class, object, sub), Fact { name: cells.next()?.into(), value: cells.next()?.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_cut_to_units() {
        let query = "SELECT '{}'::text[] WHERE {c.oid} AND {k.contypid}";
        assert_eq!(scoped(query, None), "SELECT '{}'::text[] WHERE true AND true");
        assert_eq!(scoped(query, Some("$1")), "SELECT '{}'::text[] WHERE c.oid = ANY ($1) AND k.contypid = ANY ($1)");
    }
}
