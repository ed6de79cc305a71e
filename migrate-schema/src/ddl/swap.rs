//! Replaces types that columns have: a new type takes the place of the old one, and the values are converted.

use migrate_base::ident::{QualifiedName, plain};

use super::alter::{self, AlterMethod};
use super::labels::{self, added};
use super::name::{self, holder, named, parent, phrase};
use super::retype::carried;
use super::{DdlStatement, create, partition, types};
use crate::Schema;
use crate::object::{Id, Kind, Object};

type DifferingFacts<'a> = [(&'a str, Option<&'a str>, Option<&'a str>)];

/// How a type or a domain becomes another one of the same name.
pub(super) fn change(
    before: &Schema,
    after: &Schema,
    differing: &DifferingFacts<'_>,
    old: &Object,
    new: &Object,
) -> AlterMethod {
    let name = phrase(after, &new.id);
    let mut statements = Vec::new();
    for (fact, was, now) in differing {
        let text = match (new.id.kind, *fact) {
            (Kind::Domain, "default") => {
                format!("ALTER {name} {}", now.map_or("DROP DEFAULT".into(), |v| format!("SET DEFAULT {v}")))
            }
            (Kind::Domain, "not null") => match (now, types::not_null(new)) {
                (None, _) => format!("ALTER {name} DROP NOT NULL"),
                (Some(_), constraint) if constraint == "NOT NULL" => format!("ALTER {name} SET NOT NULL"),
                (Some(_), constraint) => format!("ALTER {name} ADD {constraint}"),
            },
            (Kind::Domain, "not null constraint") => match (was, now) {
                (Some(was), Some(now)) => format!("ALTER {name} RENAME CONSTRAINT {} TO {}", plain(was), plain(now)),
                _ => continue,
            },
            (Kind::Type, "labels") => match added(was.unwrap_or_default(), now.unwrap_or_default()) {
                Some(added) if !labels::is_used(after, &new.id, &added) => {
                    statements.extend(
                        added
                            .iter()
                            .map(|(label, place)| DdlStatement::new(format!("ALTER {name} ADD VALUE {label}{place}"))),
                    );
                    continue;
                }
                _ => return swapped(before, after, old, new),
            },
            _ => return swapped(before, after, old, new),
        };
        statements.push(DdlStatement::new(text));
    }
    AlterMethod::InPlace { statements, disturbs: false }
}

/// Whether the type of this name is replaced, so that columns are converted to it.
pub(super) fn is_other(before: &Schema, after: &Schema, name: &str) -> bool {
    let Some(name) = QualifiedName::parse(name.trim_end_matches("[]")) else { return false };
    let find = |schema: &Schema| {
        let kinds = [Kind::Type, Kind::Domain].into_iter();
        kinds.filter_map(|kind| schema.get(&named(kind, name.schema(), name.name()))).next().cloned()
    };
    let Some((old, new)) = find(before).zip(find(after)) else { return false };
    let in_place = |fact: &str| match (new.id.kind, fact) {
        (Kind::Domain, "default" | "not null" | "not null constraint") => true,
        (Kind::Type, "labels") => {
            let labels = [&old, &new].map(|of| of.fact("labels").unwrap_or_default());
            added(labels[0], labels[1]).is_some_and(|added| !labels::is_used(after, &new.id, &added))
        }
        _ => false,
    };
    old.id.kind != new.id.kind || alter::FactDifferences::of(&old, &new).names().any(|fact| !in_place(fact))
}

/// The columns of tables that have a type, or an array of it, before and after; in their state before.
pub(super) fn columns_of<'a>(before: &'a Schema, after: &'a Schema, kind: &Id) -> Vec<&'a Object> {
    let name = QualifiedName::new(&*kind.schema, &*kind.name);
    let element = |of: &str| QualifiedName::parse(of.trim_end_matches("[]"));
    let is_ours = |object: &Object| object.fact("type").and_then(element).is_some_and(|of| of == name);
    let stays = |object: &Object| {
        let table = holder(&object.id, Kind::Table);
        let pair = before.get(&table).zip(after.get(&table));
        pair.is_some_and(|(old, new)| match partition::moves_rows(before, after, new) {
            true => false,
            false => old == new || !matches!(alter::object(before, after, old, new), AlterMethod::Remake),
        })
    };
    let columns = before.objects().map(|object| &**object).filter(|object| object.id.kind == Kind::Column);
    let kept = |object: &&Object| is_ours(object) && after.get(&object.id).is_some_and(|new| is_ours(new));
    columns.filter(kept).filter(|object| stays(object)).collect()
}

