//! Which actions read or write all rows of their table. The server decides this from types, defaults and proofs.

use migrate_base::sql::tokens;
use migrate_schema::{Kind, Object};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Constraint, ConstraintOption};

use super::place::{ScriptContext, columns, is_key};
use super::proven::{is_filled, is_valid, is_valid_check};
use super::steady::calls_volatile;
use super::types::{TypeChangeEffect, change, domain_of, is_strict};
use crate::tree::ObjectName;
use crate::tree::{named, span};

/// What is done with the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum RowWork {
    /// No row is read, or only a few.
    #[default]
    Nothing,
    /// Unknown: the table is not in the schema.
    Unknown,
    /// All of them are read.
    Reads,
    /// All of them are rewritten, to a new file.
    Rewrites,
}

/// Why rows are read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkCause {
    NewColumn,
    NewKey,
    Check,
    ForeignKey,
    Unique,
    NotNull,
    Type,
    Storage,
}

/// Work, and the place in the script that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacedWork {
    pub(crate) work: RowWork,
    pub(crate) cause: WorkCause,
    pub(crate) place: std::ops::Range<usize>,
}

impl PlacedWork {
    fn at(node: &impl AstNode, work: RowWork, cause: WorkCause) -> Self {
        Self { work, cause, place: span(node) }
    }
}

/// What an action does with the rows of a table.
pub(crate) fn efforts(known: &ScriptContext<'_>, name: &ObjectName, action: &AlterTableAction) -> Vec<PlacedWork> {
    let table = known.table(name);
    match action {
        AlterTableAction::AddColumn(it) => new_column(known, table, it),
        AlterTableAction::AlterColumn(it) => altered(known, table, it).into_iter().collect(),
        AlterTableAction::AddConstraint(it) => constraint(known, table, it).into_iter().collect(),
        AlterTableAction::ValidateConstraint(it) => {
            let wanted = it.constraint_name_ref().and_then(|name| named(&name));
            let is_valid = |one: &&Object| {
                wanted.as_ref().is_some_and(|name| name.name == *one.id.name)
                    && one.fact("definition").is_some_and(is_valid)
            };
            let is_valid = table.is_some_and(|table| known.constraints(table).iter().any(is_valid));
            (!is_valid).then(|| PlacedWork::at(it, RowWork::Reads, WorkCause::Check)).into_iter().collect()
        }
        // A key that becomes enforced is checked.
        AlterTableAction::AlterConstraint(it) => {
            let enforces = it.constraint_options().any(|option| matches!(option, ConstraintOption::Enforced(_)));
            let name = it.constraint_name_ref().and_then(|name| named(&name));
            let is_enforced = |one: &&Object| {
                name.as_ref().is_some_and(|name| name.name == *one.id.name)
                    && one.fact("definition").is_some_and(|text| !text.ends_with(" NOT ENFORCED"))
            };
            let is_enforced = table.is_some_and(|table| known.constraints(table).iter().any(is_enforced));
            (enforces && !is_enforced)
                .then(|| PlacedWork::at(it, RowWork::Reads, WorkCause::ForeignKey))
                .into_iter()
                .collect()
        }
        _ => stored(table, action).into_iter().collect(),
    }
}

/// What an action does with the rows of a partition or child.
pub(crate) fn child_efforts(
    known: &ScriptContext<'_>,
    of: &ObjectName,
    child: &ObjectName,
    action: &AlterTableAction,
) -> Vec<PlacedWork> {
    let mut all = efforts(known, child, action);
    if let AlterTableAction::AddColumn(it) = action {
        let name = it.column_name().and_then(|name| named(&name));
        if name.zip(known.table(child)).is_some_and(|(name, child)| known.column(child, &name.name).is_some()) {
            return Vec::new();
        }
    }
    if matches!(action, AlterTableAction::AddConstraint(it) if has_word(it.syntax(), "inherit")) {
        return Vec::new();
    }
    // Children that are not partitions do not get the keys, but they do get the NOT NULL of a primary key.
    if !known.is_partitioned(of) {
        let of_key =
            |one: &PlacedWork| matches!(one.cause, WorkCause::NewKey | WorkCause::Unique | WorkCause::ForeignKey);
        all.retain(|one| !(one.work == RowWork::Reads && of_key(one)));
        if let AlterTableAction::AddConstraint(it) = action
            && key_fills(known, of, it)
            && nullable(known, child, it)
        {
            all.push(PlacedWork::at(it, RowWork::Reads, WorkCause::NotNull));
        }
    }
    all
}

