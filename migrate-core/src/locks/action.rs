//! The actions of `ALTER TABLE`: which form each is, and what else it is about.

use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Constraint, DetachPartitionOption};

use super::Asked;
use super::place::{Known, refers_to};
use super::statement::referenced;
use super::table::{Form, Role};
use super::work::{Work, efforts, has_word};
use crate::lint::Named;
use crate::lint::script::named;
use crate::schema::Object;

/// Options of a table or an index for which nobody may use it meanwhile.
const STRONG: [&str; 6] =
    ["user_catalog_table", "buffering", "fastupdate", "gin_pending_list_limit", "autosummarize", "pages_per_range"];

/// Whether an option is one of them.
pub(super) fn is_strong(options: &impl AstNode) -> bool {
    STRONG.iter().any(|name| has_word(options.syntax(), name))
}

/// What an action asks for.
pub(super) fn asked(known: &Known<'_>, table: &Named, only: bool, action: &AlterTableAction, utc: bool) -> Asked {
    let form = form(action);
    let work = efforts(known, table, action, utc).iter().map(|effort| effort.work).max().unwrap_or_default();
    let asked = Asked { only, work, ..Asked::new(form, table.clone()) };
    match action {
        AlterTableAction::AddColumn(it) => {
            let is_read = work > Work::Nothing && efforts_are_keys(known, table, action);
            Asked { referenced: referenced(it.syntax()), worked: worked(is_read), ..asked }
        }
        AlterTableAction::AddConstraint(it) => {
            let form = match form {
                Form::AddKey if !known.is_partitioned(table) => Form::AddOwnKey,
                Form::AddConstraint if has_word(it.syntax(), "inherit") => Form::AddOwnCheck,
                form => form,
            };
            let worked = match form {
                Form::AddOwnKey | Form::AddOwnCheck => vec![Role::Target],
                _ => worked(true),
            };
            Asked { form, referenced: referenced(it.syntax()), worked, ..asked }
        }
        AlterTableAction::DropColumn(it) => {
            let name = it.column_name_ref().and_then(|name| named(&name));
            Asked { partners: with_column(known, table, name), ..asked }
        }
        AlterTableAction::AlterColumn(it) if matches!(it.option(), Some(AlterColumnOption::SetType(_))) => {
            let name = it.column_name_ref().and_then(|name| named(&name));
            Asked { partners: with_column(known, table, name), ..asked }
        }
        AlterTableAction::DropConstraint(it) => {
            let name = it.constraint_name_ref().and_then(|name| named(&name));
            let is_key = |one: &Object| name.as_ref().is_some_and(|name| *one.id.name == *name.name);
            let refers = known.is_key(table, name.as_ref());
            Asked { partners: known.partners(table, |key, own| if own { is_key(key) } else { refers }), ..asked }
        }
        AlterTableAction::ValidateConstraint(it) => {
            let name = it.constraint_name_ref().and_then(|name| named(&name));
            let is_it = |one: &Object| name.as_ref().is_some_and(|name| *one.id.name == *name.name);
            let worked = vec![Role::Target, Role::Child, Role::Partner];
            Asked { partners: known.partners(table, |key, own| own && is_it(key)), worked, ..asked }
        }
        AlterTableAction::AttachPartition(it) => {
            let other = it.table_name_ref().and_then(|name| named(&name));
            let work = if known.implies_bound(table, other.as_ref()) { Work::Nothing } else { Work::Reads };
            Asked { other: other.into_iter().collect(), work, worked: vec![Role::Other, Role::Default], ..asked }
        }
        AlterTableAction::DetachPartition(it) => {
            Asked { other: it.table_name_ref().and_then(|name| named(&name)).into_iter().collect(), ..asked }
        }
        AlterTableAction::InheritTable(it) => {
            Asked { other: it.table_name_ref().and_then(|name| named(&name)).into_iter().collect(), ..asked }
        }
        AlterTableAction::NoInheritTable(it) => {
            let other = it.syntax().descendants().find_map(ast::TableNameRef::cast).and_then(|name| named(&name));
            Asked { other: other.into_iter().collect(), ..asked }
        }
        AlterTableAction::SplitPartition(it) => {
            let other = it.table_name_ref().and_then(|name| named(&name));
            Asked { other: other.into_iter().collect(), work: Work::Rewrites, worked: vec![Role::Other], ..asked }
        }
        AlterTableAction::MergePartitions(it) => {
            let other =
                it.table_name_ref_list().into_iter().flat_map(|list| list.syntax().descendants().collect::<Vec<_>>());
            let other = other.filter_map(ast::TableNameRef::cast).filter_map(|name| named(&name)).collect();
            Asked { other, work: Work::Rewrites, worked: vec![Role::Other], ..asked }
        }
        _ if form == Form::Trigger => Asked { only: !known.has_triggers(table), ..asked },
        _ => asked,
    }
}