/// The attributes of composite types that have a type, or an array of it, before and after.
fn attributes_of<'a>(before: &'a Schema, after: &'a Schema, kind: &Id) -> Vec<&'a Object> {
    let name = QualifiedName::new(&*kind.schema, &*kind.name);
    let is_ours = |object: &Object| {
        let of = object.fact("type").and_then(|of| QualifiedName::parse(of.trim_end_matches("[]")));
        object.id.kind == Kind::Attribute && of.as_ref() == Some(&name)
    };
    let all = after.objects().filter(|new| is_ours(new));
    all.filter(|new| before.get(&new.id).is_some_and(|old| is_ours(old))).map(|new| &**new).collect()
}

/// The composite types that are replaced together with the type of one of their attributes: the server refuses to alter
/// an attribute if a column has the composite type, or another type made from it.
pub(super) fn with_it<'a>(before: &'a Schema, after: &'a Schema, kind: &Id) -> Vec<&'a Object> {
    let mut all: Vec<&Object> = Vec::new();
    for attribute in attributes_of(before, after, kind) {
        let of = after.get(&holder(&attribute.id, Kind::Type)).map(|of| &**of);
        all.extend(of.filter(|of| !all.iter().any(|known| known.id == of.id) && is_held(before, after, &of.id)));
    }
    all
}

/// Whether a column has a type, directly or as a part of another type.
fn is_held(before: &Schema, after: &Schema, kind: &Id) -> bool {
    let of_others = || attributes_of(before, after, kind).into_iter().map(|one| holder(&one.id, Kind::Type));
    !columns_of(before, after, kind).is_empty() || of_others().any(|other| is_held(before, after, &other))
}

/// The new type takes the place of the old one; if no column has it, it is simply re-created.
pub(super) fn swapped(before: &Schema, after: &Schema, old: &Object, new: &Object) -> AlterMethod {
    let columns = columns_of(before, after, &new.id);
    let attributes = attributes_of(before, after, &new.id);
    if columns.is_empty() && attributes.is_empty() {
        return AlterMethod::Remake;
    }
    let Some(mut made) = create::object(after, new) else { return AlterMethod::Remake };
    // If a column has an array of the domain, constraints cannot be added to the domain later.
    made.extend(after.children(&new.id, Kind::Constraint).filter_map(|one| create::object(after, one)).flatten());
    let aside = plain(&name::aside(before, after, &new.id));
    let rename = format!("ALTER {} RENAME TO {aside}", phrase(before, &old.id));
    let mut statements: Vec<DdlStatement> = [rename].into_iter().chain(made).map(DdlStatement::new).collect();
    for column in columns.iter().filter(|column| column.fact("inherited") != Some("only")) {
        let now = after.get(&column.id).map_or(*column, |now| &**now);
        statements.push(carried([before, after], [column, now], [old, new]));
    }
    let with = with_it(before, after, &new.id);
    for other in &with {
        let Some(old) = before.get(&other.id) else { continue };
        match swapped(before, after, old, other) {
            AlterMethod::InPlace { statements: all, .. } => statements.extend(all),
            AlterMethod::Remake => return AlterMethod::Remake,
        }
    }
    let is_made = |attribute: &Object| with.iter().any(|of| *of.id == holder(&attribute.id, Kind::Type));
    for attribute in attributes.into_iter().filter(|attribute| !is_made(attribute)) {
        let (of, name) = (parent(&attribute.id), plain(&attribute.id.name));
        let text = format!("ALTER TYPE {of} ALTER ATTRIBUTE {name} TYPE {}", attribute.fact("type").unwrap_or("text"));
        statements.push(DdlStatement::new(text));
    }
    statements.push(DdlStatement::new(format!(
        "DROP {} {}.{aside}",
        old.id.kind.as_str().to_uppercase(),
        plain(&new.id.schema)
    )));
    AlterMethod::InPlace { statements, disturbs: true }
}
