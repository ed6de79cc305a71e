//! What the new migrations change in the schema, for the report: sentences, and the tables of a diagram.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_base::ident::first_name;
use migrate_schema::ddl::unowned;
use migrate_schema::{Id, Kind, Object, Schema, SchemaChange, SchemaDescription, SideNames};

use crate::report::{DiagramColumn, DiagramFate, DiagramTable};

const SIDES: SideNames<'_> = SideNames { before: "before", after: "after" };

/// The difference, one line for each object: `+` if it is added, `-` if it is dropped, `~` if it is changed.
pub(crate) fn difference(before: &SchemaDescription, after: &SchemaDescription) -> Vec<String> {
    let sentences = SchemaChange::between(&unowned(&before.schema), &unowned(&after.schema)).sentences(SIDES);
    let marked = |line: String| match (line.strip_suffix(": only after"), line.strip_suffix(": only before")) {
        (Some(what), _) => format!("+ {what}"),
        (_, Some(what)) => format!("- {what}"),
        _ => format!("~ {line}"),
    };
    sentences.into_iter().map(marked).collect()
}

/// The tables that are changed, with their columns and the tables that their foreign keys reference.
pub(crate) fn tables(before: &SchemaDescription, after: &SchemaDescription) -> Vec<DiagramTable> {
    let (before, after) = (&before.schema, &after.schema);
    let of = |schema: &Schema| {
        schema.objects().filter(|one| one.id.kind == Kind::Table).map(|one| one.id.clone()).collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<Arc<Id>> = of(before).union(&of(after)).cloned().collect();
    all.iter().filter_map(|id| table(before, after, id)).filter(|table| table.fate != DiagramFate::Same).collect()
}

fn table(before: &Schema, after: &Schema, id: &Id) -> Option<DiagramTable> {
    let (was, is) = (before.get(id), after.get(id));
    // A dropped table is shown as it was.
    let shown = if is.is_some() { after } else { before };
    let columns = columns(before, after, id);
    let fate = match (was, is) {
        (None, _) => DiagramFate::Added,
        (_, None) => DiagramFate::Dropped,
        (Some(_), Some(_)) if parts(before, id) == parts(after, id) => DiagramFate::Same,
        _ => DiagramFate::Changed,
    };
    let references = shown.children(id, Kind::Constraint).filter_map(|one| reference(one)).collect();
    Some(DiagramTable { name: format!("{}.{}", id.schema, id.name), fate, columns, references })
}

/// All parts of a table.
fn parts<'a>(schema: &'a Schema, id: &'a Id) -> Vec<&'a Arc<Object>> {
    let kinds = [Kind::Column, Kind::Constraint, Kind::Index, Kind::Trigger, Kind::Policy, Kind::Rule];
    schema.get(id).into_iter().chain(kinds.into_iter().flat_map(|kind| schema.children(id, kind))).collect()
}

/// The columns after the change, followed by the dropped ones.
fn columns(before: &Schema, after: &Schema, id: &Id) -> Vec<DiagramColumn> {
    let ordered = |schema: &Schema| {
        let mut columns: Vec<Arc<Object>> = schema.children(id, Kind::Column).cloned().collect();
        columns.sort_by_key(|column| column.position);
        columns
    };
    let is_new = before.get(id).is_none() || after.get(id).is_none();
    let kept = ordered(after).into_iter().map(|column| {
        let fate = match before.get(&column.id) {
            _ if is_new => DiagramFate::Same,
            None => DiagramFate::Added,
            Some(old) if *old == column => DiagramFate::Same,
            Some(_) => DiagramFate::Changed,
        };
        (after, column, fate)
    });
    let gone = ordered(before).into_iter().filter(|column| after.get(&column.id).is_none());
    let gone = gone.map(|column| (before, column, if is_new { DiagramFate::Same } else { DiagramFate::Dropped }));
    kept.chain(gone)
        .map(|(schema, column, fate)| DiagramColumn {
            name: column.id.name.to_string(),
            kind: column.fact("type").unwrap_or_default().to_owned(),
            is_key: is_key(schema, id, &column.id.name),
            fate,
        })
        .collect()
}

fn is_key(schema: &Schema, table: &Id, column: &str) -> bool {
    let lists = |one: &Arc<Object>| {
        let mut rest = one.fact("definition").and_then(|text| text.strip_prefix("PRIMARY KEY (")).unwrap_or("");
        while let Some((name, after)) = first_name(rest) {
            if name == column {
                return true;
            }
            rest = after.strip_prefix(", ").unwrap_or("");
        }
        false
    };
    schema.children(table, Kind::Constraint).any(lists)
}

/// The table that a foreign key references, and the columns of the key.
fn reference(constraint: &Object) -> Option<(String, String)> {
    let (own, rest) = constraint.fact("definition")?.strip_prefix("FOREIGN KEY (")?.split_once(") REFERENCES ")?;
    let (schema, rest) = first_name(rest)?;
    let (table, _) = first_name(rest.strip_prefix('.')?)?;
    Some((format!("{schema}.{table}"), own.to_owned()))
}
