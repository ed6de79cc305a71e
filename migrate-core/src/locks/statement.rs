//! Statements: which form each is, and on which relations.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AlterIndexAction, AlterMaterializedViewAction, AstNode, CommentObject, Stmt};

use super::action::{self, is_strong};
use super::place::Known;
use super::query::{new_table, query};
use super::table::Form;
use super::work::{Work, has_word};
use super::{Asked, place};
use crate::lint::Named;
use crate::lint::script::{Target, named, targets};
use crate::lock_mode::LockMode;

/// What a statement asks for.
pub(super) fn asked(stmt: &Stmt, known: &Known<'_>, utc: bool) -> Vec<Asked> {
    let tables = || relations(stmt);
    let on = |form: Form| tables().into_iter().map(|table| Asked::new(form, table)).collect::<Vec<_>>();
    let doing = |form: Form, work: Work| on(form).into_iter().map(|one| Asked { work, ..one }).collect::<Vec<_>>();
    let node = stmt.syntax();
    let first = |form: Form| relation_in(node).map(|table| Asked::new(form, table)).into_iter().collect::<Vec<_>>();
    let only = || node.descendants().filter_map(ast::TableRelationName::cast).any(|name| name.only_token().is_some());
    match stmt {
        Stmt::AlterTable(it) => {
            let Some(table) = tables().into_iter().next() else { return Vec::new() };
            it.actions().map(|action| action::asked(known, &table, only(), &action, utc)).collect()
        }
        Stmt::AlterForeignTable(_) | Stmt::AlterView(_) => on(Form::OwnTable),
        Stmt::AlterMaterializedView(it) => altered_view(it, known, utc),
        Stmt::CreateTable(it) => new_table(it, known),
        Stmt::CreateTableAs(_) | Stmt::CreateMaterializedView(_) => query(node, known),
        Stmt::CreateView(it) => {
            let replaced = it.view().filter(|_| it.or_replace().is_some()).and_then(|name| named(&name));
            let replaced = replaced.map(|name| Asked::new(Form::OwnTable, name));
            query(node, known).into_iter().chain(replaced).collect()
        }
        Stmt::DropTable(_) | Stmt::DropForeignTable(_) | Stmt::DropView(_) | Stmt::DropMaterializedView(_) => {
            tables().iter().map(|table| dropped(known, table, is_cascade(node))).collect()
        }
        Stmt::DropSequence(it) => {
            it.sequence_refs().filter_map(|name| named(&name)).map(|name| Asked::new(Form::TypeChange, name)).collect()
        }
        Stmt::DropSchema(it) if is_cascade(node) => {
            let inside = it.schema_refs().filter_map(|name| named(&name)).flat_map(|name| known.inside(&name.name));
            inside.map(|table| dropped(known, &table, true)).collect()
        }
        Stmt::DropType(it) => of_types(known, it.type_name_refs().filter_map(|name| named(&name)), is_cascade(node)),
        Stmt::DropDomain(it) => of_types(known, it.domain_refs().filter_map(|name| named(&name)), is_cascade(node)),
        Stmt::Truncate(_) => {
            let cascade = is_cascade(node);
            let one = |table: Named| {
                let dependents = if cascade { known.referring(&table) } else { Vec::new() };
                Asked { only: only(), dependents, ..Asked::new(Form::Truncate, table) }
            };
            tables().into_iter().map(one).collect()
        }
        Stmt::CreateIndex(it) => {
            let is_there = it.if_not_exists().is_some()
                && known.before.is_some()
                && it.index().and_then(|name| named(&name)).is_some_and(|name| known.table_of_index(&name).is_some());
            let work = if is_there || only() && !plain_table(known, &tables()) { Work::Nothing } else { Work::Reads };
            let form = match it.concurrently_token() {
                Some(_) => Form::CreateIndexConcurrently,
                None => Form::CreateIndex,
            };
            doing(form, work).into_iter().map(|one| Asked { only: only() || is_there, ..one }).collect()
        }
        Stmt::DropIndex(it) => {
            let form = match it.concurrently_token() {
                Some(_) => Form::DropIndexConcurrently,
                None => Form::DropIndex,
            };
            of_indexes(known, it.index_refs().filter_map(|name| named(&name)), form)
        }
        Stmt::AlterIndex(it) => altered_index(it, known),
        Stmt::Reindex(it) => reindexed(it, known),
        Stmt::Vacuum(it) => {
            let is_full = it.full_token().is_some() || it.vacuum_option_list().is_some_and(|list| is_on(&list, "full"));
            match is_full {
                true => every(known, tables(), Form::VacuumFull, Work::Rewrites),
                false => every(known, tables(), Form::Vacuum, Work::Nothing),
            }
        }
        Stmt::Analyze(it) => {
            let list = it.table_and_columns_list().into_iter().flat_map(|list| list.table_and_columnss());
            let names = list.filter_map(|one| named(&one.table_relation_name()?.table_name_ref()?)).collect();
            every(known, names, Form::Analyze, Work::Nothing)
        }
        Stmt::Cluster(_) => doing(Form::Cluster, Work::Rewrites),
        Stmt::Refresh(it) => {
            let (form, work) = match it.concurrently_token() {
                Some(_) => (Form::RefreshConcurrently, Work::Reads),
                None => (Form::Refresh, Work::Rewrites),
            };
            let is_empty = has_word(it.syntax(), "no");
            let sources = |one: &Asked| if is_empty { Vec::new() } else { known.sources_of(&one.target) };
            doing(form, work).into_iter().map(|one| Asked { sources: sources(&one), ..one }).collect()
        }
        Stmt::Lock(it) => {
            // Without a word it is the strongest.
            let said = it.lock_mode_clause().and_then(|clause| clause.lock_mode());
            let said = said.and_then(|mode| mode.syntax().text().to_string().trim().parse().ok());
            let said = Some(said.unwrap_or(LockMode::AccessExclusive));
            let only = node.descendants().filter_map(ast::RelationName::cast).any(|name| name.only_token().is_some());
            let views = |table: &Named| known.sources_of(table);
            let named = tables();
            let behind: Vec<Named> = named.iter().flat_map(views).collect();
            let all = named.into_iter().chain(behind);
            all.map(|table| Asked { said, only, ..Asked::new(Form::Truncate, table) }).collect()
        }
        Stmt::CreateTrigger(it) => {
            let referenced = it.from_table().and_then(|from| named(&from.table_name_ref()?));
            let referenced: Vec<Named> = referenced.into_iter().collect();
            // Partitions get one of their own where it fires for each row.
            let only = it.trigger_level().is_none_or(|level| !has_word(level.syntax(), "row"));
            let all = on(Form::CreateTrigger).into_iter();
            all.map(|one| Asked { only, referenced: referenced.clone(), ..one }).collect()
        }
        Stmt::DropTrigger(_) => on(Form::DropTrigger),
        Stmt::AlterTrigger(_) => first(Form::DropTrigger),
        Stmt::CreateRule(it) => it
            .rule_on()
            .and_then(|on| named(&on.relation_name_ref()?))
            .map(|table| Asked::new(Form::OwnTable, table))
            .into_iter()
            .collect(),
        Stmt::AlterRule(_) | Stmt::DropRule(_) => first(Form::OwnTable),
        Stmt::CreatePolicy(_) | Stmt::AlterPolicy(_) | Stmt::DropPolicy(_) => first(Form::OwnTable),
        Stmt::CreateStatistics(it) => it
            .from_table()
            .and_then(|from| named(&from.table_name_ref()?))
            .map(|table| Asked::new(Form::CreateStatistics, table))
            .into_iter()
            .collect(),
        Stmt::DropStatistics(_) => {
            let names = node.descendants().filter(|node| ast::StatisticsRef::can_cast(node.kind()));
            let tables = names.filter_map(|name| known.table_of_statistics(&Named::parse(&name.text().to_string())?));
            tables.map(|table| Asked::new(Form::CreateStatistics, table)).collect()
        }
        Stmt::CommentOn(it) => it.comment_object().and_then(|object| commented(&object, known)).into_iter().collect(),
        Stmt::SecurityLabel(_) => first(Form::Comment),
        Stmt::CreatePublication(_) | Stmt::AlterPublication(_) => {
            let mut names: Vec<Named> =
                node.descendants().filter_map(ast::TableNameRef::cast).filter_map(|name| named(&name)).collect();
            let changed = node.descendants().find_map(ast::PublicationRef::cast).and_then(|name| named(&name));
            if has_word(node, "set") {
                names.extend(changed.map(|name| known.published(&name.name)).unwrap_or_default());
            }
            names.into_iter().map(|table| Asked::new(Form::Publish, table)).collect()
        }
        Stmt::AlterSequence(_) | Stmt::CreateSequence(_) => {
            let sequence = match stmt {
                Stmt::AlterSequence(it) => it.sequence_ref().and_then(|name| named(&name)),
                _ => None,
            };
            let owner =
                node.descendants().find_map(ast::QualifiedColumnNameRef::cast).and_then(|name| column_table(&name));
            let owner = owner.map(|table| Asked::new(Form::OwnSequence, table));
            let strong = has_word(node, "owner") || has_word(node, "rename") || has_word(node, "schema");
            let form = if strong { Form::TypeChange } else { Form::ReferNew };
            owner.into_iter().chain(sequence.map(|name| Asked::new(form, name))).collect()
        }
        Stmt::AlterDomain(it) => domain(it, known),
        Stmt::AlterType(it) => match it.action() {
            Some(ast::AlterTypeAction::AlterTypeAttributeActionList(_) | ast::AlterTypeAction::RenameAttribute(_)) => {
                let name = it.type_name_ref().and_then(|name| named(&name));
                let tables = name.map(|name| known.typed(&name)).unwrap_or_default();
                tables.into_iter().map(|table| Asked::new(Form::TypeChange, table)).collect()
            }
            _ => Vec::new(),
        },
        Stmt::Copy(it) => match it.copy_table().and_then(|table| named(&table.table_name_ref()?)) {
            Some(table) if matches!(it.copy_direction(), Some(ast::CopyDirection::CopyFrom(_))) => {
                vec![Asked::new(Form::Write, table)]
            }
            Some(table) => vec![Asked { sources: vec![table.clone()], ..Asked::new(Form::Read, table) }],
            None => query(node, known),
        },
        Stmt::Insert(_) | Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) => query(node, known),
        Stmt::Select(_) | Stmt::SelectInto(_) | Stmt::Table(_) | Stmt::CompoundSelect(_) | Stmt::ParenSelect(_) => {
            query(node, known)
        }
        _ => Vec::new(),
    }
}

