//! Statements that create sequences, including those of identity columns.

use std::sync::Arc;

use migrate_base::ident::{QualifiedName, first_name};

use super::name::{holder, named, qualified};
use crate::Schema;
use crate::object::{Id, Kind, Object};

/// A sequence; that of an identity column is created with its column.
pub(super) fn sequence(sequence: &Object) -> Vec<String> {
    let persistence = sequence.fact("persistence").map_or("", |_| "UNLOGGED ");
    let kind = sequence.fact("type").unwrap_or("bigint");
    vec![format!("CREATE {persistence}SEQUENCE {} AS {kind}{}", qualified(&sequence.id), counting(sequence))]
}

/// The prefix that the catalog query uses for the sequence of an identity column.
const IDENTITY: &str = "identity of ";

pub(super) fn is_identity(sequence: &Object) -> bool {
    sequence.fact("owned by").is_some_and(|by| by.starts_with(IDENTITY))
}

/// `GENERATED … AS IDENTITY`, with the non-default parameters of the sequence.
pub(super) fn generated(schema: &Schema, column: &Id, how: &str) -> String {
    let sequence = identity_sequence(schema, column).map_or(String::new(), |one| identity(one, column));
    format!("GENERATED {} AS IDENTITY{sequence}", how.to_uppercase())
}

/// The non-default parameters of the sequence of an identity column, in parentheses.
fn identity(sequence: &Object, column: &Id) -> String {
    let is_usual = sequence.id.schema == column.schema && *sequence.id.name == *usual_sequence(column);
    let name = if is_usual { String::new() } else { format!("SEQUENCE NAME {}", qualified(&sequence.id)) };
    let all = format!("{name}{}", counting(sequence));
    if all.is_empty() { all } else { format!(" ({})", all.trim_start()) }
}

fn usual_sequence(column: &Id) -> String {
    format!("{}_{}_seq", column.parent, column.name)
}

/// Whether a column has its own sequence. From PostgreSQL 17 on, a partition uses that of its parent.
pub(super) fn counts(schema: &Schema, column: &Object) -> bool {
    column.fact("identity").is_some() && identity_sequence(schema, &column.id).is_some()
}

/// Statements for the properties that the sequence of an identity column does not get from its column and table: its
/// type, and whether it is logged.
pub(super) fn unusual(schema: &Schema, column: &Object) -> Vec<String> {
    let sequence = column.fact("identity").and_then(|_| identity_sequence(schema, &column.id));
    let Some(sequence) = sequence else { return Vec::new() };
    let kind = sequence.fact("type").filter(|kind| column.fact("type") != Some(kind));
    let kind = kind.map(|kind| format!("ALTER SEQUENCE {} AS {kind}{}", qualified(&sequence.id), counting(sequence)));
    let table = schema.get(&holder(&column.id, Kind::Table));
    let lasting = table.and_then(|table| persistence(sequence, table));
    kind.into_iter().chain(lasting).collect()
}

/// The statement that makes a sequence logged or unlogged, if its table is different.
pub(super) fn persistence(sequence: &Object, table: &Object) -> Option<String> {
    let (ours, theirs) = (sequence.fact("persistence"), table.fact("persistence"));
    let how = if ours.is_some() { "UNLOGGED" } else { "LOGGED" };
    (ours != theirs).then(|| format!("ALTER SEQUENCE {} SET {how}", qualified(&sequence.id)))
}

/// The statements for the sequences of a table that becomes logged or unlogged: it changes its sequences too.
pub(super) fn left_behind(before: &Schema, after: &Schema, table: &Object) -> Vec<String> {
    let name = QualifiedName::new(&*table.id.schema, &*table.id.name);
    let all = before.objects().filter(|one| one.id.kind == Kind::Sequence);
    let ours = all.filter(|one| owner(one).is_some_and(|(of, _)| of == name));
    ours.filter_map(|one| persistence(after.get(&one.id)?, table)).collect()
}

pub(super) fn identity_sequence<'a>(schema: &'a Schema, column: &Id) -> Option<&'a Arc<Object>> {
    let table = QualifiedName::new(&*column.schema, &*column.parent);
    let ours = |one: &&Arc<Object>| {
        one.id.kind == Kind::Sequence
            && is_identity(one)
            && owner(one).is_some_and(|(t, c)| t == table && c == *column.name)
    };
    let usual = schema.get(&named(Kind::Sequence, &column.schema, &usual_sequence(column)));
    if let Some(usual) = usual.filter(ours) {
        return Some(usual);
    }
    let first = named(Kind::Sequence, "", "");
    schema
        .objects
        .range::<Id, _>(first..)
        .map(|(_, one)| one)
        .take_while(|one| one.id.kind == Kind::Sequence)
        .find(ours)
}

/// The table and the column that own a sequence.
pub(super) fn owner(sequence: &Object) -> Option<(QualifiedName, String)> {
    let by = sequence.fact("owned by")?;
    let (schema, rest) = first_name(by.strip_prefix(IDENTITY).unwrap_or(by))?;
    let (table, rest) = first_name(rest.strip_prefix('.')?)?;
    let (column, _) = first_name(rest.strip_prefix('.')?)?;
    Some((QualifiedName::new(schema, table), column))
}

/// The parameters of a sequence that are not the defaults of its type.
pub(super) fn counting(sequence: &Object) -> String {
    let fact = |name: &str| sequence.fact(name).and_then(|value| value.parse::<i64>().ok());
    let increment = fact("increment").unwrap_or(1);
    let (low, high) = match sequence.fact("type") {
        Some("smallint") => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Some("integer") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let (minimum, maximum) = if increment > 0 { (1, high) } else { (low, -1) };
    let minimum_is = fact("minimum").unwrap_or(minimum);
    let maximum_is = fact("maximum").unwrap_or(maximum);
    let start = if increment > 0 { minimum_is } else { maximum_is };
    let clauses = [
        ("INCREMENT BY", "increment", 1),
        ("MINVALUE", "minimum", minimum),
        ("MAXVALUE", "maximum", maximum),
        ("START WITH", "start", start),
        ("CACHE", "cache", 1),
    ];
    let clause = |(word, name, usual): &(&str, &str, i64)| {
        fact(name).filter(|value| value != usual).map(|value| format!(" {word} {value}"))
    };
    clauses.iter().filter_map(clause).collect::<String>() + sequence.fact("cycle").map_or("", |_| " CYCLE")
}
