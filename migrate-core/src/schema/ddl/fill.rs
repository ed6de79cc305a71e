//! Something to put in a column whose values are gone.

use super::name::named;
use super::swap::labels;
use crate::ident::QualifiedName;
use crate::schema::Schema;
use crate::schema::object::Kind;

/// A value of a type that every such type has, as SQL; `None` where none is known.
pub(super) fn value(schema: &Schema, of: &str) -> Option<String> {
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

/// The first label of an enum, or what the type below a domain has.
fn of_schema(schema: &Schema, of: &str) -> Option<String> {
    let name = QualifiedName::parse(of)?;
    if let Some(found) = schema.get(&named(Kind::Type, name.schema(), name.name())) {
        return labels(found.fact("labels")?).into_iter().next();
    }
    let domain = schema.get(&named(Kind::Domain, name.schema(), name.name()))?;
    let below = domain.fact("type")?;
    domain.fact("default").map(str::to_owned).or_else(|| if below == of { None } else { value(schema, below) })
}
