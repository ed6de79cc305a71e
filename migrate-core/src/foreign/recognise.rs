//! Recognises the ledgers of other tools by their tables, in a catalog or in a schema that was read.

use std::collections::BTreeSet;

use migrate_base::ident::{QualifiedName, first_name};
use migrate_schema::{Id, Kind, Object, Schema};

use super::ForeignTool;
use super::tools::TOOLS;

/// The tool whose ledger a table is, by its name and its columns; `has_table` says whether its schema has a table.
///
/// A table with another name is recognised if the tool is known for one of its columns.
pub(super) fn tool_of(
    schema: &str,
    table: &str,
    columns: &[&str],
    has_table: impl Fn(&str) -> bool,
) -> Option<&'static ForeignTool> {
    let is_marked = |tool: &&ForeignTool| tool.mark.is_some_and(|mark| columns.contains(&mark));
    let named = TOOLS.iter().filter(|tool| tool.table == table);
    TOOLS.iter().filter(is_marked).chain(named).find(|tool| {
        // A common name, such as `migrations`, is the tool's only in the schema of the tool.
        (!tool.owns_schema || tool.schema == Some(schema) || is_marked(tool))
            && (!tool.is_exact || tool.columns.len() == columns.len())
            && tool.columns.iter().all(|column| columns.contains(column))
            && tool.beside.is_none_or(&has_table)
    })
}

/// Whether an object is a table, or a part of it: a column, an index, a sequence that it owns.
pub fn is_part_of(object: &Object, table: &QualifiedName) -> bool {
    owning_table(object).is_some_and(|owner| owner == *table)
}

/// The table that an object is, or is part of.
fn owning_table(object: &Object) -> Option<QualifiedName> {
    let id = &object.id;
    match id.kind {
        Kind::Table => Some(QualifiedName::new(&*id.schema, &*id.name)),
        Kind::Sequence => object.fact("owned by").and_then(table_of),
        _ => (!id.parent.is_empty()).then(|| QualifiedName::new(&*id.schema, &*id.parent)),
    }
}

impl ForeignTool {
    /// Whether an object is part of the tables of this tool, by their usual names or under the name of its ledger here.
    pub fn owns(&self, object: &Object, ledger: Option<&QualifiedName>) -> bool {
        let id = &object.id;
        let is_own = |table: &QualifiedName| {
            ledger == Some(table)
                || (self.schema.is_none_or(|own| own == table.schema())
                    && (self.owns_schema || self.table == table.name() || self.also.contains(&table.name())))
        };
        match (id.kind, owning_table(object)) {
            (Kind::Schema, _) => self.schema == Some(&id.name),
            (_, Some(table)) => is_own(&table),
            (Kind::Sequence, None) => false,
            (_, None) => self.owns_schema && self.schema == Some(&id.schema),
        }
    }
}

/// The schema without the ledgers of other tools, and without whatever else the tools keep beside them.
pub fn without(mut schema: Schema) -> Schema {
    let found: Vec<(&'static ForeignTool, QualifiedName)> = schema
        .of_kind(Kind::Table)
        .filter_map(|table| {
            let columns: Vec<&str> = schema.children(&table.id, Kind::Column).map(|column| &*column.id.name).collect();
            let has_table = |name: &str| schema.get(&Id::named(Kind::Table, &table.id.schema, name)).is_some();
            let tool = tool_of(&table.id.schema, &table.id.name, &columns, has_table)?;
            Some((tool, QualifiedName::new(&*table.id.schema, &*table.id.name)))
        })
        .collect();
    if found.is_empty() {
        return schema;
    }
    let tables: BTreeSet<(&str, &str)> = found
        .iter()
        .flat_map(|(tool, table)| {
            std::iter::once(table.name()).chain(tool.also.iter().copied()).map(|name| (table.schema(), name))
        })
        .collect();
    let owned: BTreeSet<&str> = found
        .iter()
        .filter(|(tool, table)| tool.owns_schema && tool.schema == Some(table.schema()))
        .map(|(_, table)| table.schema())
        .collect();
    let sequences: BTreeSet<Id> = schema
        .of_kind(Kind::Sequence)
        .filter(|sequence| {
            let owner = sequence.fact("owned by").and_then(table_of);
            owner.is_some_and(|table| tables.contains(&(table.schema(), table.name())))
        })
        .map(|sequence| (*sequence.id).clone())
        .collect();
    schema.retain(|id| {
        let of_table = tables.contains(&(&*id.schema, &*id.parent))
            || (id.kind == Kind::Table && tables.contains(&(&*id.schema, &*id.name)));
        let of_schema = owned.contains(&*id.schema) || (id.kind == Kind::Schema && owned.contains(&*id.name));
        !of_table && !of_schema && !sequences.contains(id)
    });
    // A schema that the tool created for its table alone.
    let created = found.iter().filter(|(tool, table)| tool.schema == Some(table.schema()));
    let empty: BTreeSet<&str> = created
        .map(|(_, table)| table.schema())
        .filter(|name| !schema.objects().any(|object| *object.id.schema == **name))
        .collect();
    schema.retain(|id| id.kind != Kind::Schema || !empty.contains(&*id.name));
    schema
}

/// The table of the column that a sequence is owned by: `identity of public.items.id`.
fn table_of(owner: &str) -> Option<QualifiedName> {
    let (schema, rest) = first_name(owner.strip_prefix("identity of ").unwrap_or(owner))?;
    let (table, _) = first_name(rest.strip_prefix('.')?)?;
    Some(QualifiedName::new(schema, table))
}