/// Whether a primary key makes columns of a table NOT NULL in its children too.
pub(super) fn key_fills(known: &ScriptContext<'_>, table: &ObjectName, add: &ast::AddConstraint) -> bool {
    !known.is_partitioned(table) && nullable(known, table, add)
}

/// Whether the columns of a primary key can be NULL in a table.
fn nullable(known: &ScriptContext<'_>, table: &ObjectName, add: &ast::AddConstraint) -> bool {
    let Some((Constraint::PrimaryKeyConstraint(key), table)) = add.constraint().zip(known.table(table)) else {
        return false;
    };
    let text = key.syntax().text().to_string();
    let words = tokens(&text).into_iter().skip_while(|word| *word != "(").take_while(|word| *word != ")");
    let names: Vec<String> = words.filter_map(migrate_base::ident::catalog_name).collect();
    key.using_index().is_none() && names.iter().any(|column| !is_filled(known, table, column))
}

/// Actions that move the rows, unless they are there already.
fn stored(table: Option<&Object>, action: &AlterTableAction) -> Option<PlacedWork> {
    // A partitioned table stores nothing: the setting applies to future partitions.
    if table.is_some_and(|table| table.fact("partition key").is_some()) {
        return None;
    }
    let fact = |name: &str| table.and_then(|table| table.fact(name));
    let is_known = table.is_some();
    let name = |name: Option<ObjectName>| name.map(|name| name.name).unwrap_or_default();
    let stays = match action {
        AlterTableAction::SetLogged(_) => is_known && fact("persistence").is_none(),
        AlterTableAction::SetUnlogged(_) => fact("persistence") == Some("unlogged"),
        AlterTableAction::SetAccessMethod(it) => {
            let method = name(it.access_method_ref().and_then(|name| named(&name)));
            let method = if it.default_token().is_some() { "heap".to_owned() } else { method };
            is_known && fact("access method").unwrap_or("heap") == method
        }
        AlterTableAction::SetTablespace(it) => {
            let wanted =
                it.syntax().last_token().map(|word| word.text().to_owned()).and_then(|word| ObjectName::parse(&word));
            is_known && fact("tablespace").unwrap_or("pg_default") == name(wanted)
        }
        _ => return None,
    };
    (!stays).then(|| PlacedWork::at(action, RowWork::Rewrites, WorkCause::Storage))
}

fn new_column(known: &ScriptContext<'_>, table: Option<&Object>, add: &ast::AddColumn) -> Vec<PlacedWork> {
    let name = add.column_name().and_then(|name| named(&name));
    let is_there = add.if_not_exists().is_some()
        && name.zip(table).is_some_and(|(name, table)| known.column(table, &name.name).is_some());
    if is_there {
        return Vec::new();
    }
    let ty = add.ty().map(|ty| ty.syntax().text().to_string()).unwrap_or_default();
    let constraints: Vec<Constraint> = add.constraints().collect();
    // The server treats DEFAULT NULL as a default, which also overrides that of a domain.
    let has_default = constraints.iter().any(|one| matches!(one, Constraint::DefaultConstraint(_)));
    let domain = domain_of(known, &ty).filter(|_| !has_default);
    let is_serial = SERIAL.contains(&ty.trim().to_ascii_lowercase().as_str());
    // The server ignores the default of a domain when it adds a key.
    let is_filled =
        has_default || is_serial || constraints.iter().any(|one| matches!(one, Constraint::GeneratedConstraint(_)));
    let rewrites = is_serial
        || is_strict(known, &ty)
        || domain.is_some_and(|domain| domain.volatile)
        || constraints.iter().any(|one| is_computed_for_each(known, one));
    let is_new_key = constraints.iter().any(|one| matches!(one, Constraint::PrimaryKeyConstraint(_)));
    let mut all = Vec::new();
    if rewrites {
        let cause = if is_new_key { WorkCause::NewKey } else { WorkCause::NewColumn };
        all.push(PlacedWork::at(add, RowWork::Rewrites, cause));
    }
    for one in &constraints {
        match one {
            Constraint::CheckConstraint(it) if !is_unproven(it.constraint_options()) => {
                all.push(PlacedWork::at(it, RowWork::Reads, WorkCause::Check));
            }
            Constraint::UniqueConstraint(it) => all.push(PlacedWork::at(it, RowWork::Reads, WorkCause::Unique)),
            Constraint::PrimaryKeyConstraint(it) => all.push(PlacedWork::at(it, RowWork::Reads, WorkCause::NewKey)),
            // Without a default the key is valid for all rows.
            Constraint::ReferencesConstraint(it) if is_filled && !is_unproven(it.constraint_options()) => {
                all.push(PlacedWork::at(it, RowWork::Reads, WorkCause::ForeignKey));
            }
            _ => {}
        }
    }
    all
}

