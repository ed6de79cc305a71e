//! Statements that make tables, their columns, and sequences.

use std::sync::Arc;

use super::far::options;
use super::name::{holder, named, qualified};
use crate::ident::{QualifiedName, first_name, plain};
use crate::schema::Schema;
use crate::schema::object::{Id, Kind, Object};

/// A table or foreign table with its columns; keys, checks and indexes are objects of their own.
/// The defaults that are `late` come later, for what they stand on stands on the table.
pub(super) fn create(schema: &Schema, table: &Object, late: &dyn Fn(&Id) -> bool) -> Vec<String> {
    let (id, fact) = (&table.id, |name: &str| table.fact(name));
    let columns = columns(schema, id);
    let parent = fact("parents").and_then(|list| list.split(", ").next()).and_then(QualifiedName::parse);
    let theirs = |column: &Object| parent.as_ref().and_then(|parent| column_of(schema, parent, &column.id.name));
    let is_own = |column: &Object| column.fact("inherited") != Some("only");
    // A partition with columns of its own, or with its own names for what its parent has, is attached when it is there.
    let is_named = |column: &Object| {
        let name = |column: &Object| column.fact("not null constraint").map(str::to_owned);
        theirs(column).is_some_and(|theirs| name(theirs).is_some() && name(theirs) != name(column))
    };
    let attached = fact("partition bound").is_some() && columns.iter().any(|one| is_own(one) || is_named(one));
    let own = columns.iter().filter(|one| attached || is_own(one));
    let lines = own.map(|one| format!("\n    {}", line(schema, one, late(&one.id))));
    let checks = schema.children(id, Kind::Constraint).filter(|one| attached && one.fact("inherited") == Some("only"));
    let checks = checks.filter_map(|one| Some((one, one.fact("definition").filter(|text| text.starts_with("CHECK"))?)));
    let checks = checks.map(|(one, text)| format!("\n    CONSTRAINT {} {text}", plain(&one.id.name)));
    let lines: Vec<String> = lines.chain(checks).collect();
    let body = if lines.is_empty() { "()".to_owned() } else { format!("({}\n)", lines.join(",")) };
    let (bound, parents) = (fact("partition bound"), fact("parents"));
    let kind = match id.kind {
        Kind::ForeignTable => "FOREIGN TABLE",
        _ if fact("persistence").is_some() => "UNLOGGED TABLE",
        _ => "TABLE",
    };
    let name = qualified(id);
    let mut text = match (fact("of type"), bound, parents) {
        (Some(of), _, _) => format!("CREATE {kind} {name} OF {of}"),
        (None, Some(bound), Some(parent)) if !attached => format!("CREATE {kind} {name} PARTITION OF {parent} {bound}"),
        (None, None, Some(parents)) => format!("CREATE {kind} {name} {body} INHERITS ({parents})"),
        _ => format!("CREATE {kind} {name} {body}"),
    };
    text += &fact("partition key").map_or(String::new(), |key| format!(" PARTITION BY {key}"));
    text += &fact("server").map_or(String::new(), |server| format!(" SERVER {}", plain(server)));
    if id.kind == Kind::ForeignTable {
        text += &options(fact("foreign options").map(pairs));
    }
    text += &fact("access method").map_or(String::new(), |method| format!(" USING {}", plain(method)));
    text += &storage(table);
    text += &fact("tablespace").map_or(String::new(), |space| format!(" TABLESPACE {}", plain(space)));
    let mut all = vec![text];
    if let (true, Some(bound), Some(parent)) = (attached, bound, parents) {
        all.push(format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"));
    }
    all.extend(security(table).into_iter().map(|what| format!("ALTER TABLE {name} {what}")));
    all.extend(match fact("replica identity") {
        Some(what @ ("full" | "nothing")) => {
            Some(format!("ALTER TABLE {name} REPLICA IDENTITY {}", what.to_uppercase()))
        }
        _ => None,
    });
    let of_type = fact("of type").is_some();
    for column in &columns {
        let theirs = theirs(column).filter(|_| !attached);
        all.extend(extras(column, theirs, of_type, late(&column.id)));
    }
    all
}

fn columns<'a>(schema: &'a Schema, table: &'a Id) -> Vec<&'a Arc<Object>> {
    let mut columns: Vec<_> = schema.children(table, Kind::Column).collect();
    columns.sort_by_key(|column| column.position);
    columns
}

fn column_of<'a>(schema: &'a Schema, table: &QualifiedName, name: &str) -> Option<&'a Object> {
    let id = Id { parent: table.name().into(), ..named(Kind::Column, table.schema(), name) };
    schema.get(&id).map(|object| &**object)
}

