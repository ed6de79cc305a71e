//! `foreign-key-without-index`: deleting a row of the referenced table reads the whole referencing table.

use migrate_base::ident::plain;
use migrate_schema::{Kind, Object, SchemaDescription};
use squawk_syntax::ast::{self, AstNode};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::locks::columns;
use crate::tree::{ObjectName, span};

pub(super) const RULE: LintRule = rule(
    "foreign-key-without-index",
    RuleClass::Design,
    Severity::Warning,
    include_str!("../pages/foreign-key-without-index.md"),
    check,
);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let (Some(before), Some(after)) = (subject.before, subject.after) else { return Vec::new() };
    let new = after
        .schema
        .objects()
        .filter(|one| one.id.kind == Kind::Constraint && is_foreign_key(one) && before.schema.get(&one.id).is_none());
    let bare = new.filter(|key| !has_index(after, key));
    let hit = |key: &std::sync::Arc<Object>| {
        let columns = columns(key.fact("definition").and_then(|text| text.strip_prefix("FOREIGN KEY ("))?);
        let name = ObjectName { schema: Some(key.id.schema.to_string()), name: key.id.parent.to_string() };
        let (table, how) = (name.to_string(), if subject.is_released(parsed, &name) { "CONCURRENTLY " } else { "" });
        let hit = RuleHit::new(
            place(parsed, key, &columns),
            format!("no index of {table} starts with {}", columns.join(", ")),
        )
        .note("to delete a row of the referenced table or change its key, the server reads this whole table")
        .help(format!("CREATE INDEX {how}ON {table} ({})", columns.join(", ")));
        Some(hit)
    };
    bare.filter_map(hit).collect()
}

fn is_foreign_key(constraint: &Object) -> bool {
    constraint.fact("definition").is_some_and(|text| text.starts_with("FOREIGN KEY"))
        && constraint.fact("inherited").is_none()
}

/// Whether an index or a key starts with the columns of a foreign key, in any order.
fn has_index(after: &SchemaDescription, key: &Object) -> bool {
    let wanted = columns(key.fact("definition").unwrap_or_default().trim_start_matches("FOREIGN KEY ("));
    let table =
        migrate_schema::Id { kind: Kind::Table, name: key.id.parent.clone(), parent: "".into(), ..(*key.id).clone() };
    let starts = |one: &std::sync::Arc<Object>| {
        let definition = one.fact("definition").unwrap_or_default();
        // A partial index does not help with the rows that it leaves out. Rows whose key is NULL are never looked up,
        // though.
        let is_whole = definition
            .split_once(" WHERE ")
            .is_none_or(|(_, part)| wanted.iter().any(|column| part == format!("({} IS NOT NULL)", plain(column))));
        let list = match one.id.kind {
            Kind::Index => {
                definition.split_once(" USING ").and_then(|(_, rest)| rest.split_once('(')).map(|(_, list)| list)
            }
            _ => definition.strip_prefix("PRIMARY KEY (").or_else(|| definition.strip_prefix("UNIQUE (")),
        };
        let found = list.map(columns).unwrap_or_default();
        let head = found.get(..wanted.len()).unwrap_or_default();
        is_whole && !head.is_empty() && wanted.iter().all(|column| head.contains(column))
    };
    let mut all = after.schema.children(&table, Kind::Index).chain(after.schema.children(&table, Kind::Constraint));
    all.any(starts)
}

/// The place of the foreign key; the first statement if it cannot be found.
fn place(parsed: &ParsedScript, key: &Object, columns: &[String]) -> std::ops::Range<usize> {
    let tree = parsed.file.tree();
    let nodes = tree.syntax().descendants().filter(|node| {
        ast::ForeignKeyConstraint::can_cast(node.kind()) || ast::ReferencesConstraint::can_cast(node.kind())
    });
    let about = |node: &squawk_syntax::SyntaxNode| {
        let mut around = node.ancestors().take(4).map(|node| node.text().to_string());
        let named =
            |text: &String| columns.iter().all(|column| text.contains(column.as_str())) || text.contains(&*key.id.name);
        around.any(|text| named(&text))
    };
    let found = nodes.filter(about).map(|node| {
        let text = node.text_range();
        usize::from(text.start())..usize::from(text.end())
    });
    let first = || parsed.statements.first().map_or(0..0, |(_, stmt)| span(stmt));
    found.min_by_key(|span| span.start).unwrap_or_else(first)
}