/// The domains that statements make, and that ask something of their values.
pub(crate) fn strict_domains<'a>(stmts: impl Iterator<Item = &'a Stmt>) -> Vec<Named> {
    let made = stmts.filter_map(|stmt| match stmt {
        Stmt::CreateDomain(it) => {
            let asks = |word: &str| has_word(it.syntax(), word);
            named(&it.domain()?).filter(|_| asks("check") || asks("not"))
        }
        _ => None,
    });
    made.collect()
}

/// The relations that a statement names as its own.
fn relations(stmt: &Stmt) -> Vec<Named> {
    let all = targets(stmt).into_iter();
    all.filter_map(|target| if let Target::Relation(name) = target { Some(name) } else { None }).collect()
}

/// The first relation that is named in a node.
fn relation_in(node: &SyntaxNode) -> Option<Named> {
    let is_it = |node: &SyntaxNode| {
        ast::TableNameRef::can_cast(node.kind())
            || ast::RelationNameRef::can_cast(node.kind())
            || ast::ViewRef::can_cast(node.kind())
    };
    node.descendants().find(is_it).and_then(|node| Named::parse(&node.text().to_string()))
}

fn is_cascade(node: &SyntaxNode) -> bool {
    node.descendants().any(|node| ast::Cascade::can_cast(node.kind()))
}

