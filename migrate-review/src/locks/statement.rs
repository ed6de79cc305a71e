//! Statements: the form of each, and the relations that it is about.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, CommentObject, Stmt};

use super::RelationForm;
use super::action::AlteredTable;
use super::maintenance as upkeep;
use super::place::ScriptContext;
use super::query::{new_table, query};
use super::removal as gone;
use super::table::StatementForm;
use super::work::{RowWork, has_word};
use crate::tree::ObjectName;
use crate::tree::{named, relation_names};

/// The locks that a statement asks for.
pub(super) fn asked(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let all = altered(stmt, known).or_else(|| gone::asked(stmt, known)).or_else(|| upkeep::asked(stmt, known));
    all.or_else(|| of_parts(stmt, known)).unwrap_or_else(|| of_rows(stmt, known))
}

/// Statements that change a relation.
fn altered(stmt: &Stmt, known: &ScriptContext<'_>) -> Option<Vec<RelationForm>> {
    let asked = match stmt {
        Stmt::AlterTable(it) => match it.all_in_tablespace() {
            Some(all) => upkeep::moved(&all, known, upkeep::TablespaceObjects::Tables),
            None => {
                let of_table = AlteredTable::of(known, it).into_iter();
                of_table
                    .flat_map(|table| it.actions().map(move |action| table.asked(known, &action)).collect::<Vec<_>>())
                    .collect()
            }
        },
        Stmt::AlterMaterializedView(it) => match it.all_in_tablespace() {
            Some(all) => upkeep::moved(&all, known, upkeep::TablespaceObjects::Views),
            None => altered_view(it, known),
        },
        Stmt::AlterForeignTable(_) | Stmt::AlterView(_) => on(stmt, known, StatementForm::OwnTable),
        Stmt::AlterSequence(_) | Stmt::CreateSequence(_) => sequence(stmt, known),
        Stmt::AlterDomain(it) => domain(it, known),
        Stmt::AlterType(it) => altered_type(it, known),
        _ => return None,
    };
    Some(asked)
}

/// Statements about parts of a relation.
fn of_parts(stmt: &Stmt, known: &ScriptContext<'_>) -> Option<Vec<RelationForm>> {
    let node = stmt.syntax();
    let first = |form: StatementForm| {
        relation_in(node, known).map(|table| RelationForm::new(form, table)).into_iter().collect::<Vec<_>>()
    };
    let asked = match stmt {
        Stmt::CreateTrigger(it) => {
            let referenced: Vec<ObjectName> =
                it.from_table().and_then(|from| known.named(&from.table_name_ref()?)).into_iter().collect();
            // Partitions get their own trigger if it fires for each row.
            let only = it.trigger_level().is_none_or(|level| !has_word(level.syntax(), "row"));
            let all = on(stmt, known, StatementForm::CreateTrigger).into_iter();
            all.map(|one| RelationForm { only, referenced: referenced.clone(), ..one }).collect()
        }
        Stmt::AlterTrigger(_) => first(StatementForm::DropTrigger),
        Stmt::CreateRule(it) => {
            let table = it.rule_on().and_then(|on| known.named(&on.relation_name_ref()?));
            table.map(|table| RelationForm::new(StatementForm::OwnTable, table)).into_iter().collect()
        }
        Stmt::AlterRule(_) | Stmt::CreatePolicy(_) | Stmt::AlterPolicy(_) | Stmt::DropPolicy(_) => {
            first(StatementForm::OwnTable)
        }
        Stmt::CreateStatistics(it) => {
            let table = it.from_table().and_then(|from| known.named(&from.table_name_ref()?));
            table.map(|table| RelationForm::new(StatementForm::CreateStatistics, table)).into_iter().collect()
        }
        Stmt::DropStatistics(_) => {
            let names = node.descendants().filter(|node| ast::StatisticsRef::can_cast(node.kind()));
            let tables =
                names.filter_map(|name| known.table_of_statistics(&ObjectName::parse(&name.text().to_string())?));
            tables.map(|table| RelationForm::new(StatementForm::CreateStatistics, table)).collect()
        }
        Stmt::CommentOn(it) => it.comment_object().and_then(|object| commented(&object, known)).into_iter().collect(),
        Stmt::SecurityLabel(_) => first(StatementForm::Comment),
        Stmt::CreatePublication(_) | Stmt::AlterPublication(_) => published(node, known),
        _ => return None,
    };
    Some(asked)
}

