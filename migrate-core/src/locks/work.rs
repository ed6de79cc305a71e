//! Which actions read or write all rows of their table: what the server decides by looking at types, defaults and proofs.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Constraint, ConstraintOption};

use super::place::{Known, asks_for, columns};
use super::types::{is_strict, keeps_rows};
use crate::lint::Named;
use crate::lint::script::{named, span};
use crate::schema::{Kind, Object};

/// What is done with the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Work {
    /// None of them is looked at, or only a few.
    #[default]
    Nothing,
    /// All of them are read.
    Reads,
    /// All of them are rewritten, to another file.
    Rewrites,
}

/// Why rows are read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    NewColumn,
    NewKey,
    Check,
    ForeignKey,
    Unique,
    NotNull,
    Type,
    Storage,
}

/// Work, and where in the script it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effort {
    pub(crate) work: Work,
    pub(crate) cause: Cause,
    pub(crate) place: std::ops::Range<usize>,
}

impl Effort {
    fn at(node: &impl AstNode, work: Work, cause: Cause) -> Self {
        Self { work, cause, place: span(node) }
    }
}

/// What an action does with the rows of its table. `utc` is whether the time zone of the session is known to be UTC.
pub(crate) fn efforts(known: &Known<'_>, name: &Named, action: &AlterTableAction, utc: bool) -> Vec<Effort> {
    let table = known.relation(name);
    match action {
        AlterTableAction::AddColumn(it) => new_column(known, table, it),
        AlterTableAction::AlterColumn(it) => altered(known, table, it, utc).into_iter().collect(),
        AlterTableAction::AddConstraint(it) => constraint(known, table, it).into_iter().collect(),
        AlterTableAction::ValidateConstraint(it) => {
            let wanted = it.constraint_name_ref().and_then(|name| named(&name));
            let is_valid = |one: &&Object| {
                wanted.as_ref().is_some_and(|name| name.name == *one.id.name)
                    && one.fact("definition").is_some_and(|text| !text.ends_with("NOT VALID"))
            };
            let is_valid = table.is_some_and(|table| known.constraints(table).iter().any(is_valid));
            (!is_valid).then(|| Effort::at(it, Work::Reads, Cause::Check)).into_iter().collect()
        }
        _ => stored(table, action).into_iter().collect(),
    }
}

/// Actions that put the rows somewhere else, unless they are there.
fn stored(table: Option<&Object>, action: &AlterTableAction) -> Option<Effort> {
    // A partitioned table stores nothing: what is said of it holds for partitions that come later.
    if table.is_some_and(|table| table.fact("partition key").is_some()) {
        return None;
    }
    let fact = |name: &str| table.and_then(|table| table.fact(name));
    let is_known = table.is_some();
    let name = |name: Option<Named>| name.map(|name| name.name).unwrap_or_default();
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
                it.syntax().last_token().map(|word| word.text().to_owned()).and_then(|word| Named::parse(&word));
            is_known && fact("tablespace").unwrap_or("pg_default") == name(wanted)
        }
        _ => return None,
    };
    (!stays).then(|| Effort::at(action, Work::Rewrites, Cause::Storage))
}

fn new_column(known: &Known<'_>, table: Option<&Object>, add: &ast::AddColumn) -> Vec<Effort> {
    let name = add.column_name().and_then(|name| named(&name));
    let is_there = add.if_not_exists().is_some()
        && name.zip(table).is_some_and(|(name, table)| known.column(table, &name.name).is_some());
    if is_there {
        return Vec::new();
    }
    let ty = add.ty().map(|ty| ty.syntax().text().to_string()).unwrap_or_default();
    let constraints: Vec<Constraint> = add.constraints().collect();
    let fills = |one: &Constraint| matches!(one, Constraint::DefaultConstraint(_) | Constraint::GeneratedConstraint(_));
    let is_filled = constraints.iter().any(fills);
    let is_serial = ty.trim().to_ascii_lowercase().contains("serial");
    let rewrites = is_serial || is_strict(known, &ty) || constraints.iter().any(|one| is_computed_for_each(known, one));
    let is_key = constraints.iter().any(|one| matches!(one, Constraint::PrimaryKeyConstraint(_)));
    let mut all = Vec::new();
    if rewrites {
        let cause = if is_key { Cause::NewKey } else { Cause::NewColumn };
        all.push(Effort::at(add, Work::Rewrites, cause));
    }
    for one in &constraints {
        match one {
            Constraint::CheckConstraint(it) => all.push(Effort::at(it, Work::Reads, Cause::Check)),
            Constraint::UniqueConstraint(it) => all.push(Effort::at(it, Work::Reads, Cause::Unique)),
            Constraint::PrimaryKeyConstraint(it) => all.push(Effort::at(it, Work::Reads, Cause::NewKey)),
            // Without a default the key holds in all rows. DEFAULT NULL is one to the server.
            Constraint::ReferencesConstraint(it) if is_filled || is_serial => {
                all.push(Effort::at(it, Work::Reads, Cause::ForeignKey));
            }
            _ => {}
        }
    }
    all
}