/// Whether a column is NULL in all rows until somebody writes to it.
pub(super) fn is_null_by_default(add: &ast::AddColumn) -> bool {
    let is_null = |one: &Constraint| match one {
        Constraint::DefaultConstraint(it) => {
            tokens(&it.syntax().text().to_string()).last().is_some_and(|word| word.eq_ignore_ascii_case("null"))
        }
        _ => false,
    };
    add.constraints().any(|one| is_null(&one))
}

/// The types that have their own default.
const SERIAL: [&str; 6] = ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"];

/// Whether a column has to be filled row by row. A virtual column is not stored.
fn is_computed_for_each(known: &ScriptContext<'_>, constraint: &Constraint) -> bool {
    match constraint {
        Constraint::DefaultConstraint(it) => calls_volatile(known, it.syntax()),
        Constraint::GeneratedConstraint(it) => has_word(it.syntax(), "identity") || has_word(it.syntax(), "stored"),
        _ => false,
    }
}

/// Whether a word occurs among the words of a node.
pub(super) fn has_word(node: &SyntaxNode, word: &str) -> bool {
    let text = node.text().to_string();
    migrate_base::sql::tokens(&text).iter().any(|one| one.eq_ignore_ascii_case(word))
}

fn altered(known: &ScriptContext<'_>, table: Option<&Object>, alter: &ast::AlterColumn) -> Option<PlacedWork> {
    let name = named(&alter.column_name_ref()?)?.name;
    let column = table.and_then(|table| known.column(table, &name));
    match alter.option()? {
        AlterColumnOption::SetNotNull(_) => {
            let is_proven = table.is_some_and(|table| is_filled(known, table, &name));
            (!is_proven).then(|| PlacedWork::at(alter, RowWork::Reads, WorkCause::NotNull))
        }
        AlterColumnOption::SetExpression(_) => {
            let is_virtual =
                column.and_then(|one| one.fact("generated")).is_some_and(|text| text.starts_with("virtual"));
            (!is_virtual).then(|| PlacedWork::at(alter, RowWork::Rewrites, WorkCause::Storage))
        }
        AlterColumnOption::SetType(set) => {
            let work = match table.zip(column) {
                Some((table, column)) => retyped(known, table, column, &set),
                None => RowWork::Rewrites,
            };
            (work > RowWork::Nothing).then(|| PlacedWork::at(alter, work, WorkCause::Type))
        }
        _ => None,
    }
}

fn retyped(known: &ScriptContext<'_>, table: &Object, column: &Object, set: &ast::SetType) -> RowWork {
    let Some(ty) = set.ty() else { return RowWork::Rewrites };
    let (name, new) = (&*column.id.name, ty.syntax().text().to_string());
    let change = match set.using_expr().is_none_or(|using| is_cast_of(&using, name, &new)) {
        true => change(known, column.fact("type").unwrap_or_default(), &new, known.is_utc()),
        false => TypeChangeEffect::Rewrites,
    };
    if change == TypeChangeEffect::Rewrites {
        return RowWork::Rewrites;
    }
    let collation =
        set.collate().and_then(|one| ObjectName::parse(one.syntax().text().to_string().trim().get(7..)?.trim()));
    let collation = collation.map(|name| name.name).filter(|name| name != "default");
    let sorts_anew = collation != column.fact("collation").and_then(ObjectName::parse).map(|name| name.name);
    let is_other = sorts_anew || change == TypeChangeEffect::NewIndexes;
    let about = |one: &&Object| {
        one.fact("definition").is_some_and(|text| tokens(text).iter().any(|word| word.trim_matches('"') == name))
    };
    // An index with another sort order is rebuilt, and so is each index with an expression or a condition.
    let is_built = |one: &Object| one.fact("definition").is_some_and(|text| is_other || !is_of_columns(text));
    let is_indexed = known.parts(table, Kind::Index).into_iter().filter(about).any(is_built);
    // A check is proven again.
    let is_proven = |one: &Object| match one.fact("definition") {
        Some(text) if is_key(text) => is_other,
        Some(text) if text.starts_with("EXCLUDE") => is_built(one),
        text => text.is_some_and(is_valid_check),
    };
    let is_constrained = known.constraints(table).into_iter().filter(about).any(is_proven);
    if is_indexed || is_constrained { RowWork::Reads } else { RowWork::Nothing }
}

