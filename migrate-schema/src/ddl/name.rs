//! The names of objects in SQL.

use migrate_base::ident::plain;

use crate::Schema;
use crate::object::{Id, Kind};

/// A name with its schema.
pub(super) fn qualified(id: &Id) -> String {
    format!("{}.{}", plain(&id.schema), plain(&id.name))
}

/// The table, type or domain that an object belongs to.
pub(super) fn parent(id: &Id) -> String {
    format!("{}.{}", plain(&id.schema), plain(&id.parent))
}

/// An object as named in `COMMENT ON` and, for most kinds, in `DROP`: `CONSTRAINT a ON s.t`.
pub(super) fn phrase(schema: &Schema, id: &Id) -> String {
    use Kind::*;
    let word = id.kind.as_str().to_uppercase();
    match id.kind {
        Schema | Extension | Language | AccessMethod | Server | EventTrigger | Publication | Subscription => {
            format!("{word} {}", plain(&id.name))
        }
        ForeignDataWrapper => format!("FOREIGN DATA WRAPPER {}", plain(&id.name)),
        Attribute | Column => format!("COLUMN {}.{}", parent(id), plain(&id.name)),
        Function | Procedure => format!("{word} {}({})", qualified(id), id.signature),
        Aggregate if id.signature.is_empty() => format!("AGGREGATE {}(*)", qualified(id)),
        Aggregate => format!("AGGREGATE {}({})", qualified(id), id.signature),
        Operator => {
            let none = if id.signature.contains(", ") { "" } else { "NONE, " };
            format!("OPERATOR {}.{} ({none}{})", plain(&id.schema), id.name, id.signature)
        }
        OperatorFamily | OperatorClass => format!("{word} {} USING {}", qualified(id), plain(&id.signature)),
        Cast => format!("CAST ({})", id.name),
        Transform => format!("TRANSFORM FOR {} LANGUAGE {}", id.name, plain(&id.signature)),
        UserMapping => format!("USER MAPPING FOR {} SERVER {}", role(&id.name), plain(&id.parent)),
        Constraint if is_domain(schema, id) => format!("CONSTRAINT {} ON DOMAIN {}", plain(&id.name), parent(id)),
        Constraint | Trigger | Rule | Policy => format!("{word} {} ON {}", plain(&id.name), parent(id)),
        _ => format!("{word} {}", qualified(id)),
    }
}

/// An object as named in `GRANT`.
pub(super) fn grantable(schema: &Schema, id: &Id) -> String {
    match id.kind {
        Kind::Table | Kind::View | Kind::MaterializedView | Kind::ForeignTable => format!("TABLE {}", qualified(id)),
        Kind::Aggregate => format!("FUNCTION {}({})", qualified(id), plain_arguments(&id.signature)),
        Kind::Domain => format!("TYPE {}", qualified(id)),
        Kind::Server => format!("FOREIGN SERVER {}", plain(&id.name)),
        _ => phrase(schema, id),
    }
}

/// The arguments of an aggregate like those of a function; in an ordered-set aggregate the variadic argument is on both
/// sides.
fn plain_arguments(signature: &str) -> String {
    let words: Vec<_> = migrate_base::sql::lex::words(signature).map(|(_, span)| span).collect();
    let is = |at: usize, word: &str| words.get(at).is_some_and(|span| &signature[span.clone()] == word);
    let Some(at) = (0..words.len()).find(|at| is(*at, "ORDER") && is(at + 1, "BY")) else {
        return signature.to_owned();
    };
    let direct = signature[..words[at].start].trim();
    let ordered = words.get(at + 2).map_or("", |span| &signature[span.start..]);
    let is_variadic = |arguments: &str| arguments.split(", ").last().is_some_and(|last| last.starts_with("VARIADIC "));
    match direct.is_empty() {
        true => ordered.to_owned(),
        false if is_variadic(direct) && is_variadic(ordered) => direct.to_owned(),
        false => format!("{direct}, {ordered}"),
    }
}

/// Whether an object belongs to a domain.
pub(super) fn is_domain(schema: &Schema, id: &Id) -> bool {
    schema.get(&holder(id, Kind::Domain)).is_some()
}

/// The id of the object that an object belongs to, if that has this kind.
pub(super) fn holder(id: &Id, kind: Kind) -> Id {
    named(kind, &id.schema, &id.parent)
}

/// An object identified by its kind, schema and name.
pub(super) fn named(kind: Kind, schema: &str, name: &str) -> Id {
    Id::named(kind, schema, name)
}

/// The longest name, in bytes; the server truncates longer names.
const LONGEST: usize = 63;

/// The temporary name of an object while another one takes its name: a name that nothing has on either side.
pub(super) fn aside(before: &Schema, after: &Schema, id: &Id) -> String {
    free(before, after, id, "__old").next().unwrap_or_default()
}

/// Names made from the name of an object that nothing has on either side.
pub(super) fn free<'a>(
    before: &'a Schema,
    after: &'a Schema,
    id: &'a Id,
    suffix: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let is_taken = move |name: &str| {
        let mut all = before.objects().chain(after.objects());
        all.any(|one| one.id.schema == id.schema && *one.id.name == *name)
    };
    let suffixes = (1_usize..).map(move |n| if n == 1 { suffix.to_owned() } else { format!("{suffix}{n}") });
    let names = suffixes.map(|suffix| {
        let end = id.name.floor_char_boundary(LONGEST - suffix.len());
        format!("{}{suffix}", &id.name[..end])
    });
    names.filter(move |name| !is_taken(name))
}

/// A role, or PUBLIC.
pub(super) fn role(name: &str) -> String {
    match name {
        "" | "public" => "PUBLIC".to_owned(),
        name => plain(name),
    }
}