/// Whether a column has to be filled row by row. A virtual one is not stored.
fn is_computed_for_each(known: &Known<'_>, constraint: &Constraint) -> bool {
    match constraint {
        Constraint::DefaultConstraint(it) => {
            let mut calls = it.syntax().descendants().filter_map(ast::CallExpr::cast);
            calls.any(|call| call.expr().and_then(|name| named(&name)).is_some_and(|name| is_volatile(known, &name)))
        }
        Constraint::GeneratedConstraint(it) => has_word(it.syntax(), "identity") || has_word(it.syntax(), "stored"),
        _ => false,
    }
}

/// The functions of PostgreSQL that give the same value for a whole statement, from `pg_proc`.
const STEADY: &str = include_str!("functions.txt");

/// Whether a function may give another value for each row. One that nobody knows may.
fn is_volatile(known: &Known<'_>, name: &Named) -> bool {
    let own = known.functions(name);
    if !own.is_empty() {
        let steady = |one: &&Object| {
            let head = one.fact("definition").and_then(|text| text.split("\nAS ").next()).unwrap_or_default();
            ["IMMUTABLE", "STABLE"].iter().any(|word| head.split_whitespace().any(|one| one == *word))
        };
        return !own.iter().all(steady);
    }
    !STEADY.lines().any(|steady| steady == name.name)
}

/// Whether a word stands among the words of a node.
pub(super) fn has_word(node: &SyntaxNode, word: &str) -> bool {
    let text = node.text().to_string();
    crate::sql::tokens(&text).iter().any(|one| one.eq_ignore_ascii_case(word))
}

fn altered(known: &Known<'_>, table: Option<&Object>, alter: &ast::AlterColumn, utc: bool) -> Option<Effort> {
    let name = named(&alter.column_name_ref()?)?.name;
    let column = table.and_then(|table| known.column(table, &name));
    match alter.option()? {
        AlterColumnOption::SetNotNull(_) => {
            let is_proven = table.is_some_and(|table| is_filled(known, table, &name));
            (!is_proven).then(|| Effort::at(alter, Work::Reads, Cause::NotNull))
        }
        AlterColumnOption::SetExpression(_) => {
            let is_virtual =
                column.and_then(|one| one.fact("generated")).is_some_and(|text| text.starts_with("virtual"));
            (!is_virtual).then(|| Effort::at(alter, Work::Rewrites, Cause::Storage))
        }
        AlterColumnOption::SetType(set) => {
            let work = retyped(known, table, column, &set, &name, utc);
            (work > Work::Nothing).then(|| Effort::at(alter, work, Cause::Type))
        }
        _ => None,
    }
}

fn retyped(
    known: &Known<'_>,
    table: Option<&Object>,
    column: Option<&Object>,
    set: &ast::SetType,
    name: &str,
    utc: bool,
) -> Work {
    let (Some(table), Some(column), Some(ty)) = (table, column, set.ty()) else { return Work::Rewrites };
    let new = ty.syntax().text().to_string();
    let old = column.fact("type").unwrap_or_default();
    let is_plain = set.using_expr().is_none_or(|using| is_cast_of(&using, name, &new));
    if !is_plain || !keeps_rows(known, old, &new, utc) {
        return Work::Rewrites;
    }
    let mentions = |text: &str| crate::sql::tokens(text).iter().any(|word| word.trim_matches('"') == name);
    let definition = |one: &&Object| one.fact("definition").is_some_and(mentions);
    let collation = set.collate().and_then(|one| Named::parse(one.syntax().text().to_string().trim()[7..].trim()));
    let collation = collation.map(|name| name.name);
    let own = column.fact("collation").and_then(Named::parse).map(|name| name.name);
    let sorts_anew = collation.filter(|name| name != "default") != own;
    let constraints = known.constraints(table);
    let is_indexed = known.parts(table, Kind::Index).iter().any(definition)
        || constraints.iter().filter(|one| definition(one)).any(|one| {
            one.fact("definition").is_some_and(|text| text.starts_with("UNIQUE") || text.starts_with("PRIMARY KEY"))
        });
    let is_checked =
        constraints.iter().filter(|one| definition(one)).any(|one| one.fact("definition").is_some_and(is_valid_check));
    // A check is proven again, and an index that sorts in another order is built again.
    if is_checked || sorts_anew && is_indexed { Work::Reads } else { Work::Nothing }
}