fn worked(referenced: bool) -> Vec<Role> {
    let more = referenced.then_some(Role::Referenced);
    [Role::Target, Role::Child].into_iter().chain(more).collect()
}

fn efforts_are_keys(known: &Known<'_>, table: &Named, action: &AlterTableAction) -> bool {
    efforts(known, table, action, false).iter().any(|effort| effort.cause == super::work::Cause::ForeignKey)
}

/// The other sides of foreign keys with a column, on whichever side it stands.
fn with_column(known: &Known<'_>, table: &Named, column: Option<Named>) -> Vec<Named> {
    let Some(column) = column else { return Vec::new() };
    known.partners(table, |key, own| {
        let text = key.fact("definition").unwrap_or_default();
        let (first, second) = text.split_once(" REFERENCES ").unwrap_or((text, ""));
        let list = if own { first } else { second };
        refers_to(key).is_some()
            && list.split_once('(').is_some_and(|(_, list)| super::place::columns(list).contains(&column.name))
    })
}

fn form(action: &AlterTableAction) -> Form {
    use AlterTableAction as A;
    match action {
        A::AddColumn(_) => Form::AddColumn,
        A::DropColumn(_) => Form::DropColumn,
        A::AlterColumn(it) => of_column(it),
        A::AddConstraint(it) => match it.constraint() {
            Some(Constraint::ForeignKeyConstraint(_)) => Form::AddForeignKey,
            Some(
                Constraint::UniqueConstraint(_)
                | Constraint::PrimaryKeyConstraint(_)
                | Constraint::ExcludeConstraint(_),
            ) => Form::AddKey,
            _ => Form::AddConstraint,
        },
        A::DropConstraint(_) => Form::DropConstraint,
        A::ValidateConstraint(_) => Form::ValidateConstraint,
        A::AlterConstraint(_) => Form::AlterConstraint,
        A::EnableTrigger(_) | A::DisableTrigger(_) | A::EnableAlwaysTrigger(_) | A::EnableReplicaTrigger(_) => {
            Form::Trigger
        }
        A::ClusterOn(_) | A::SetWithoutCluster(_) => Form::TableSettings,
        A::SetOptions(it) if is_strong(it) => Form::StrongStorage,
        A::ResetOptions(it) if is_strong(it) => Form::StrongStorage,
        A::SetOptions(_) | A::ResetOptions(_) => Form::Storage,
        A::RenameColumn(_) | A::RenameConstraint(_) => Form::Rename,
        A::AttachPartition(_) => Form::Attach,
        A::DetachPartition(it) => match it.detach_partition_option() {
            None => Form::Detach,
            Some(DetachPartitionOption::DetachConcurrently(_)) => Form::DetachConcurrently,
            Some(DetachPartitionOption::DetachFinalize(_)) => Form::DetachFinalize,
        },
        A::InheritTable(_) => Form::Inherit,
        A::NoInheritTable(_) => Form::NoInherit,
        A::SplitPartition(_) | A::MergePartitions(_) => Form::SplitPartition,
        _ => Form::OwnTable,
    }
}

fn of_column(alter: &ast::AlterColumn) -> Form {
    use AlterColumnOption as O;
    match alter.option() {
        Some(O::SetStatistics(_) | O::SetOptions(_) | O::SetOptionsList(_) | O::ResetOptions(_)) => {
            Form::ColumnStatistics
        }
        Some(O::SetDefault(_) | O::DropDefault(_)) => Form::AlterDefault,
        Some(
            O::AddGenerated(_)
            | O::DropIdentity(_)
            | O::SetGenerated(_)
            | O::SetGeneratedOptions(_)
            | O::SetSequenceOption(_)
            | O::Restart(_),
        ) => Form::AlterIdentity,
        _ => Form::AlterColumn,
    }
}
