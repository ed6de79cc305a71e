//! Values for a column whose values are lost.

use migrate_base::ident::{QualifiedName, first_name, plain};

use super::labels::labels;
use super::name::{holder, named, parent};
use super::taken::TakenNames;
use super::{DdlContext, DdlStatement, Hazard, not_null, table};
use crate::Schema;
use crate::object::{Kind, Object};

/// The statements that add a column that must not be null to a table that may have rows; `None` if no value is known
/// for its type.
pub(super) fn column(sides: &DdlContext<'_>, column: &Object) -> Option<Vec<DdlStatement>> {
    let (before, schema, taken) = (&sides.before.schema, &sides.after.schema, sides.taken());
    let (of, name) = (parent(&column.id), plain(&column.id.name));
    let extras = table::extras(taken, column, None, false, true).into_iter().map(DdlStatement::new);
    if let Some(values) = referred(before, schema, column).or_else(|| numbered(schema, column)) {
        let hazard = Hazard::DataLoss(format!("every row of {of} gets {} as its {name}", values.what));
        let [add, required] = two_steps(taken, schema, column);
        let first =
            [DdlStatement::new(add), DdlStatement::new(values.update).with(hazard), DdlStatement::new(required)];
        return Some(first.into_iter().chain(extras).collect());
    }
    let value = value(schema, column.fact("type").unwrap_or_default())?;
    let line = table::line(taken, schema, column, None, true);
    let hazard = Hazard::DataLoss(format!("every row of {of} gets {value} as its {name}"));
    let add = DdlStatement::new(format!("ALTER TABLE {of} ADD COLUMN {line} DEFAULT {value}")).with(hazard);
    let rest = DdlStatement::new(format!("ALTER TABLE {of} ALTER COLUMN {name} DROP DEFAULT"));
    Some([add, rest].into_iter().chain(extras).collect())
}

/// The statement that adds a column to a table without NOT NULL, and the one that sets NOT NULL once all rows have a
/// value.
pub fn in_two_steps(before: &Schema, after: &Schema, column: &Object) -> [String; 2] {
    two_steps(&TakenNames::of(before, after), after, column)
}

fn two_steps(taken: &TakenNames, after: &Schema, column: &Object) -> [String; 2] {
    let line = table::line(taken, after, &not_null::nullable(column), None, false);
    [format!("ALTER TABLE {} ADD COLUMN {line}", parent(&column.id)), not_null::required(taken, column)]
}

/// Values for all rows of a table, and a description of them.
struct ColumnFill {
    update: String,
    what: String,
}

/// A row that a foreign key can reference: the first row of the referenced table, if it exists.
fn referred(before: &Schema, schema: &Schema, column: &Object) -> Option<ColumnFill> {
    let key = schema.children(&holder(&column.id, Kind::Table), Kind::Constraint).find_map(|one| {
        let (own, rest) = first_name(one.fact("definition")?.strip_prefix("FOREIGN KEY (")?)?;
        let (space, rest) = first_name(rest.strip_prefix(") REFERENCES ")?)?;
        let (table, rest) = first_name(rest.strip_prefix('.')?)?;
        let (theirs, _) = first_name(rest.strip_prefix('(')?)?;
        (*own == *column.id.name).then_some((space, table, theirs))
    });
    let (space, table, theirs) = key?;
    before.get(&named(Kind::Table, &space, &table))?;
    let (of, name, theirs) = (parent(&column.id), plain(&column.id.name), plain(&theirs));
    let table = format!("{}.{}", plain(&space), plain(&table));
    let update = format!("UPDATE {of} SET {name} = (SELECT {theirs} FROM {table} ORDER BY {theirs} LIMIT 1)");
    Some(ColumnFill { update, what: format!("the first {theirs} of {table}") })
}

/// A different number for each row, if the values must be unique.
fn numbered(schema: &Schema, column: &Object) -> Option<ColumnFill> {
    let of_table = holder(&column.id, Kind::Table);
    let (of, name) = (parent(&column.id), plain(&column.id.name));
    let alone = format!("({name})");
    let is_unique = |one: &Object| {
        let definition = one.fact("definition").unwrap_or_default();
        let unique =
            ["UNIQUE ", "PRIMARY KEY ", "CREATE UNIQUE INDEX "].iter().any(|word| definition.starts_with(word));
        unique && definition.contains(&alone)
    };
    let mut all = schema.children(&of_table, Kind::Constraint).chain(schema.children(&of_table, Kind::Index));
    all.find(|one| is_unique(one))?;
    let number = match column.fact("type")?.split('(').next()? {
        "smallint" | "integer" | "bigint" | "numeric" => "numbered.n",
        "text" | "character varying" => "numbered.n::text",
        _ => return None,
    };
    let update = format!(
        "UPDATE {of} AS old SET {name} = {number} \
         FROM (SELECT ctid AS place, row_number() OVER () AS n FROM {of}) AS numbered WHERE old.ctid = numbered.place"
    );
    Some(ColumnFill { update, what: "a different number".to_owned() })
}

/// A value that every type of this kind has, as SQL; `None` if none is known.
fn value(schema: &Schema, of: &str) -> Option<String> {
    if of.ends_with("[]") {
        return Some("'{}'".to_owned());
    }
    let base = of.split('(').next().unwrap_or(of).trim();
    let known = match base {
        "text" | "character varying" | "character" | "name" | "bytea" | "public.citext" => "''",
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => "0",
        "boolean" => "false",
        "date" | "timestamp without time zone" | "timestamp with time zone" => "'epoch'",
        "time without time zone" | "time with time zone" => "'00:00'",
        "interval" => "'0'",
        "uuid" => "gen_random_uuid()",
        "json" | "jsonb" => "'{}'",
        _ => return of_schema(schema, base),
    };
    Some(known.to_owned())
}

/// The first label of an enum, or the value for the base type of a domain.
fn of_schema(schema: &Schema, of: &str) -> Option<String> {
    let name = QualifiedName::parse(of)?;
    if let Some(found) = schema.get(&named(Kind::Type, name.schema(), name.name())) {
        return labels(found.fact("labels")?).into_iter().next();
    }
    let domain = schema.get(&named(Kind::Domain, name.schema(), name.name()))?;
    let below = domain.fact("type")?;
    domain.fact("default").map(str::to_owned).or_else(|| if below == of { None } else { value(schema, below) })
}
