//! What squawk finds and is harmless, or told better by another rule. It reads one file; here both schemas are known.
//!
//! Each exception was measured: which locks, whether the table is read or written anew.

use squawk_linter::{Rule as Theirs, Violation};
use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Constraint};
use squawk_syntax::{SyntaxElement, SyntaxNode};

use super::Subject;
use super::script::{Named, Parsed, named, relation};
use crate::ident::plain;
use crate::schema::{Described, Kind, Object};

/// Whether nothing has to be said about what squawk found.
pub(super) fn is_harmless(subject: &Subject<'_>, parsed: &Parsed<'_>, found: &Violation) -> bool {
    let element = parsed.file.syntax_node().covering_element(found.text_range);
    let harmless = match found.code {
        Theirs::AddingForeignKeyConstraint => around::<ast::AddColumn>(&element).map(|it| holds_nulls(&it)),
        Theirs::AddingFieldWithDefault => around::<Constraint>(&element).map(|it| is_computed_once(&it)),
        Theirs::ConstraintMissingNotValid => around::<ast::AddConstraint>(&element).map(|it| has_own_rule(&it)),
        Theirs::AddingNotNullableField => around::<ast::AlterColumn>(&element).map(|it| is_proven(subject, &it)),
        Theirs::ChangingColumnType => around::<ast::AlterColumn>(&element).map(|it| is_wider(subject, &it)),
        Theirs::RequireConcurrentIndexCreation => around::<ast::CreateIndex>(&element).map(|it| is_hull(subject, &it)),
        Theirs::BanDisableTrigger => around(&element).map(|it| fires_as_before(subject, parsed, &it)),
        _ => None,
    };
    harmless.unwrap_or(false)
}

/// The node of a kind that a place is, or is in.
fn around<N: AstNode>(element: &SyntaxElement) -> Option<N> {
    element.ancestors().find_map(N::cast)
}

/// The table of the `ALTER TABLE` around a node, as it is before.
fn table<'a>(before: &'a Described, node: &SyntaxNode) -> Option<&'a Object> {
    let alter = node.ancestors().find_map(ast::AlterTable::cast)?;
    relation(before, &named(&alter.table_relation_name()?.table_name_ref()?)?)
}

fn column<'a>(at: &'a Described, table: &'a Object, name: &Named) -> Option<&'a Object> {
    at.schema.children(&table.id, Kind::Column).map(|one| &**one).find(|one| *one.id.name == *name.name)
}

/// The checks of a table that hold for all rows.
fn checks<'a>(at: &'a Described, table: &'a Object) -> impl Iterator<Item = &'a str> {
    let definitions = at.schema.children(&table.id, Kind::Constraint).filter_map(|one| one.fact("definition"));
    definitions.filter(|text| text.starts_with("CHECK ") && !text.ends_with(" NOT VALID"))
}

/// A new column without a default is NULL in all rows, so its foreign key holds without looking at one.
fn holds_nulls(column: &ast::AddColumn) -> bool {
    !column
        .constraints()
        .any(|one| matches!(one, Constraint::DefaultConstraint(_) | Constraint::GeneratedConstraint(_)))
}

/// Functions of which defaults are made, and that give the same for the whole statement.
const STABLE: [&str; 12] = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "date_trunc",
    "timezone",
    "make_date",
    "make_interval",
    "jsonb_build_object",
    "jsonb_build_array",
    "lower",
    "upper",
    "current_setting",
];

/// A default without a volatile function is computed once and kept in the catalog; a virtual column is not stored.
fn is_computed_once(constraint: &Constraint) -> bool {
    let is_stable = |call: ast::CallExpr| {
        let name = call.expr().and_then(|name| named(&name));
        name.is_some_and(|name| STABLE.contains(&name.name.as_str()))
    };
    match constraint {
        Constraint::DefaultConstraint(it) => it.syntax().descendants().filter_map(ast::CallExpr::cast).all(is_stable),
        Constraint::GeneratedConstraint(it) => {
            it.syntax().descendants().any(|node| ast::Virtual::can_cast(node.kind()))
        }
        _ => false,
    }
}