fn plain_table(known: &Known<'_>, tables: &[Named]) -> bool {
    tables.iter().any(|table| known.full(table).is_none_or(|table| !known.stores_nothing(&table)))
}

/// The tables that foreign keys of a statement name.
pub(super) fn referenced(node: &SyntaxNode) -> Vec<Named> {
    let keys = node.descendants().filter(|node| {
        ast::ForeignKeyConstraint::can_cast(node.kind()) || ast::ReferencesConstraint::can_cast(node.kind())
    });
    let tables = keys.filter_map(|key| key.descendants().find_map(ast::TableNameRef::cast));
    tables.filter_map(|table| named(&table)).collect()
}

/// These tables, or all where none is named.
fn every(known: &Known<'_>, names: Vec<Named>, form: Form, work: Work) -> Vec<Asked> {
    let all = if names.is_empty() { known.tables() } else { names };
    all.into_iter().map(|table| Asked { work, ..Asked::new(form, table) }).collect()
}

/// Whether an option of a list is there and not switched off.
fn is_on(list: &impl AstNode, option: &str) -> bool {
    let text = list.syntax().text().to_string();
    let words: Vec<String> = crate::sql::tokens(&text).iter().map(|word| word.to_ascii_lowercase()).collect();
    let at = words.iter().position(|word| word == option);
    let is_off = |word: &String| matches!(word.trim_matches('\''), "false" | "off" | "0");
    at.is_some_and(|at| !words.get(at + 1).is_some_and(is_off))
}

