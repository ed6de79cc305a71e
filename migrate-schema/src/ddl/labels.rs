//! Labels of enums: which are new, and whether they are used.

use std::collections::BTreeSet;

use migrate_base::ident::{QualifiedName, first_name, literal, literals};
use migrate_base::sql::{lex, quoted};

use super::DdlContext;
use super::fate::PartFate;
use super::name::{named, qualified};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The new labels of an enum, each with its position; `None` if others were removed or moved.
pub(super) fn added(was: &str, now: &str) -> Option<Vec<(String, String)>> {
    let (was, now) = (labels(was), labels(now));
    let kept: Vec<&String> = now.iter().filter(|label| was.contains(label)).collect();
    if !kept.iter().copied().eq(&was) {
        return None;
    }
    let mut added = Vec::new();
    for (at, label) in now.iter().enumerate().filter(|(_, label)| !was.contains(label)) {
        let place = match at.checked_sub(1).and_then(|before| now.get(before)) {
            Some(_) if was.is_empty() => String::new(),
            Some(before) => format!(" AFTER {before}"),
            None => was.first().map_or(String::new(), |first| format!(" BEFORE {first}")),
        };
        added.push((label.clone(), place));
    }
    // New labels are added at the end by default.
    if let Some(first) = now.len().checked_sub(added.len())
        && now[..first] == was
    {
        added.iter_mut().for_each(|(_, place)| place.clear());
    }
    Some(added)
}

/// The literals in a list of labels.
pub(super) fn labels(list: &str) -> Vec<String> {
    literals(list).iter().map(|label| literal(label)).collect()
}

/// Whether the new schema uses a new label: that is not possible in the transaction that adds it.
pub(super) fn is_used(after: &Schema, id: &Id, added: &[(String, String)]) -> bool {
    let own = qualified(id);
    let types = made_of(after, &own);
    let labels: Vec<String> = added.iter().filter_map(|(label, _)| Some(quoted(label)?.into_owned())).collect();
    let facts = after.objects().flat_map(|object| &object.facts);
    let mut texts =
        facts.filter(|fact| matches!(&*fact.name, "default" | "definition" | "using" | "check" | "generated"));
    texts.any(|fact| {
        let text = &*fact.value;
        labels.iter().any(|label| text.contains(label.as_str())) && {
            let mut all = cast_literals(text, &types);
            all.any(|(value, of)| {
                labels.iter().any(|label| if of == own { value == *label } else { value.contains(label) })
            })
        }
    })
}

/// The names of a type and of all types made from it: arrays, domains, ranges, composite types.
fn made_of(schema: &Schema, kind: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([kind.to_owned()]);
    loop {
        let is_known = |of: Option<&str>| of.is_some_and(|of| all.contains(of.trim_end_matches("[]")));
        let made = |object: &Object| match object.id.kind {
            Kind::Domain if is_known(object.fact("type")) => vec![qualified(&object.id)],
            Kind::Type if is_known(object.fact("subtype")) => {
                [qualified(&object.id)].into_iter().chain(object.fact("multirange").map(str::to_owned)).collect()
            }
            Kind::Attribute if is_known(object.fact("type")) => vec![super::name::parent(&object.id)],
            _ => Vec::new(),
        };
        let more: Vec<String> = schema.objects().flat_map(|object| made(object)).collect();
        let known = all.len();
        all.extend(more);
        if all.len() == known {
            return all;
        }
    }
}

/// The literals in a text that are cast to one of these types or to an array of it: their values, each with the type.
fn cast_literals<'a>(text: &'a str, types: &'a BTreeSet<String>) -> impl Iterator<Item = (String, &'a str)> {
    let literals = lex::words(text).filter(|(_, span)| text[span.clone()].ends_with('\''));
    literals.filter_map(move |(_, span)| {
        let of = type_at(text[span.end..].strip_prefix("::")?)?;
        types.contains(of.trim_end_matches("[]")).then(|| Some((quoted(&text[span])?.into_owned(), of)))?
    })
}

/// The type at the start of a text, with array brackets.
fn type_at(text: &str) -> Option<&str> {
    let (_, mut rest) = first_name(text)?;
    while let Some((_, more)) = rest.strip_prefix('.').and_then(first_name) {
        rest = more;
    }
    while let Some(more) = rest.strip_prefix("[]") {
        rest = more;
    }
    text.get(..text.len() - rest.len())
}

/// Whether the bound of a partition uses a label that the same script adds to an enum.
pub(super) fn is_new_in_bound(sides: &DdlContext<'_>, partition: &Object) -> bool {
    let Some(bound) = partition.fact("partition bound") else { return false };
    let parent = partition.fact("parents").and_then(QualifiedName::parse);
    let Some(parent) = parent.map(|parent| named(Kind::Table, parent.schema(), parent.name())) else { return false };
    let columns = sides.after.schema.children(&parent, Kind::Column);
    let mut types = columns.filter_map(|column| QualifiedName::parse(column.fact("type")?));
    types.any(|of| {
        let of = named(Kind::Type, of.schema(), of.name());
        let Some((old, new)) = sides.before.schema.get(&of).zip(sides.after.schema.get(&of)) else { return false };
        let part = SchemaPart::object(&new.id);
        let is_extended = sides.fates.get(&part) == PartFate::Altered && !sides.fates.is_swapped(&part);
        let added = added(old.fact("labels").unwrap_or_default(), new.fact("labels").unwrap_or_default());
        is_extended && added.is_some_and(|added| added.iter().any(|(label, _)| bound.contains(label.as_str())))
    })
}
