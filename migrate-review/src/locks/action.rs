//! The actions of `ALTER TABLE`: the form of each, and the other relations that it is about.

use migrate_schema::Object;
use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Constraint, DetachPartitionOption};

use super::RelationForm;
use super::place::{ScriptContext, columns};
use super::proven::is_valid;
use super::query::referenced;
use super::table::{RelationRole, StatementForm};
use super::work::{PlacedWork, RowWork, WorkCause, child_efforts, efforts, has_word, is_null_by_default, key_fills};
use crate::tree::ObjectName;
use crate::tree::named;

/// Options of a table or an index whose change blocks all use.
const STRONG: [&str; 6] =
    ["user_catalog_table", "buffering", "fastupdate", "gin_pending_list_limit", "autosummarize", "pages_per_range"];

/// Whether an option is one of them.
pub(super) fn is_strong(options: &impl AstNode) -> bool {
    STRONG.iter().any(|name| has_word(options.syntax(), name))
}

/// An altered table, by its full name before the script.
#[derive(Debug, Clone)]
pub(crate) struct AlteredTable {
    pub(crate) table: ObjectName,
    /// Whether partitions and children are left out.
    pub(crate) only: bool,
}

impl AlteredTable {
    /// The table of a statement.
    pub(crate) fn of(known: &ScriptContext<'_>, alter: &ast::AlterTable) -> Option<Self> {
        let name = alter.table_relation_name()?;
        let table = known.named(&name.table_name_ref()?)?;
        Some(Self { table, only: name.only_token().is_some() })
    }

    /// What an action does with the rows of the table and of each of its partitions and children.
    pub(crate) fn efforts(
        &self,
        known: &ScriptContext<'_>,
        action: &AlterTableAction,
    ) -> Vec<(ObjectName, PlacedWork)> {
        let own = efforts(known, &self.table, action).into_iter().map(|effort| (self.table.clone(), effort));
        let children = if self.only { Vec::new() } else { known.children(&self.table) };
        let of_children = children.into_iter().flat_map(|child| {
            let efforts = child_efforts(known, &self.table, &child, action);
            efforts.into_iter().map(|effort| (child.clone(), effort)).collect::<Vec<_>>()
        });
        own.chain(of_children).collect()
    }

    /// The locks that an action asks for.
    pub(super) fn asked(&self, known: &ScriptContext<'_>, action: &AlterTableAction) -> RelationForm {
        use AlterTableAction as A;
        let efforts = self.efforts(known, action);
        let is_key = efforts.iter().any(|(_, effort)| effort.cause == WorkCause::ForeignKey);
        let works = efforts.iter().map(|(name, effort)| (name.clone(), effort.work));
        let asked = RelationForm::new(form(action), self.table.clone()).on(works).only(self.only);
        // The other side of a key is read too when the key is checked.
        let keyed = if is_key { RowWork::Reads } else { RowWork::Nothing };
        match action {
            A::AddColumn(it) => {
                // NULL is not looked up.
                let keyed = if is_null_by_default(it) { RowWork::Nothing } else { keyed };
                RelationForm {
                    referenced: referenced(known, it.syntax()),
                    ..asked.doing(RelationRole::Referenced, keyed)
                }
            }
            A::AddConstraint(it) => {
                let form = match asked.form {
                    // Children do not get the key, but those of its columns that can be NULL become NOT NULL in them.
                    StatementForm::AddKey if key_fills(known, &self.table, it) => StatementForm::AddConstraint,
                    StatementForm::AddKey if !known.is_partitioned(&self.table) => StatementForm::AddOwnKey,
                    StatementForm::AddForeignKey if !known.is_partitioned(&self.table) => {
                        StatementForm::AddOwnForeignKey
                    }
                    StatementForm::AddConstraint if has_word(it.syntax(), "inherit") => StatementForm::AddOwnCheck,
                    form => form,
                };
                let asked = asked.doing(RelationRole::Referenced, keyed);
                RelationForm { form, referenced: referenced(known, it.syntax()), ..asked }
            }
            A::DropColumn(_)
            | A::DropConstraint(_)
            | A::AlterColumn(_)
            | A::ValidateConstraint(_)
            | A::AlterConstraint(_) => self.with_partners(known, action, asked),
            A::AttachPartition(it) => self.attached(known, it, asked),
            A::DetachPartition(it) => RelationForm { other: one(known, it.table_name_ref()), ..asked },
            A::InheritTable(it) => RelationForm { other: one(known, it.table_name_ref()), ..asked },
            A::NoInheritTable(it) => {
                RelationForm { other: one(known, it.syntax().descendants().find_map(ast::TableNameRef::cast)), ..asked }
            }
            A::SplitPartition(it) => RelationForm {
                other: one(known, it.table_name_ref()),
                ..asked.doing(RelationRole::Other, RowWork::Rewrites)
            },
            A::MergePartitions(it) => {
                let list = it.table_name_ref_list();
                let names = list.into_iter().flat_map(|list| list.syntax().descendants().collect::<Vec<_>>());
                let other = names.filter_map(ast::TableNameRef::cast).filter_map(|name| known.named(&name)).collect();
                RelationForm { other, ..asked.doing(RelationRole::Other, RowWork::Rewrites) }
            }
            _ if asked.form == StatementForm::Trigger => {
                let has_triggers = known.has_triggers(&self.table);
                asked.only(self.only || !has_triggers)
            }
            _ => asked,
        }
    }

