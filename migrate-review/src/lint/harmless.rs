//! Findings of squawk that are harmless, or that another rule reports better. Squawk reads one file; here both schemas
//! are known.
//!
//! Each exception was measured: which locks are taken, and whether the table is read or rewritten.

use migrate_schema::{Kind, Object, SchemaDescription};
use squawk_linter::{Rule as Theirs, Violation};
use squawk_syntax::ast::{self, AlterTableAction, AstNode, Constraint};
use squawk_syntax::{SyntaxElement, SyntaxNode};

use super::LintSubject;
use super::script::{ParsedScript, relation};
use crate::tree::named;

/// Whether a finding of squawk need not be reported.
pub(super) fn is_harmless(subject: &LintSubject<'_>, parsed: &ParsedScript, found: &Violation) -> bool {
    let element = parsed.file.syntax_node().covering_element(found.text_range);
    let harmless = match found.code {
        Theirs::ConstraintMissingNotValid => around::<ast::AddConstraint>(&element).map(|it| has_own_rule(&it)),
        Theirs::BanDisableTrigger => around(&element).map(|it| fires_as_before(subject, parsed, &it)),
        _ => None,
    };
    harmless.unwrap_or(false)
}

/// The node of a kind at a place, or around it.
fn around<N: AstNode>(element: &SyntaxElement) -> Option<N> {
    element.ancestors().find_map(N::cast)
}

/// The table of the `ALTER TABLE` around a node, in the schema before.
fn table<'a>(before: &'a SchemaDescription, node: &SyntaxNode) -> Option<&'a Object> {
    let alter = node.ancestors().find_map(ast::AlterTable::cast)?;
    relation(before, &named(&alter.table_relation_name()?.table_name_ref()?)?)
}

/// Keys cannot be NOT VALID; like foreign keys they have a rule that says what to do.
fn has_own_rule(add: &ast::AddConstraint) -> bool {
    let own = |one| {
        matches!(
            one,
            Constraint::UniqueConstraint(_) | Constraint::PrimaryKeyConstraint(_) | Constraint::ForeignKeyConstraint(_)
        )
    };
    add.constraint().is_some_and(own)
}

/// Something that is disabled only within a transaction is not disabled for others, because writers wait. Row security
/// has its own rule.
fn fires_as_before(subject: &LintSubject<'_>, parsed: &ParsedScript, action: &AlterTableAction) -> bool {
    if matches!(action, AlterTableAction::DisableRls(_) | AlterTableAction::NoForceRls(_)) {
        return true;
    }
    let same = || {
        let (before, after) = (subject.before?, subject.after?);
        let table = table(before, action.syntax())?;
        let fires = |at: &SchemaDescription, kind| at.schema.children(&table.id, kind).cloned().collect::<Vec<_>>();
        let is_same = |kind| fires(before, kind) == fires(after, kind);
        Some(parsed.transaction && is_same(Kind::Trigger) && is_same(Kind::Rule))
    };
    !matches!(action, AlterTableAction::ForceRls(_)) && same().unwrap_or(false)
}