/// A column as `CREATE TABLE` and `ADD COLUMN` have it.
pub(super) fn line(schema: &Schema, column: &Object, late: bool) -> String {
    let fact = |name: &str| column.fact(name);
    let mut text = format!("{} {}", plain(&column.id.name), fact("type").unwrap_or("text"));
    text += &options(fact("foreign options").map(pairs));
    text += &fact("compression").map_or(String::new(), |method| format!(" COMPRESSION {method}"));
    text += &fact("collation").map_or(String::new(), |name| format!(" COLLATE {name}"));
    text += &fact("default").filter(|_| !late).map_or(String::new(), |value| format!(" DEFAULT {value}"));
    text += &fact("generated").map_or(String::new(), |value| {
        let (how, value) = value.split_once(' ').unwrap_or(("stored", value));
        format!(" GENERATED ALWAYS AS ({value}) {}", how.to_uppercase())
    });
    text += &not_null(column).filter(|_| !not_valid(column)).unwrap_or_default();
    text += &fact("identity").map_or(String::new(), |how| format!(" {}", generated(schema, &column.id, how)));
    text
}

/// `NOT NULL`, with the name of its constraint where that is not the usual one.
fn not_null(column: &Object) -> Option<String> {
    column.fact("not null")?;
    let constraint = column.fact("not null constraint").unwrap_or_default();
    let name = constraint.trim_end_matches(" not valid").trim_end_matches(" no inherit");
    let usual = format!("{}_{}_not_null", column.id.parent, column.id.name);
    let named = if name.is_empty() || name == usual { String::new() } else { format!(" CONSTRAINT {}", plain(name)) };
    let inherit = if constraint.contains(" no inherit") { " NO INHERIT" } else { "" };
    Some(format!("{named} NOT NULL{inherit}"))
}

fn not_valid(column: &Object) -> bool {
    column.fact("not null constraint").is_some_and(|constraint| constraint.ends_with(" not valid"))
}

/// What a column has besides its line, as statements of their own. Of a column that its parent
/// brings, only what is not the parent's.
pub(super) fn extras(column: &Object, theirs: Option<&Object>, of_type: bool, late: bool) -> Vec<String> {
    let fact = |name: &str| column.fact(name);
    let (table, name) = (super::name::parent(&column.id), plain(&column.id.name));
    let mut all = Vec::new();
    let inherited = fact("inherited") == Some("only") && theirs.is_some();
    let differs = |name: &str| theirs.is_none_or(|theirs| theirs.fact(name) != fact(name));
    if (inherited || of_type) && !late && differs("default") {
        let none = inherited.then(|| "DROP DEFAULT".to_owned());
        all.extend(fact("default").map(|value| format!("SET DEFAULT {value}")).or(none));
    }
    if inherited && differs("not null") || of_type {
        all.extend(fact("not null").map(|_| "SET NOT NULL".to_owned()));
    }
    all.extend(
        fact("storage")
            .filter(|_| !inherited || differs("storage"))
            .map(|how| format!("SET STORAGE {}", how.to_uppercase())),
    );
    let compressed = fact("compression").filter(|_| inherited && differs("compression"));
    all.extend(compressed.map(|method| format!("SET COMPRESSION {method}")));
    all.extend(fact("statistics").map(|n| format!("SET STATISTICS {n}")));
    all.extend(fact("options").map(|list| format!("SET ({list})")));
    let mut all: Vec<String> =
        all.into_iter().map(|what| format!("ALTER TABLE ONLY {table} ALTER COLUMN {name} {what}")).collect();
    if not_valid(column) {
        let constraint = fact("not null constraint").unwrap_or_default().split(' ').next().unwrap_or_default();
        all.push(format!("ALTER TABLE {table} ADD CONSTRAINT {} NOT NULL {name} NOT VALID", plain(constraint)));
    }
    all
}

