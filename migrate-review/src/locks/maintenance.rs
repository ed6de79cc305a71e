//! Statements for indexes, statistics and storage, and statements that only lock.

use migrate_base::ident::catalog_name;
use migrate_base::lock_mode::LockMode;
use migrate_base::sql::tokens;
use migrate_schema::Kind;
use squawk_syntax::ast::{self, AlterIndexAction, AstNode, Stmt};

use super::RelationForm;
use super::action::is_strong;
use super::place::ScriptContext;
use super::statement::{on, relations};
use super::table::StatementForm;
use super::work::{RowWork, has_word};
use crate::tree::ObjectName;
use crate::tree::named;

/// The locks that such a statement asks for; `None` for other statements.
pub(super) fn asked(stmt: &Stmt, known: &ScriptContext<'_>) -> Option<Vec<RelationForm>> {
    let asked = match stmt {
        Stmt::CreateIndex(it) => new_index(stmt, it, known),
        Stmt::DropIndex(it) => {
            let form = match it.concurrently_token() {
                Some(_) => StatementForm::DropIndexConcurrently,
                None => StatementForm::DropIndex,
            };
            of_indexes(known, it.index_refs().filter_map(|name| named(&name)), form)
        }
        Stmt::AlterIndex(it) => match it.all_in_tablespace() {
            Some(all) => moved(&all, known, TablespaceObjects::Indexes),
            None => altered_index(it, known),
        },
        Stmt::Reindex(it) => reindexed(it, known),
        Stmt::Vacuum(it) => {
            let is_full = it.full_token().is_some() || it.vacuum_option_list().is_some_and(|list| is_on(&list, "full"));
            let (form, work) = if is_full {
                (StatementForm::VacuumFull, RowWork::Rewrites)
            } else {
                (StatementForm::Vacuum, RowWork::Nothing)
            };
            // Before PostgreSQL 18, children that are not partitions stay as they are.
            let one = |one: RelationForm| {
                let only = known.major.is_some_and(|major| major < 18) && !known.is_partitioned(&one.target);
                one.only(only)
            };
            every(known, relations(stmt, known), form, work).into_iter().map(one).collect()
        }
        Stmt::Analyze(it) => {
            let list = it.table_and_columns_list().into_iter().flat_map(|list| list.table_and_columnss());
            let names = list.filter_map(|one| known.named(&one.table_relation_name()?.table_name_ref()?)).collect();
            let one = |one: RelationForm| match known.is_partitioned(&one.target) {
                true => one,
                false => RelationForm { form: StatementForm::AnalyzeParent, ..one },
            };
            every(known, names, StatementForm::Analyze, RowWork::Nothing).into_iter().map(one).collect()
        }
        Stmt::Cluster(_) => {
            let tables = relations(stmt, known);
            let all = if tables.is_empty() { clustered(known) } else { tables };
            all.into_iter()
                .map(|table| RelationForm::new(StatementForm::Cluster, table).on_all(RowWork::Rewrites))
                .collect()
        }
        Stmt::Refresh(it) => {
            let (form, work) = match it.concurrently_token() {
                Some(_) => (StatementForm::RefreshConcurrently, RowWork::Reads),
                None => (StatementForm::Refresh, RowWork::Rewrites),
            };
            let is_empty = has_word(it.syntax(), "no");
            let work = if is_empty { RowWork::Nothing } else { work };
            let sources = |view: &ObjectName| if is_empty { Vec::new() } else { known.sources(view) };
            let one = |one: RelationForm| RelationForm { sources: sources(&one.target), ..one.on_all(work) };
            on(stmt, known, form).into_iter().map(one).collect()
        }
        Stmt::Lock(it) => locked(it, known),
        _ => return None,
    };
    Some(asked)
}

