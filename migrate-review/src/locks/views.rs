//! What views read, and which views read a relation: from their definitions, in which every name is qualified.

use std::collections::BTreeMap;

use migrate_schema::{Kind, Object};
use squawk_syntax::ast::{self, AstNode};

use super::place::{ScriptContext, full, reached};
use crate::parse::parse;
use crate::tree::ObjectName;
use crate::tree::named;

impl ScriptContext<'_> {
    /// The relations that a view reads, including those that its views read. A materialized view has its own rows.
    pub(super) fn sources(&self, view: &ObjectName) -> Vec<ObjectName> {
        let read = |name: &ObjectName| {
            let view = self.table(name).filter(|one| name == view || one.id.kind == Kind::View);
            view.map(reads).unwrap_or_default()
        };
        reached(view, read)
    }

    /// The same for a relation that is used, not filled.
    pub(super) fn sources_of(&self, name: &ObjectName) -> Vec<ObjectName> {
        let is_view = self.table(name).is_some_and(|one| one.id.kind == Kind::View);
        if is_view { self.sources(name) } else { Vec::new() }
    }

    /// The views that read a relation, and the views on these. With a column, only those that can read this column.
    pub(super) fn readers(&self, table: &ObjectName, column: Option<&str>) -> Vec<ObjectName> {
        let Some(schema) = self.before else { return Vec::new() };
        let views = schema.of_kind(Kind::View).chain(schema.of_kind(Kind::MaterializedView));
        let views: Vec<&Object> = views.map(|one| &**one).collect();
        let mut parsed: BTreeMap<ObjectName, Vec<ObjectName>> = BTreeMap::new();
        let mut reads_it = |view: &Object, name: &ObjectName| {
            let text = view.fact("definition").unwrap_or_default();
            text.contains(&name.name) && parsed.entry(full(&view.id)).or_insert_with(|| reads(view)).contains(name)
        };
        let has_column = |view: &Object, column: &str| {
            let text = view.fact("definition").unwrap_or_default();
            migrate_base::sql::tokens(text).iter().any(|word| word.trim_matches('"') == column)
        };
        let of_table =
            |name: &ObjectName, view: &Object| name != table || column.is_none_or(|column| has_column(view, column));
        reached(table, |name| {
            let readers = views.iter().filter(|view| reads_it(view, name) && of_table(name, view));
            readers.map(|view| full(&view.id)).collect()
        })
    }
}

/// The relations that the definition of a view names. System relations, and names local to the query, are not qualified
/// there.
fn reads(view: &Object) -> Vec<ObjectName> {
    let tree = parse(view.fact("definition").unwrap_or_default()).tree();
    let names = tree.syntax().descendants().filter_map(ast::RelationNameRef::cast).filter_map(|name| named(&name));
    names.filter(|name| name.schema.is_some()).collect()
}
