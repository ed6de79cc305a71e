//! Statements that create types and domains.

use migrate_base::ident::{literal, plain};

use super::name::{phrase, qualified};
use super::table;
use crate::Schema;
use crate::object::{Kind, Object};

/// The statement that creates a type; `None` for an unknown form.
pub(super) fn object(schema: &Schema, object: &Object) -> Option<String> {
    let name = phrase(schema, &object.id);
    Some(match object.fact("form")? {
        "enum" => format!("CREATE {name} AS ENUM ({})", object.fact("labels").unwrap_or_default()),
        "composite" => format!("CREATE {name} AS ({})", table::attributes(schema, &object.id)),
        "range" => range(object)?,
        "base" => base(object)?,
        "shell" => format!("CREATE {name}"),
        _ => return None,
    })
}

/// Whether functions that take or return the type have to exist before it: they are created with only its shell.
pub(super) fn has_shell(object: &Object) -> bool {
    object.id.kind == Kind::Type && (object.fact("form") == Some("base") || object.fact("canonical").is_some())
}

pub(super) fn domain(object: &Object) -> String {
    let mut text = format!("CREATE DOMAIN {} AS {}", qualified(&object.id), object.fact("type").unwrap_or("text"));
    for (fact, word) in [("collation", "COLLATE"), ("default", "DEFAULT")] {
        text += &object.fact(fact).map_or(String::new(), |value| format!(" {word} {value}"));
    }
    if object.fact("not null").is_some() {
        text += &format!(" {}", not_null(object));
    }
    text
}

/// `NOT NULL` of a domain, with the name of its constraint if it is not the default.
pub(super) fn not_null(domain: &Object) -> String {
    let usual = format!("{}_not_null", domain.id.name);
    let name = domain.fact("not null constraint").filter(|name| **name != *usual);
    name.map_or("NOT NULL".to_owned(), |name| format!("CONSTRAINT {} NOT NULL", plain(name)))
}

fn range(object: &Object) -> Option<String> {
    let mut parts = vec![format!("SUBTYPE = {}", object.fact("subtype")?)];
    let names = [
        ("SUBTYPE_OPCLASS", "operator class"),
        ("COLLATION", "range collation"),
        ("CANONICAL", "canonical"),
        ("SUBTYPE_DIFF", "difference"),
        ("MULTIRANGE_TYPE_NAME", "multirange"),
    ];
    for (word, name) in names {
        let value = object.fact(name).map(|value| value.split('(').next().unwrap_or(value));
        parts.extend(value.map(|value| format!("{word} = {value}")));
    }
    Some(format!("CREATE TYPE {} AS RANGE ({})", qualified(&object.id), parts.join(", ")))
}

/// A base type, see <https://www.postgresql.org/docs/current/sql-createtype.html>.
fn base(object: &Object) -> Option<String> {
    let fact = |name: &str| object.fact(name);
    let mut parts = vec![format!("INPUT = {}", fact("input")?), format!("OUTPUT = {}", fact("output")?)];
    let names = [
        ("RECEIVE", "receive"),
        ("SEND", "send"),
        ("TYPMOD_IN", "modifier input"),
        ("TYPMOD_OUT", "modifier output"),
        ("ANALYZE", "analyze"),
        ("SUBSCRIPT", "subscript"),
        ("ELEMENT", "element"),
        ("INTERNALLENGTH", "length"),
        ("ALIGNMENT", "alignment"),
        ("STORAGE", "storage"),
    ];
    parts.extend(names.iter().filter_map(|(word, name)| Some(format!("{word} = {}", fact(name)?))));
    for (word, name) in [("CATEGORY", "category"), ("DELIMITER", "delimiter"), ("DEFAULT", "default")] {
        parts.extend(fact(name).map(|value| format!("{word} = {}", literal(value))));
    }
    for (word, name) in [("PASSEDBYVALUE", "by value"), ("PREFERRED", "preferred"), ("COLLATABLE", "collatable")] {
        parts.extend(
            fact(name).map(|_| if word == "PASSEDBYVALUE" { word.to_owned() } else { format!("{word} = true") }),
        );
    }
    Some(format!("CREATE TYPE {} ({})", qualified(&object.id), parts.join(", ")))
}