/// Statements that read or write rows, or create something from them.
fn of_rows(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let node = stmt.syntax();
    match stmt {
        Stmt::CreateTable(it) => new_table(it, known),
        Stmt::CreateTableAs(_) | Stmt::CreateMaterializedView(_) => query(node, known),
        Stmt::CreateView(it) => {
            let replaced = it.view().filter(|_| it.or_replace().is_some()).and_then(|name| known.named(&name));
            let replaced = replaced.map(|name| RelationForm::new(StatementForm::OwnTable, name));
            query(node, known).into_iter().chain(replaced).collect()
        }
        Stmt::Copy(it) => match it.copy_table().and_then(|table| named(&table.table_name_ref()?)) {
            Some(table) => {
                let writes = matches!(it.copy_direction(), Some(ast::CopyDirection::CopyFrom(_)));
                let copied = |table: ObjectName| match writes {
                    true => RelationForm::new(StatementForm::Write, table),
                    false => {
                        RelationForm { sources: vec![table.clone()], ..RelationForm::new(StatementForm::Read, table) }
                    }
                };
                known.full(&table).map(copied).into_iter().collect()
            }
            None => query(node, known),
        },
        Stmt::Insert(_) | Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) => query(node, known),
        Stmt::Select(_) | Stmt::SelectInto(_) | Stmt::Table(_) | Stmt::CompoundSelect(_) | Stmt::ParenSelect(_) => {
            query(node, known)
        }
        _ => Vec::new(),
    }
}

/// Whether a statement contains IF EXISTS.
pub(super) fn may_be_missing(stmt: &Stmt) -> bool {
    stmt.syntax().children().any(|node| ast::IfExists::can_cast(node.kind()))
}