    /// Foreign keys use, and views read, what is changed or dropped.
    fn with_partners(&self, known: &ScriptContext<'_>, action: &AlterTableAction, asked: RelationForm) -> RelationForm {
        use AlterTableAction as A;
        let table = &self.table;
        match action {
            A::DropColumn(it) => {
                let name = it.column_name_ref().and_then(|name| named(&name));
                let is_cascade = it.syntax().descendants().any(|node| ast::Cascade::can_cast(node.kind()));
                let column = name.as_ref().map(|name| name.name.as_str());
                let dependents = if is_cascade { known.readers(table, column) } else { Vec::new() };
                RelationForm { partners: with_column(known, table, name, &|_| true), dependents, ..asked }
            }
            A::AlterColumn(it) if matches!(it.option(), Some(AlterColumnOption::SetType(_))) => {
                let name = it.column_name_ref().and_then(|name| named(&name));
                let rewrites = asked.own.iter().any(|(_, work)| *work == RowWork::Rewrites);
                let proven = with_column(known, table, name.clone(), &is_proven);
                let read = proven
                    .into_iter()
                    .filter(|_| rewrites)
                    .map(|partner| (partner, RowWork::Reads))
                    .collect::<Vec<_>>();
                RelationForm { partners: with_column(known, table, name, &|_| true), ..asked.on(read) }
            }
            A::DropConstraint(it) => {
                let name = it.constraint_name_ref().and_then(|name| named(&name));
                let refers = known.is_key(table, name.as_ref());
                RelationForm {
                    partners: known.partners(table, |key, own| if own { is_it(key, &name) } else { refers }),
                    ..asked
                }
            }
            A::ValidateConstraint(it) => {
                let name = it.constraint_name_ref().and_then(|name| named(&name));
                let partners = known.partners(table, |key, own| own && is_it(key, &name));
                RelationForm { partners, ..asked.doing(RelationRole::Partner, RowWork::Reads) }
            }
            A::AlterConstraint(it) => {
                let name = it.constraint_name_ref().and_then(|name| named(&name));
                let partners = known.partners(table, |key, own| own && is_it(key, &name));
                let work = asked.own.iter().map(|(_, work)| *work).max().unwrap_or_default();
                // A key that is already enforced is not checked.
                let is_said = it.constraint_options().any(|one| matches!(one, ast::ConstraintOption::Enforced(_)));
                let partners = if is_said && work == RowWork::Nothing { Vec::new() } else { partners };
                RelationForm { partners, ..asked.doing(RelationRole::Partner, work) }
            }
            _ => asked,
        }
    }

    fn attached(&self, known: &ScriptContext<'_>, attach: &ast::AttachPartition, asked: RelationForm) -> RelationForm {
        let reads = |holds: bool| if holds { RowWork::Nothing } else { RowWork::Reads };
        let default = known.default_partition(&self.table);
        let is_exclusive = default.is_some_and(|default| known.excludes_others(&self.table, &default));
        let asked = asked.doing(RelationRole::Default, reads(is_exclusive));
        // The rows of the default partition are also read for a partition that the script creates.
        let Some(partition) = attach.table_name_ref().and_then(|name| known.named(&name)) else { return asked };
        let bound = attach.partition_type().map(|bound| bound.syntax().text().to_string()).unwrap_or_default();
        let asked = asked.doing(RelationRole::Other, reads(known.implies_bound(&self.table, &partition, &bound)));
        let parts = known.children(&partition);
        RelationForm { other: [partition].into_iter().chain(parts).collect(), ..asked }
    }
}