fn new_index(stmt: &Stmt, create: &ast::CreateIndex, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let named_index = create.index().and_then(|name| named(&name));
    let is_there = create.if_not_exists().is_some()
        && known.before.is_some()
        && named_index.is_some_and(|name| known.table_of_index(&name).is_some());
    let form = match create.concurrently_token() {
        Some(_) => StatementForm::CreateIndexConcurrently,
        None => StatementForm::CreateIndex,
    };
    let is_only = create.table_relation_name().is_some_and(|name| name.only_token().is_some());
    let one = |one: RelationForm| {
        // Children that are not partitions have their own indexes.
        let only = is_there || is_only || !known.is_partitioned(&one.target);
        one.on_all(if is_there { RowWork::Nothing } else { RowWork::Reads }).only(only)
    };
    on(stmt, known, form).into_iter().map(one).collect()
}

fn locked(lock: &ast::Lock, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    // Without a lock mode it takes the strongest.
    let said = lock.lock_mode_clause().and_then(|clause| clause.lock_mode());
    let said = said.and_then(|mode| mode.syntax().text().to_string().trim().parse().ok());
    let said = Some(said.unwrap_or(LockMode::AccessExclusive));
    let relations = lock.relation_list().into_iter().flat_map(|list| list.relation_names());
    let one = |name: ast::RelationName| {
        let only = name.only_token().is_some();
        let table = name.relation_name_ref().and_then(|name| known.named(&name))?;
        let all = known.sources_of(&table).into_iter().map(|table| (table, false)).chain([(table.clone(), only)]);
        Some(
            all.map(|(table, only)| RelationForm { said, only, ..RelationForm::new(StatementForm::Lock, table) })
                .collect::<Vec<_>>(),
        )
    };
    relations.filter_map(one).flatten().collect()
}

/// These tables, or all tables if none is named.
fn every(known: &ScriptContext<'_>, names: Vec<ObjectName>, form: StatementForm, work: RowWork) -> Vec<RelationForm> {
    let all = if names.is_empty() { known.tables() } else { names };
    all.into_iter().map(|table| RelationForm::new(form, table).on_all(work)).collect()
}

/// The tables that have been clustered; a plain `CLUSTER` processes them again.
fn clustered(known: &ScriptContext<'_>) -> Vec<ObjectName> {
    let has = |table: &ObjectName| {
        let Some(table) = known.table(table) else { return false };
        let parts = known.parts(table, Kind::Index).into_iter().chain(known.constraints(table));
        parts.into_iter().any(|one| one.fact("clustered").is_some())
    };
    known.tables().into_iter().filter(has).collect()
}

/// Whether an option in a list is given and not switched off.
fn is_on(list: &impl AstNode, option: &str) -> bool {
    let text = list.syntax().text().to_string();
    let words: Vec<String> = tokens(&text).iter().map(|word| word.to_ascii_lowercase()).collect();
    let at = words.iter().position(|word| word == option);
    let is_off = |word: &String| matches!(word.trim_matches('\''), "false" | "off" | "0");
    at.is_some_and(|at| !words.get(at + 1).is_some_and(is_off))
}

fn of_indexes(
    known: &ScriptContext<'_>,
    names: impl Iterator<Item = ObjectName>,
    form: StatementForm,
) -> Vec<RelationForm> {
    names.filter_map(|name| known.table_of_index(&name)).map(|table| RelationForm::new(form, table)).collect()
}

fn altered_index(alter: &ast::AlterIndex, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let names = alter.index_ref().and_then(|name| named(&name)).into_iter();
    let form = match alter.action() {
        Some(AlterIndexAction::IndexRenameTo(_)) => StatementForm::RenameIndex,
        Some(AlterIndexAction::SetOptions(it)) if is_strong(&it) => StatementForm::StrongIndexStorage,
        Some(AlterIndexAction::ResetOptions(it)) if is_strong(&it) => StatementForm::StrongIndexStorage,
        Some(AlterIndexAction::SetOptions(_) | AlterIndexAction::ResetOptions(_)) => StatementForm::IndexStorage,
        Some(AlterIndexAction::AlterSetStatistics(_)) => StatementForm::IndexStorage,
        Some(AlterIndexAction::AttachIndexPartition(it)) => {
            let other = it.index_ref().and_then(|name| named(&name)).and_then(|name| known.table_of_index(&name));
            let other: Vec<ObjectName> = other.into_iter().collect();
            let all = of_indexes(known, names, StatementForm::AttachIndex);
            return all.into_iter().map(|one| RelationForm { other: other.clone(), ..one }).collect();
        }
        _ => StatementForm::StrongIndexStorage,
    };
    of_indexes(known, names, form)
}