/// Whether an index covers plain columns and all rows.
fn is_of_columns(definition: &str) -> bool {
    let Some((_, list)) = definition.split_once(" USING ").and_then(|(_, rest)| rest.split_once('(')) else {
        return true;
    };
    let words = tokens(list);
    let is_whole = !words.iter().any(|word| word.eq_ignore_ascii_case("where"));
    let list = words.split(|word| *word == ")").next().unwrap_or_default();
    is_whole && !list.contains(&"(")
}

/// Whether an action computes new values of a column from its old ones, rather than only casting them.
pub(crate) fn computes(action: &ast::AlterTableAction) -> bool {
    let ast::AlterTableAction::AlterColumn(alter) = action else { return false };
    let Some(AlterColumnOption::SetType(set)) = alter.option() else { return false };
    let name = alter.column_name_ref().and_then(|name| named(&name)).map(|name| name.name).unwrap_or_default();
    let ty = set.ty().map(|ty| ty.syntax().text().to_string()).unwrap_or_default();
    set.using_expr().is_some_and(|using| !is_cast_of(&using, &name, &ty))
}

/// Whether an expression is the column itself, as it is or cast to the new type.
fn is_cast_of(using: &ast::UsingExpr, name: &str, ty: &str) -> bool {
    let text = using.expr().map(|expr| expr.syntax().text().to_string()).unwrap_or_default();
    let (value, cast) = text.split_once("::").unwrap_or((&text, ty));
    ObjectName::parse(value).is_some_and(|one| one.schema.is_none() && one.name == name)
        && value.trim().chars().all(|c| c.is_alphanumeric() || c == '_' || c == '"')
        && super::types::TypeName::parse(cast) == super::types::TypeName::parse(ty)
}

/// Whether a constraint is added without reading the rows.
fn is_unproven(mut options: impl Iterator<Item = ConstraintOption>) -> bool {
    options.any(|option| matches!(option, ConstraintOption::NotValid(_) | ConstraintOption::NotEnforced(_)))
}

fn constraint(known: &ScriptContext<'_>, table: Option<&Object>, add: &ast::AddConstraint) -> Option<PlacedWork> {
    let filled = |column: &str| table.is_some_and(|table| is_filled(known, table, column));
    match add.constraint()? {
        Constraint::CheckConstraint(it) if !is_unproven(it.constraint_options()) => {
            Some(PlacedWork::at(add, RowWork::Reads, WorkCause::Check))
        }
        Constraint::NotNullConstraint(it) if !is_unproven(it.constraint_options()) => {
            let column = it.column_name_ref().and_then(|name| named(&name))?;
            (!filled(&column.name)).then(|| PlacedWork::at(add, RowWork::Reads, WorkCause::NotNull))
        }
        Constraint::ForeignKeyConstraint(it) if !is_unproven(it.constraint_options()) => {
            Some(PlacedWork::at(add, RowWork::Reads, WorkCause::ForeignKey))
        }
        Constraint::UniqueConstraint(it) if it.using_index().is_none() => {
            Some(PlacedWork::at(add, RowWork::Reads, WorkCause::Unique))
        }
        Constraint::PrimaryKeyConstraint(it) => match it.using_index() {
            None => Some(PlacedWork::at(add, RowWork::Reads, WorkCause::NewKey)),
            Some(using) => {
                let index = using.index_ref().and_then(|name| named(&name))?;
                let of_index = indexed(known, table, &index);
                let is_proven = of_index.is_some_and(|columns| columns.iter().all(|column| filled(column)));
                (!is_proven).then(|| PlacedWork::at(add, RowWork::Reads, WorkCause::NotNull))
            }
        },
        Constraint::ExcludeConstraint(_) => Some(PlacedWork::at(add, RowWork::Reads, WorkCause::Unique)),
        _ => None,
    }
}

/// The columns of an index.
fn indexed(known: &ScriptContext<'_>, table: Option<&Object>, index: &ObjectName) -> Option<Vec<String>> {
    let all = known.parts(table?, Kind::Index);
    let found = all.into_iter().find(|one| *one.id.name == *index.name)?;
    let (_, list) = found.fact("definition")?.split_once(" USING ")?.1.split_once('(')?;
    Some(columns(list))
}