fn of_indexes(known: &Known<'_>, names: impl Iterator<Item = Named>, form: Form) -> Vec<Asked> {
    names.filter_map(|name| known.table_of_index(&name)).map(|table| Asked::new(form, table)).collect()
}

fn dropped(known: &Known<'_>, table: &Named, cascade: bool) -> Asked {
    let partners = known.full(table).map(|full| known.partners(&full, |_, own| own || cascade)).unwrap_or_default();
    let dependents = known.full(table).filter(|_| cascade).map(|full| known.readers(&full)).unwrap_or_default();
    Asked { partners, dependents, ..Asked::new(Form::DropRelation, table.clone()) }
}

fn of_types(known: &Known<'_>, names: impl Iterator<Item = Named>, cascade: bool) -> Vec<Asked> {
    let tables = names.filter(|_| cascade).flat_map(|name| known.holders(&name)).collect::<Vec<_>>();
    tables.into_iter().map(|table| Asked::new(Form::TypeChange, table)).collect()
}

/// Checks of a domain are proven on all columns of it.
fn domain(alter: &ast::AlterDomain, known: &Known<'_>) -> Vec<Asked> {
    use ast::AlterDomainAction as A;
    let proves = match alter.action() {
        Some(A::AddConstraint(it)) => !it.syntax().descendants().any(|node| ast::NotValid::can_cast(node.kind())),
        Some(A::SetNotNull(_) | A::ValidateConstraint(_)) => true,
        _ => false,
    };
    let Some(name) = alter.domain_ref().filter(|_| proves).and_then(|name| named(&name)) else { return Vec::new() };
    let one = |table| Asked { work: Work::Reads, ..Asked::new(Form::DomainCheck, table) };
    known.holders(&name).into_iter().map(one).collect()
}

fn altered_view(alter: &ast::AlterMaterializedView, known: &Known<'_>, utc: bool) -> Vec<Asked> {
    let Some(view) = alter.view_ref().and_then(|name| named(&name)) else { return Vec::new() };
    let actions: Vec<AlterMaterializedViewAction> =
        alter.syntax().children().filter_map(AlterMaterializedViewAction::cast).collect();
    let one = |action: &AlterMaterializedViewAction| match action {
        AlterMaterializedViewAction::AlterTableAction(action) => action::asked(known, &view, true, action, utc),
        _ => Asked::new(Form::OwnTable, view.clone()),
    };
    match actions.is_empty() {
        true => vec![Asked::new(Form::OwnTable, view.clone())],
        false => actions.iter().map(one).collect(),
    }
}