/// The attributes of a composite type.
pub(super) fn attributes(schema: &Schema, of: &Id) -> String {
    let mut attributes: Vec<_> = schema.children(of, Kind::Attribute).collect();
    attributes.sort_by_key(|attribute| attribute.position);
    attributes.iter().map(|one| attribute(one)).collect::<Vec<_>>().join(", ")
}

pub(super) fn attribute(one: &Object) -> String {
    let collation = one.fact("collation").map_or(String::new(), |name| format!(" COLLATE {name}"));
    format!("{} {}{collation}", plain(&one.id.name), one.fact("type").unwrap_or("text"))
}

fn storage(table: &Object) -> String {
    let toast = table.fact("toast options").into_iter().flat_map(|list| list.split(", "));
    let toast = toast.map(|option| format!("toast.{option}"));
    let all: Vec<String> = table.fact("options").map(str::to_owned).into_iter().chain(toast).collect();
    if all.is_empty() { String::new() } else { format!(" WITH ({})", all.join(", ")) }
}

fn security(table: &Object) -> Vec<&'static str> {
    match table.fact("row security") {
        Some("on") => vec!["ENABLE ROW LEVEL SECURITY"],
        Some("forced") => vec!["ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"],
        Some(_) => vec!["FORCE ROW LEVEL SECURITY"],
        None => Vec::new(),
    }
}

/// Whether this is a key of a partitioned table: it is made for the table alone, and the keys of
/// the partitions, which have names of their own, are attached to it.
pub(super) fn is_own_index_of_partitioned(schema: &Schema, object: &Object) -> bool {
    let definition = object.fact("definition").unwrap_or_default();
    let has_index = match object.id.kind {
        Kind::Index => true,
        Kind::Constraint => ["PRIMARY KEY", "UNIQUE", "EXCLUDE"].iter().any(|word| definition.starts_with(word)),
        _ => false,
    };
    let table = schema.get(&holder(&object.id, Kind::Table));
    has_index && table.is_some_and(|table| table.fact("partition key").is_some())
}

/// A sequence; that of an identity column is made with its column.
pub(super) fn sequence(sequence: &Object) -> Vec<String> {
    let persistence = sequence.fact("persistence").map_or("", |_| "UNLOGGED ");
    let kind = sequence.fact("type").unwrap_or("bigint");
    vec![format!("CREATE {persistence}SEQUENCE {} AS {kind}{}", qualified(&sequence.id), counting(sequence))]
}

/// How the catalog query begins what it says of an identity's sequence.
const IDENTITY: &str = "identity of ";

pub(super) fn is_identity(sequence: &Object) -> bool {
    sequence.fact("owned by").is_some_and(|by| by.starts_with(IDENTITY))
}

/// `GENERATED … AS IDENTITY`, with what is unusual about the sequence.
pub(super) fn generated(schema: &Schema, column: &Id, how: &str) -> String {
    let sequence = identity_sequence(schema, column).map_or(String::new(), |one| identity(one, column));
    format!("GENERATED {} AS IDENTITY{sequence}", how.to_uppercase())
}

/// What is unusual about the sequence of an identity column, in brackets.
fn identity(sequence: &Object, column: &Id) -> String {
    let is_usual = sequence.id.schema == column.schema && *sequence.id.name == *usual_sequence(column);
    let name = if is_usual { String::new() } else { format!("SEQUENCE NAME {}", qualified(&sequence.id)) };
    let all = format!("{name}{}", counting(sequence));
    if all.is_empty() { all } else { format!(" ({})", all.trim_start()) }
}

fn usual_sequence(column: &Id) -> String {
    format!("{}_{}_seq", column.parent, column.name)
}

fn identity_sequence<'a>(schema: &'a Schema, column: &Id) -> Option<&'a Arc<Object>> {
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

/// The table and the column that a sequence belongs to.
pub(super) fn owner(sequence: &Object) -> Option<(QualifiedName, String)> {
    let by = sequence.fact("owned by")?;
    let (schema, rest) = first_name(by.strip_prefix(IDENTITY).unwrap_or(by))?;
    let (table, rest) = first_name(rest.strip_prefix('.')?)?;
    let (column, _) = first_name(rest.strip_prefix('.')?)?;
    Some((QualifiedName::new(schema, table), column))
}

/// How a sequence counts, where it is not the usual way of its type.
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

pub(super) fn pairs(list: &str) -> Vec<String> {
    list.split(", ").map(str::to_owned).collect()
}