fn reindexed(reindex: &ast::Reindex, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    use ast::ReindexTarget as T;
    let is_concurrent = has_word(reindex.syntax(), "concurrently")
        && reindex
            .reindex_option_list()
            .is_none_or(|list| !has_word(list.syntax(), "concurrently") || is_on(&list, "concurrently"));
    let form = if is_concurrent { StatementForm::ReindexConcurrently } else { StatementForm::Reindex };
    let tables = match reindex.reindex_target() {
        Some(T::ReindexTargetTable(it)) => {
            it.table_name_ref().and_then(|name| known.named(&name)).into_iter().collect()
        }
        Some(T::ReindexTargetIndex(it)) => {
            let index = it.index_ref().and_then(|name| named(&name));
            index.and_then(|name| known.table_of_index(&name)).into_iter().collect()
        }
        Some(T::ReindexTargetSchema(it)) => {
            let text = it.syntax().text().to_string();
            let name = tokens(&text).last().and_then(|word| catalog_name(word));
            name.map(|name| known.inside(&name)).unwrap_or_default()
        }
        Some(T::ReindexTargetDatabase(_)) => known.tables(),
        // The system catalogs are not user tables.
        Some(T::ReindexTargetSystem(_)) | None => Vec::new(),
    };
    tables.into_iter().map(|table| RelationForm::new(form, table).on_all(RowWork::Reads)).collect()
}

/// The kind of objects in `ALL IN TABLESPACE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TablespaceObjects {
    Tables,
    Views,
    Indexes,
}

/// `ALTER … ALL IN TABLESPACE … SET TABLESPACE`: each of them is written to another place.
pub(super) fn moved(
    all: &ast::AllInTablespace,
    known: &ScriptContext<'_>,
    what: TablespaceObjects,
) -> Vec<RelationForm> {
    let from = all.tablespace_ref().and_then(|name| named(&name)).map(|name| name.name).unwrap_or_default();
    let owners = all
        .owned_by_roles()
        .and_then(|by| by.role_ref_list())
        .map(|list| list.role_refs().filter_map(|role| named(&role)).map(|role| role.name).collect::<Vec<_>>());
    let is_there = |one: &migrate_schema::Object| one.fact("tablespace").unwrap_or("pg_default") == from;
    let is_owned = |one: &migrate_schema::Object| {
        owners
            .as_ref()
            .is_none_or(|owners| one.fact("owner").is_some_and(|owner| owners.iter().any(|name| name == owner)))
    };
    let tables = known.those(|one| {
        let is_meant = match (what, one.id.kind) {
            (TablespaceObjects::Tables, Kind::Table) => is_there(one),
            (TablespaceObjects::Views, Kind::MaterializedView) => is_there(one),
            (TablespaceObjects::Indexes, Kind::Table | Kind::MaterializedView) => {
                let parts = known.parts(one, Kind::Index).into_iter().chain(known.constraints(one));
                parts.into_iter().any(|part| {
                    (part.id.kind == Kind::Index || part.fact("definition").is_some_and(super::place::is_key))
                        && is_there(part)
                })
            }
            _ => false,
        };
        is_meant && is_owned(one)
    });
    let one = |table: ObjectName| match what {
        TablespaceObjects::Indexes => {
            RelationForm::new(StatementForm::StrongIndexStorage, table).on_all(RowWork::Reads)
        }
        _ => RelationForm::new(StatementForm::OwnTable, table).on_all(RowWork::Rewrites),
    };
    tables.into_iter().map(one).collect()
}