fn is_valid_check(text: &str) -> bool {
    text.starts_with("CHECK") && !text.ends_with("NOT VALID")
}

/// Whether an expression is the column itself, as it is or cast to the new type.
fn is_cast_of(using: &ast::UsingExpr, name: &str, ty: &str) -> bool {
    let text = using.expr().map(|expr| expr.syntax().text().to_string()).unwrap_or_default();
    let (value, cast) = text.split_once("::").unwrap_or((&text, ty));
    Named::parse(value).is_some_and(|one| one.schema.is_none() && one.name == name)
        && value.trim().chars().all(|c| c.is_alphanumeric() || c == '_' || c == '"')
        && super::types::Stored::parse(cast) == super::types::Stored::parse(ty)
}

/// Whether the server knows that no row has NULL in a column.
pub(crate) fn is_filled(known: &Known<'_>, table: &Object, column: &str) -> bool {
    let declared = known.column(table, column).is_some_and(|one| {
        one.fact("not null").is_some()
            && !one.fact("not null constraint").is_some_and(|text| text.ends_with("not valid"))
    });
    let checked =
        |one: &&Object| one.fact("definition").is_some_and(|text| is_valid_check(text) && asks_for(text, column));
    declared || known.constraints(table).iter().any(checked)
}

fn is_deferred_check(mut options: impl Iterator<Item = ConstraintOption>) -> bool {
    options.any(|option| matches!(option, ConstraintOption::NotValid(_)))
}

fn constraint(known: &Known<'_>, table: Option<&Object>, add: &ast::AddConstraint) -> Option<Effort> {
    let filled = |column: &str| table.is_some_and(|table| is_filled(known, table, column));
    match add.constraint()? {
        Constraint::CheckConstraint(it) if !is_deferred_check(it.constraint_options()) => {
            Some(Effort::at(add, Work::Reads, Cause::Check))
        }
        Constraint::NotNullConstraint(it) if !is_deferred_check(it.constraint_options()) => {
            let column = it.column_name_ref().and_then(|name| named(&name))?;
            (!filled(&column.name)).then(|| Effort::at(add, Work::Reads, Cause::NotNull))
        }
        Constraint::ForeignKeyConstraint(it) if !is_deferred_check(it.constraint_options()) => {
            Some(Effort::at(add, Work::Reads, Cause::ForeignKey))
        }
        Constraint::UniqueConstraint(it) if it.using_index().is_none() => {
            Some(Effort::at(add, Work::Reads, Cause::Unique))
        }
        Constraint::PrimaryKeyConstraint(it) => match it.using_index() {
            None => Some(Effort::at(add, Work::Reads, Cause::NewKey)),
            Some(using) => {
                let index = using.index_ref().and_then(|name| named(&name))?;
                let of_index = indexed(known, table, &index);
                let is_proven = of_index.is_some_and(|columns| columns.iter().all(|column| filled(column)));
                (!is_proven).then(|| Effort::at(add, Work::Reads, Cause::NotNull))
            }
        },
        Constraint::ExcludeConstraint(_) => Some(Effort::at(add, Work::Reads, Cause::Unique)),
        _ => None,
    }
}

/// The columns of an index.
fn indexed(known: &Known<'_>, table: Option<&Object>, index: &Named) -> Option<Vec<String>> {
    let all = known.parts(table?, Kind::Index);
    let found = all.into_iter().find(|one| *one.id.name == *index.name)?;
    let (_, list) = found.fact("definition")?.split_once(" USING ")?.1.split_once('(')?;
    Some(columns(list))
}