fn altered_index(alter: &ast::AlterIndex, known: &Known<'_>) -> Vec<Asked> {
    let names = alter.index_ref().and_then(|name| named(&name)).into_iter();
    let form = match alter.action() {
        Some(AlterIndexAction::IndexRenameTo(_)) => Form::RenameIndex,
        Some(AlterIndexAction::SetOptions(it)) if is_strong(&it) => Form::StrongIndexStorage,
        Some(AlterIndexAction::ResetOptions(it)) if is_strong(&it) => Form::StrongIndexStorage,
        Some(AlterIndexAction::SetOptions(_) | AlterIndexAction::ResetOptions(_)) => Form::IndexStorage,
        Some(AlterIndexAction::AlterSetStatistics(_)) => Form::IndexStorage,
        Some(AlterIndexAction::AttachIndexPartition(it)) => {
            let other = it.index_ref().and_then(|name| named(&name)).and_then(|name| known.table_of_index(&name));
            let other: Vec<Named> = other.into_iter().collect();
            let all = of_indexes(known, names, Form::AttachIndex);
            return all.into_iter().map(|one| Asked { other: other.clone(), ..one }).collect();
        }
        _ => Form::StrongIndexStorage,
    };
    of_indexes(known, names, form)
}

fn reindexed(reindex: &ast::Reindex, known: &Known<'_>) -> Vec<Asked> {
    use ast::ReindexTarget as T;
    let target = reindex.reindex_target();
    let is_concurrent = has_word(reindex.syntax(), "concurrently")
        && reindex
            .reindex_option_list()
            .is_none_or(|list| !has_word(list.syntax(), "concurrently") || is_on(&list, "concurrently"));
    let form = if is_concurrent { Form::ReindexConcurrently } else { Form::Reindex };
    let tables = match target {
        Some(T::ReindexTargetTable(it)) => it.table_name_ref().and_then(|name| named(&name)).into_iter().collect(),
        Some(T::ReindexTargetIndex(it)) => {
            let index = it.index_ref().and_then(|name| named(&name));
            index.and_then(|name| known.table_of_index(&name)).into_iter().collect()
        }
        Some(T::ReindexTargetSchema(it)) => {
            let text = it.syntax().text().to_string();
            let name = crate::sql::tokens(&text).last().and_then(|word| Named::parse(word));
            name.map(|name| known.inside(&name.name)).unwrap_or_default()
        }
        Some(T::ReindexTargetDatabase(_) | T::ReindexTargetSystem(_)) => known.tables(),
        None => Vec::new(),
    };
    tables.into_iter().map(|table| Asked { work: Work::Reads, ..Asked::new(form, table) }).collect()
}

/// The table of `table.column`.
fn column_table(name: &impl AstNode) -> Option<Named> {
    let text = name.syntax().text().to_string();
    Named::parse(text.trim().rsplit_once('.')?.0)
}

fn commented(object: &CommentObject, known: &Known<'_>) -> Option<Asked> {
    let node = object.syntax();
    let whole = |name: Named| Some(Asked::new(Form::Comment, name));
    match object {
        CommentObject::ObjectTable(_) | CommentObject::ObjectView(_) => relation_in(node).and_then(whole),
        CommentObject::ObjectMaterializedView(_) | CommentObject::ObjectForeignTable(_) => {
            relation_in(node).and_then(whole)
        }
        CommentObject::ObjectColumn(it) => it.name().and_then(|name| column_table(&name)).and_then(whole),
        CommentObject::ObjectIndex(it) => {
            let index = it.index_ref().and_then(|name| named(&name))?;
            known.table_of_index(&index).and_then(whole)
        }
        CommentObject::ObjectSequence(_) => {
            let name = node.descendants().find_map(ast::SequenceRef::cast).and_then(|name| named(&name))?;
            whole(name)
        }
        CommentObject::ObjectConstraint(_)
        | CommentObject::ObjectTrigger(_)
        | CommentObject::ObjectPolicy(_)
        | CommentObject::ObjectRule(_) => relation_in(node).map(|name| Asked::new(Form::CommentOnPart, name)),
        _ => None,
    }
}

impl Known<'_> {
    /// What a view reads.
    pub(super) fn sources_of(&self, view: &Named) -> Vec<Named> {
        self.full(view).map(|view| self.sources(&view)).unwrap_or_default()
    }

    /// The full name of a relation that is there before the script; as it is written, where nothing is known.
    pub(crate) fn full(&self, name: &Named) -> Option<Named> {
        match self.before {
            Some(_) => self.relation(name).map(|one| place::full(&one.id)),
            None => Some(name.clone()),
        }
    }
}