/// The relations that a statement names as its targets.
pub(super) fn relations(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<ObjectName> {
    relation_names(stmt).filter_map(|name| known.full(&name)).collect()
}

/// A form on each relation that a statement names as its target.
pub(super) fn on(stmt: &Stmt, known: &ScriptContext<'_>, form: StatementForm) -> Vec<RelationForm> {
    relations(stmt, known).into_iter().map(|table| RelationForm::new(form, table)).collect()
}

/// The first relation named in a node.
fn relation_in(node: &SyntaxNode, known: &ScriptContext<'_>) -> Option<ObjectName> {
    let is_it = |node: &SyntaxNode| {
        ast::TableNameRef::can_cast(node.kind())
            || ast::RelationNameRef::can_cast(node.kind())
            || ast::ViewRef::can_cast(node.kind())
    };
    let name = node.descendants().find(is_it).and_then(|node| ObjectName::parse(&node.text().to_string()))?;
    known.full(&name)
}

/// A CHECK of a domain is proven on all columns of the domain.
fn domain(alter: &ast::AlterDomain, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    use ast::AlterDomainAction as A;
    let proves = match alter.action() {
        Some(A::AddConstraint(it)) => !it.syntax().descendants().any(|node| ast::NotValid::can_cast(node.kind())),
        Some(A::SetNotNull(_) | A::ValidateConstraint(_)) => true,
        _ => false,
    };
    let Some(name) = alter.domain_ref().filter(|_| proves).and_then(|name| named(&name)) else { return Vec::new() };
    let stored = known.holders(&name).into_iter().filter(|table| !known.stores_nothing(table));
    stored.map(|table| RelationForm::new(StatementForm::DomainCheck, table).on_all(RowWork::Reads)).collect()
}

fn altered_type(alter: &ast::AlterType, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    use ast::AlterTypeAction as A;
    match alter.action() {
        Some(A::AlterTypeAttributeActionList(_) | A::RenameAttribute(_)) => {
            let name = alter.type_name_ref().and_then(|name| named(&name));
            let tables = name.map(|name| known.typed(&name)).unwrap_or_default();
            tables.into_iter().map(|table| RelationForm::new(StatementForm::OwnTable, table)).collect()
        }
        _ => Vec::new(),
    }
}

fn altered_view(alter: &ast::AlterMaterializedView, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let Some(table) = alter.view_ref().and_then(|name| known.named(&name)) else { return Vec::new() };
    let view = AlteredTable { table, only: true };
    let one = |action: &ast::AlterMaterializedViewAction| match action {
        ast::AlterMaterializedViewAction::AlterTableAction(action) => view.asked(known, action),
        _ => RelationForm::new(StatementForm::OwnTable, view.table.clone()),
    };
    let actions: Vec<_> = alter.syntax().children().filter_map(ast::AlterMaterializedViewAction::cast).collect();
    match actions.is_empty() {
        true => vec![RelationForm::new(StatementForm::OwnTable, view.table.clone())],
        false => actions.iter().map(one).collect(),
    }
}

fn sequence(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let node = stmt.syntax();
    let sequence = match stmt {
        Stmt::AlterSequence(it) => it.sequence_ref().and_then(|name| known.named(&name)),
        _ => None,
    };
    let owner = node.descendants().find_map(ast::QualifiedColumnNameRef::cast);
    let owner = owner
        .and_then(|name| column_table(&name, known))
        .map(|table| RelationForm::new(StatementForm::OwnSequence, table));
    let strong = ["owner", "rename", "schema", "logged", "unlogged"].iter().any(|word| has_word(node, word));
    let form = if strong { StatementForm::StrongSequence } else { StatementForm::Sequence };
    owner.into_iter().chain(sequence.map(|name| RelationForm::new(form, name))).collect()
}

fn published(node: &SyntaxNode, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let mut names: Vec<ObjectName> =
        node.descendants().filter_map(ast::TableNameRef::cast).filter_map(|name| known.named(&name)).collect();
    let changed = node.descendants().find_map(ast::PublicationRef::cast).and_then(|name| named(&name));
    if has_word(node, "set") {
        names.extend(changed.map(|name| known.published(&name.name)).unwrap_or_default());
    }
    names.into_iter().map(|table| RelationForm::new(StatementForm::Publish, table)).collect()
}

/// The table of `table.column`.
fn column_table(name: &impl AstNode, known: &ScriptContext<'_>) -> Option<ObjectName> {
    let text = name.syntax().text().to_string();
    known.full(&ObjectName::parse(text.trim().rsplit_once('.')?.0)?)
}

fn commented(object: &CommentObject, known: &ScriptContext<'_>) -> Option<RelationForm> {
    let node = object.syntax();
    let whole = |name: ObjectName| Some(RelationForm::new(StatementForm::Comment, name));
    match object {
        CommentObject::ObjectTable(_) | CommentObject::ObjectView(_) => relation_in(node, known).and_then(whole),
        CommentObject::ObjectMaterializedView(_) | CommentObject::ObjectForeignTable(_) => {
            relation_in(node, known).and_then(whole)
        }
        CommentObject::ObjectColumn(it) => it.name().and_then(|name| column_table(&name, known)).and_then(whole),
        CommentObject::ObjectIndex(it) => {
            let index = it.index_ref().and_then(|name| named(&name))?;
            known.table_of_index(&index).and_then(whole)
        }
        CommentObject::ObjectSequence(_) => {
            node.descendants().find_map(ast::SequenceRef::cast).and_then(|name| known.named(&name)).and_then(whole)
        }
        CommentObject::ObjectConstraint(_)
        | CommentObject::ObjectTrigger(_)
        | CommentObject::ObjectPolicy(_)
        | CommentObject::ObjectRule(_) => {
            relation_in(node, known).map(|name| RelationForm::new(StatementForm::CommentOnPart, name))
        }
        _ => None,
    }
}
