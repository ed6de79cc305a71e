//! The schema that a script leads to, as far as judging the next script needs it: types, checks, NOT NULL.

use std::sync::Arc;

use migrate_base::ident::{catalog_name, plain};
use migrate_base::sql::tokens;
use migrate_schema::{Fact, Id, Kind, Object};
use squawk_syntax::ast::{AlterColumnOption, AlterTableAction, AstNode, Constraint, Stmt};

use crate::locks::{AlteredTable, ScriptContext, as_server};
use crate::tree::ObjectName;
use crate::tree::named;

/// The columns and constraints as a statement changes them; each table keeps the name that it had before all scripts.
pub(super) fn changed(known: &ScriptContext<'_>, stmt: &Stmt) -> Vec<Arc<Object>> {
    let Stmt::AlterTable(alter) = stmt else { return Vec::new() };
    let Some(AlteredTable { table, .. }) = AlteredTable::of(known, alter) else { return Vec::new() };
    alter.actions().filter_map(|action| of_action(known, &table, &action)).map(Arc::new).collect()
}

/// The column or constraint as an action changes it.
fn of_action(known: &ScriptContext<'_>, table: &ObjectName, action: &AlterTableAction) -> Option<Object> {
    let found = known.table(table)?;
    let id = |kind: Kind, name: String| {
        let (schema, parent) = (found.id.schema.clone(), found.id.name.clone());
        Arc::new(Id { kind, schema, parent, name: name.into(), signature: "".into() })
    };
    match action {
        AlterTableAction::AlterColumn(it) => {
            let column = known.column(found, &named(&it.column_name_ref()?)?.name)?;
            match it.option()? {
                AlterColumnOption::SetType(set) => {
                    Some(with(column, "type", &as_server(known, &set.ty()?.syntax().text().to_string())))
                }
                AlterColumnOption::SetNotNull(_) => Some(required(known, column)),
                _ => None,
            }
        }
        AlterTableAction::AddConstraint(it) => {
            let Constraint::CheckConstraint(check) = it.constraint()? else { return None };
            let name = check.constraint_name_clause()?.constraint_name().and_then(|name| named(&name))?.name;
            let options = check.constraint_options().map(|one| one.syntax().text().to_string().trim().to_uppercase());
            let condition = as_written(&check.expr()?.syntax().text().to_string());
            let parts = [format!("CHECK ({condition})")].into_iter().chain(options);
            let facts = vec![fact("definition", &parts.collect::<Vec<_>>().join(" "))];
            Some(Object { id: id(Kind::Constraint, name), facts, position: None })
        }
        AlterTableAction::ValidateConstraint(it) => {
            let name = named(&it.constraint_name_ref()?)?.name;
            let constraint = known.constraint(found, &name)?;
            let definition = constraint.fact("definition")?.strip_suffix(" NOT VALID")?;
            Some(with(constraint, "definition", definition))
        }
        _ => None,
    }
}

/// The column with NOT NULL, which is a named constraint from PostgreSQL 18 on.
fn required(known: &ScriptContext<'_>, column: &Object) -> Object {
    let column = with(column, "not null", "yes");
    let is_named = known.major.is_some_and(|major| major >= 18) && column.fact("not null constraint").is_none();
    let name = format!("{}_{}_not_null", column.id.parent, column.id.name);
    if is_named { with(&column, "not null constraint", &name) } else { column }
}

fn fact(name: &str, value: &str) -> Fact {
    Fact { name: name.into(), value: value.into() }
}

/// The object with another value of a fact.
fn with(object: &Object, name: &str, value: &str) -> Object {
    let others = object.facts.iter().filter(|one| *one.name != *name).cloned();
    let facts = others.chain([fact(name, value)]).collect();
    Object { id: object.id.clone(), facts, position: object.position }
}

/// A condition the way the server writes it, word by word.
fn as_written(condition: &str) -> String {
    const WORDS: [&str; 5] = ["is", "not", "null", "and", "or"];
    let word = |word: &str| match WORDS.contains(&word.to_ascii_lowercase().as_str()) {
        true => word.to_ascii_uppercase(),
        false if word.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '"')) => {
            catalog_name(word).map_or_else(|| word.to_owned(), |name| plain(&name))
        }
        false => word.to_owned(),
    };
    tokens(condition).into_iter().map(word).collect::<Vec<_>>().join(" ")
}
