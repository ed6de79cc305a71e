//! Reading a whole schema, in one message.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Schema;
use super::object::Fact;
use super::row::{self, Address, Found, Oid};
use crate::db::{Answer, Database, Failure, Session};
use crate::error::{ErrorKind, Result};

/// The queries, in the order in which they are sent; comments and members of extensions come last.
pub(super) const QUERIES: [&str; 10] = [
    include_str!("catalog/relations.sql"),
    include_str!("catalog/columns.sql"),
    include_str!("catalog/constraints.sql"),
    include_str!("catalog/indexes.sql"),
    include_str!("catalog/attached.sql"),
    include_str!("catalog/routines.sql"),
    include_str!("catalog/types.sql"),
    include_str!("catalog/globals.sql"),
    include_str!("catalog/members.sql"),
    include_str!("catalog/comments.sql"),
];

/// The settings under which names come out qualified and nothing is compiled at run time.
pub(super) const SETTINGS: &str = "SET LOCAL search_path TO pg_catalog; SET LOCAL jit TO off;";

/// Reads the schema of a database, on a connection of its own. Nothing is written.
///
/// # Errors
///
/// [`ErrorKind::Connection`] when the server cannot be reached, or refuses a query.
pub async fn read(database: &Database) -> Result<Schema> {
    let mut session = Session::connect(database, "roundtrip schema").await?;
    let schema = read_on(&mut session).await;
    session.close().await;
    schema.map_err(|failure| failure.explain(ErrorKind::Connection, "schema-unreadable", "read the schema"))
}

/// Reads the schema on a session that is in no transaction.
pub(crate) async fn read_on(session: &mut Session) -> std::result::Result<Schema, Failure> {
    let queries: Vec<String> = QUERIES.iter().map(|query| scoped(query, None)).collect();
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;";
    let answers = session.results(&format!("{begin} {SETTINGS} {}; COMMIT;", queries.join(";\n"))).await;
    if answers.is_err() {
        // The transaction failed; what the server said about it is what counts.
        let _ = session.send("ROLLBACK").await;
    }
    let mut answers: Vec<Answer> = answers?.into_iter().skip(3).take(QUERIES.len()).collect();
    let comments = answers.pop().unwrap_or_default();
    let members = answers.pop().unwrap_or_default();
    let found = assemble(answers.into_iter().flat_map(row::objects).collect(), &members, comments);
    let objects = found.into_iter().map(|one| (one.object.id.clone(), Arc::new(one.object))).collect();
    Ok(Schema { objects })
}

/// A query for everything, or for the units that a parameter lists.
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

/// Finishes what was found: comments become facts, members of extensions go.
pub(super) fn assemble(mut found: Vec<Found>, members: &Answer, comments: Answer) -> Vec<Found> {
    let members = set(members);
    let part_of_member = |unit| members.contains(&(PG_CLASS, unit)) || members.contains(&(PG_TYPE, unit));
    found.retain(|one| !members.contains(&(one.address.0, one.address.1)) && !part_of_member(one.unit));
    let at: HashMap<Address, usize> = found.iter().enumerate().map(|(n, one)| (one.address, n)).collect();
    for row in comments.rows {
        let Some((address, name, text)) = comment(row) else { continue };
        if let Some(one) = at.get(&address).and_then(|n| found.get_mut(*n)) {
            one.object.facts.push(Fact { name: name.into(), value: text.into() });
            one.object.facts.sort_unstable();
        }
    }
    found
}

/// `pg_class` and `pg_type` have had these identifiers for ever; drivers are built on them.
const PG_CLASS: Oid = 1259;
const PG_TYPE: Oid = 1247;

fn set(answer: &Answer) -> HashSet<(Oid, Oid)> {
    let number = |cell: &Option<String>| cell.as_ref()?.parse().ok();
    answer.rows.iter().filter_map(|row| Some((number(row.first()?)?, number(row.get(1)?)?))).collect()
}

fn comment(row: Vec<Option<String>>) -> Option<(Address, String, String)> {
    let mut cells = row.into_iter().flatten();
    let (class, object, sub) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    Some(((class, object, sub), cells.next()?, cells.next()?))
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
