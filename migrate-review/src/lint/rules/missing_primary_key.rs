//! `missing-primary-key`: a new table has no primary key.

use migrate_schema::Kind;
use squawk_syntax::ast::{self, AstNode, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::lint::script::relation;
use crate::tree::{ObjectName, named, span};

pub(super) const RULE: LintRule = rule(
    "missing-primary-key",
    RuleClass::Design,
    Severity::Warning,
    include_str!("../pages/missing-primary-key.md"),
    check,
);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let made = parsed.statements.iter().filter_map(|(_, stmt)| match stmt {
        // A partition or a child table has the key of its parent, or cannot declare one here.
        Stmt::CreateTable(it) if it.partition_of().is_none() && it.inherits().is_none() => Some(it),
        _ => None,
    });
    let hit = |create: &ast::CreateTable| {
        let name = create.table_name()?;
        let table = named(&name)?;
        let is_temporary = create
            .persistence()
            .is_some_and(|how| how.syntax().text().to_string().to_ascii_lowercase().contains("temp"));
        (!is_temporary && !has_key(subject, create, &table)).then(|| {
            RuleHit::new(span(&name), format!("table {table} has no primary key"))
                .note("its rows cannot be told apart, and logical replication cannot replicate an UPDATE or DELETE")
                .help("add id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
        })
    };
    made.filter_map(hit).collect()
}

/// Looks at the schema afterwards, if that is known: a later statement may add the key.
fn has_key(subject: &LintSubject<'_>, create: &ast::CreateTable, table: &ObjectName) -> bool {
    if let Some(after) = subject.after {
        let Some(table) = relation(after, table) else { return true };
        let mut keys = after.schema.children(&table.id, Kind::Constraint);
        return keys.any(|one| one.fact("definition").is_some_and(|text| text.starts_with("PRIMARY KEY")));
    }
    create.syntax().descendants().any(|node| ast::PrimaryKeyConstraint::can_cast(node.kind()))
}
