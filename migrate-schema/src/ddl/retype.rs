//! Columns that change their type, with their values.

use migrate_base::ident::{QualifiedName, plain};

use super::name::{named, parent};
use super::{DdlStatement, Hazard, loss};
use crate::Schema;
use crate::object::{Kind, Object};

/// The base type of a domain.
fn underlying<'a>(schema: &'a Schema, of: &'a str) -> &'a str {
    let mut of = of;
    // Domains of domains end somewhere.
    for _ in 0..100 {
        let name = QualifiedName::parse(of).map(|name| named(Kind::Domain, name.schema(), name.name()));
        match name.and_then(|name| schema.get(&name)?.fact("type")) {
            Some(below) => of = below,
            None => break,
        }
    }
    of
}

/// Adds to a statement what the values of a column lose, and that the table is rewritten.
fn rewriting(statement: DdlStatement, column: &Object, from: &str, to: &str) -> DdlStatement {
    let rewrite = Hazard::Rewrite(format!("table {} is rewritten", parent(&column.id)));
    let lost = loss::of(from, to).map(|what| Hazard::DataLoss(format!("{what} of {}", column.id)));
    lost.into_iter().fold(statement.with(rewrite), DdlStatement::with)
}

/// Converts the values of a column to the new type of the same name; each argument has its state before and after.
pub(super) fn carried(schemas: [&Schema; 2], columns: [&Object; 2], kinds: [&Object; 2]) -> DdlStatement {
    let [_, now] = columns;
    let (table, name) = (parent(&now.id), plain(&now.id.name));
    let [was, of] = columns.map(|column| column.fact("type").unwrap_or_default());
    // Other types are converted through their text form, which loses nothing.
    let [from, by] = [(schemas[0], kinds[0]), (schemas[1], kinds[1])].map(|(schema, kind)| match kind.id.kind {
        Kind::Domain => underlying(schema, kind.fact("type").unwrap_or("text")),
        _ => "text",
    });
    let (using, from) = match (was.ends_with("[]"), of.ends_with("[]")) {
        (false, false) => (format!("{name}::{by}::{of}"), from.to_owned()),
        (true, true) => (format!("{name}::{by}[]::{of}"), from.to_owned()),
        (false, true) => (format!("ARRAY[{name}::{by}]::{of}"), from.to_owned()),
        (true, false) => (format!("{name}[1]::{by}::{of}"), format!("{from}[]")),
    };
    let text = format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {of} USING {using}");
    rewriting(DdlStatement::new(text), now, &from, by)
}

/// A column that was converted, before its other changes.
pub(super) fn as_carried(old: &Object, new: &Object) -> Object {
    let is_carried = |name: &str| matches!(name, "type" | "collation");
    let mut carried = old.clone();
    carried.facts.retain(|fact| !is_carried(&fact.name));
    carried.facts.extend(new.facts.iter().filter(|fact| is_carried(&fact.name)).cloned());
    carried.facts.sort_unstable();
    carried
}

/// Changes the type of a column.
pub(super) fn retype(before: &Schema, after: &Schema, old: &Object, new: &Object) -> DdlStatement {
    let (table, name) = (parent(&new.id), plain(&new.id.name));
    let (was, of) = (old.fact("type").unwrap_or("text"), new.fact("type").unwrap_or("text"));
    let (from, to) = (underlying(before, was), underlying(after, of));
    let collation = new.fact("collation").map_or(String::new(), |name| format!(" COLLATE {name}"));
    let using = match (is_assigned(from, to), is_cast(from, to)) {
        (true, _) => String::new(),
        (false, true) => format!(" USING {name}::{of}"),
        // Every type has a text form.
        (false, false) => format!(" USING {name}::text::{of}"),
    };
    let statement = DdlStatement::new(format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {of}{collation}{using}"));
    match is_binary(was, of) {
        true => statement,
        false => rewriting(statement, new, from, to),
    }
}

/// A type without its modifiers: `numeric` for `numeric(10,2)`.
fn base(of: &str) -> &str {
    of.split('(').next().unwrap_or(of).trim()
}

/// The types that can be assigned to each other without a cast, in groups; anything can be assigned to a text.
const TEXTS: [&str; 4] = ["text", "character varying", "character", "name"];
const NUMBERS: [&str; 6] = ["smallint", "integer", "bigint", "numeric", "real", "double precision"];
const WHOLE: [&str; 3] = ["smallint", "integer", "bigint"];

fn is_assigned(from: &str, to: &str) -> bool {
    let (from, to) = (base(from), base(to));
    let time = |of: &str| of.starts_with("timestamp") || of == "date";
    let json = |of: &str| of == "json" || of == "jsonb";
    from == to
        || TEXTS.contains(&to)
        || (NUMBERS.contains(&from) && NUMBERS.contains(&to))
        || (time(from) && time(to))
        || (json(from) && json(to))
}

/// Whether there is a cast between two types, other than through the text form.
fn is_cast(from: &str, to: &str) -> bool {
    let (from, to) = (base(from), base(to));
    let pair = [from, to];
    TEXTS.contains(&from) || (pair.contains(&"boolean") && pair.contains(&"integer"))
}

/// Whether both types store values in the same form, and every value of the first is a value of the second.
fn is_binary(from: &str, to: &str) -> bool {
    let limit = |of: &str| of.split_once('(').and_then(|(_, rest)| rest.split(')').next()?.parse::<u32>().ok());
    let text = |of: &str| matches!(base(of), "text" | "character varying");
    text(from) && text(to) && limit(to).is_none_or(|to| limit(from).is_some_and(|from| from <= to))
}

/// Whether a foreign key between columns of these types remains, whichever column is changed first.
pub(super) fn stays_comparable(old: &Object, new: &Object) -> bool {
    let whole = |object: &Object| object.fact("type").is_some_and(|of| WHOLE.contains(&of));
    let text = |object: &Object| object.fact("type").is_some_and(|of| TEXTS.contains(&base(of)));
    (whole(old) && whole(new)) || (text(old) && text(new))
}