fn one(known: &ScriptContext<'_>, name: Option<ast::TableNameRef>) -> Vec<ObjectName> {
    name.and_then(|name| known.named(&name)).into_iter().collect()
}

fn is_it(key: &Object, name: &Option<ObjectName>) -> bool {
    name.as_ref().is_some_and(|name| *key.id.name == *name.name)
}

/// Whether a key is known to be valid for all rows.
fn is_proven(key: &Object) -> bool {
    key.fact("definition").is_some_and(is_valid)
}

/// The other sides of the foreign keys that have, on either side, a column that meets a condition.
fn with_column(
    known: &ScriptContext<'_>,
    table: &ObjectName,
    column: Option<ObjectName>,
    is_meant: &dyn Fn(&Object) -> bool,
) -> Vec<ObjectName> {
    let Some(column) = column else { return Vec::new() };
    known.partners(table, |key, own| {
        let text = key.fact("definition").unwrap_or_default();
        let (first, second) = text.split_once(" REFERENCES ").unwrap_or((text, ""));
        let list = if own { first } else { second };
        is_meant(key) && list.split_once('(').is_some_and(|(_, list)| columns(list).contains(&column.name))
    })
}

fn is_of_force(option: &ast::ConstraintOption) -> bool {
    matches!(option, ast::ConstraintOption::Enforced(_) | ast::ConstraintOption::NotEnforced(_))
}

fn form(action: &AlterTableAction) -> StatementForm {
    use AlterTableAction as A;
    match action {
        A::AddColumn(_) => StatementForm::AddColumn,
        A::DropColumn(_) => StatementForm::DropColumn,
        A::AlterColumn(it) => of_column(it),
        A::AddConstraint(it) => match it.constraint() {
            Some(Constraint::ForeignKeyConstraint(_)) => StatementForm::AddForeignKey,
            Some(
                Constraint::UniqueConstraint(_)
                | Constraint::PrimaryKeyConstraint(_)
                | Constraint::ExcludeConstraint(_),
            ) => StatementForm::AddKey,
            _ => StatementForm::AddConstraint,
        },
        A::DropConstraint(_) => StatementForm::DropConstraint,
        A::ValidateConstraint(_) => StatementForm::ValidateConstraint,
        A::AlterConstraint(it) => match it.constraint_options().any(|option| is_of_force(&option)) {
            true => StatementForm::EnforceConstraint,
            false => StatementForm::AlterConstraint,
        },
        A::EnableTrigger(_) | A::DisableTrigger(_) | A::EnableAlwaysTrigger(_) | A::EnableReplicaTrigger(_) => {
            StatementForm::Trigger
        }
        A::ClusterOn(_) | A::SetWithoutCluster(_) => StatementForm::TableSettings,
        A::SetOptions(it) if is_strong(it) => StatementForm::StrongStorage,
        A::ResetOptions(it) if is_strong(it) => StatementForm::StrongStorage,
        A::SetOptions(_) | A::ResetOptions(_) => StatementForm::Storage,
        A::RenameColumn(_) | A::RenameConstraint(_) => StatementForm::Rename,
        A::AttachPartition(_) => StatementForm::Attach,
        A::DetachPartition(it) => match it.detach_partition_option() {
            None => StatementForm::Detach,
            Some(DetachPartitionOption::DetachConcurrently(_)) => StatementForm::DetachConcurrently,
            Some(DetachPartitionOption::DetachFinalize(_)) => StatementForm::DetachFinalize,
        },
        A::InheritTable(_) => StatementForm::Inherit,
        A::NoInheritTable(_) => StatementForm::NoInherit,
        A::SplitPartition(_) | A::MergePartitions(_) => StatementForm::SplitPartition,
        _ => StatementForm::OwnTable,
    }
}

fn of_column(alter: &ast::AlterColumn) -> StatementForm {
    use AlterColumnOption as O;
    match alter.option() {
        Some(O::SetStatistics(_) | O::SetOptions(_) | O::SetOptionsList(_) | O::ResetOptions(_)) => {
            StatementForm::ColumnStatistics
        }
        Some(O::SetDefault(_) | O::DropDefault(_)) => StatementForm::AlterDefault,
        Some(
            O::AddGenerated(_)
            | O::DropIdentity(_)
            | O::SetGenerated(_)
            | O::SetGeneratedOptions(_)
            | O::SetSequenceOption(_)
            | O::Restart(_),
        ) => StatementForm::AlterIdentity,
        _ => StatementForm::AlterColumn,
    }
}