/// Keys cannot be NOT VALID; like foreign keys they have a rule that says what can be done.
fn has_own_rule(add: &ast::AddConstraint) -> bool {
    let own = |one| {
        matches!(
            one,
            Constraint::UniqueConstraint(_) | Constraint::PrimaryKeyConstraint(_) | Constraint::ForeignKeyConstraint(_)
        )
    };
    add.constraint().is_some_and(own)
}

/// Where a check says so already, SET NOT NULL does not read the table.
fn is_proven(subject: &Subject<'_>, alter: &ast::AlterColumn) -> bool {
    let proof = || {
        let before = subject.before?;
        let column = named(&alter.column_name_ref()?)?;
        let wanted = format!("CHECK (({} IS NOT NULL))", plain(&column.name));
        Some(checks(before, table(before, alter.syntax())?).any(|check| check == wanted))
    };
    proof().unwrap_or(false)
}

/// A type that takes all old values as they are stored is only written into the catalog. A check
/// that reads the column would be proven anew, for which all rows are read.
fn is_wider(subject: &Subject<'_>, alter: &ast::AlterColumn) -> bool {
    let wider = || {
        let Some(AlterColumnOption::SetType(set)) = alter.option() else { return None };
        let (before, after) = (subject.before?, subject.after?);
        let (table, name) = (table(before, alter.syntax())?, named(&alter.column_name_ref()?)?);
        let (old, new) = (column(before, table, &name)?, column(after, table, &name)?);
        let is_checked = checks(before, table).any(|check| check.contains(&*name.name));
        let takes_all = takes_all(old.fact("type")?, new.fact("type")?);
        Some(takes_all && !is_checked && set.using_expr().is_none() && old.fact("collation") == new.fact("collation"))
    };
    wider().unwrap_or(false)
}

/// Whether a type stores all values of another one in the same way.
fn takes_all(old: &str, new: &str) -> bool {
    let parts = |text: &str| -> (String, Vec<u32>) {
        let (name, rest) = text.split_once('(').unwrap_or((text, ""));
        (name.to_owned(), rest.trim_end_matches(')').split(',').filter_map(|number| number.parse().ok()).collect())
    };
    match (parts(old), parts(new)) {
        ((old, _), (new, to)) if old == "character varying" && (new == "text" || new == old && to.is_empty()) => true,
        ((old, from), (new, to)) if old == new && old == "character varying" => !from.is_empty() && from[0] <= to[0],
        ((old, from), (new, to)) if old == new && old == "numeric" => {
            to.is_empty() || from.len() == 2 && from[0] <= to[0] && from[1] == to[1]
        }
        _ => false,
    }
}

/// An index of the partitioned table alone reads no row; those of the partitions are attached to it.
fn is_hull(subject: &Subject<'_>, create: &ast::CreateIndex) -> bool {
    let hull = || {
        let on = create.table_relation_name()?;
        let table = relation(subject.before?, &named(&on.table_name_ref()?)?)?;
        Some(on.only_token().is_some() && table.fact("partition key").is_some())
    };
    hull().unwrap_or(false)
}

/// What is off only within a transaction is off for nobody else, for writers wait. Row security has a rule of its own.
fn fires_as_before(subject: &Subject<'_>, parsed: &Parsed<'_>, action: &AlterTableAction) -> bool {
    if matches!(action, AlterTableAction::DisableRls(_) | AlterTableAction::NoForceRls(_)) {
        return true;
    }
    let same = || {
        let (before, after) = (subject.before?, subject.after?);
        let table = table(before, action.syntax())?;
        let fires = |at: &Described, kind| at.schema.children(&table.id, kind).cloned().collect::<Vec<_>>();
        let is_same = |kind| fires(before, kind) == fires(after, kind);
        Some(parsed.transaction && is_same(Kind::Trigger) && is_same(Kind::Rule))
    };
    !matches!(action, AlterTableAction::ForceRls(_)) && same().unwrap_or(false)
}
