//! Removal of objects, including what CASCADE removes.

use std::collections::BTreeSet;

use migrate_base::ident::{catalog_name, plain};
use migrate_base::sql::tokens;
use migrate_schema::{Kind, Object, Schema};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Stmt};

use super::RelationForm;
use super::place::{ScriptContext, full, parent_of};
use super::statement::{on, relations};
use super::table::StatementForm;
use crate::tree::ObjectName;
use crate::tree::named;

/// The locks that a DROP statement asks for; `None` for other statements.
pub(super) fn asked(stmt: &Stmt, known: &ScriptContext<'_>) -> Option<Vec<RelationForm>> {
    let node = stmt.syntax();
    let cascade = node.descendants().any(|node| ast::Cascade::can_cast(node.kind()));
    let asked = match stmt {
        Stmt::DropTable(_) | Stmt::DropForeignTable(_) | Stmt::DropView(_) | Stmt::DropMaterializedView(_) => {
            relations(stmt, known).iter().map(|table| dropped(known, table, cascade)).collect()
        }
        Stmt::DropSequence(it) => {
            let names: Vec<ObjectName> = it.sequence_refs().filter_map(|name| known.named(&name)).collect();
            let defaults = names
                .iter()
                .filter(|_| cascade)
                .flat_map(|name| using(known, &format!("'{}'::regclass", written(name))));
            let defaults: Vec<RelationForm> = defaults.collect();
            names
                .into_iter()
                .map(|name| RelationForm::new(StatementForm::StrongSequence, name))
                .chain(defaults)
                .collect()
        }
        Stmt::DropFunction(_) | Stmt::DropProcedure(_) | Stmt::DropRoutine(_) if cascade => {
            functions(node, known).iter().flat_map(|name| using(known, &format!("{}(", written(name)))).collect()
        }
        Stmt::DropSchema(it) if cascade => {
            let inside = it.schema_refs().filter_map(|name| named(&name)).flat_map(|name| known.inside(&name.name));
            inside.map(|table| dropped(known, &table, true)).collect()
        }
        Stmt::DropType(it) if cascade => of_types(known, it.type_name_refs().filter_map(|name| named(&name))),
        Stmt::DropDomain(it) if cascade => of_types(known, it.domain_refs().filter_map(|name| named(&name))),
        Stmt::DropOwned(_) => owned(known, node).iter().map(|table| dropped(known, table, true)).collect(),
        Stmt::Reassign(_) => {
            owned(known, node).into_iter().map(|table| RelationForm::new(StatementForm::OwnTable, table)).collect()
        }
        Stmt::Truncate(it) => {
            let tables = it.table_list().into_iter().flat_map(|list| list.table_relation_names());
            let one = |table: ast::TableRelationName| {
                let only = table.only_token().is_some();
                let table = known.named(&table.table_name_ref()?)?;
                let dependents = if cascade { known.referring(&table) } else { Vec::new() };
                Some(RelationForm { only, dependents, ..RelationForm::new(StatementForm::Truncate, table) })
            };
            tables.filter_map(one).collect()
        }
        Stmt::DropTrigger(it) => part(stmt, known, Kind::Trigger, it.trigger_ref().and_then(|name| named(&name))),
        Stmt::DropRule(it) => {
            let table = it.on_relation().and_then(|on| known.named(&on.relation_name_ref()?));
            let name = it.rule_ref().and_then(|name| named(&name));
            let table = table.filter(|table| has_part(known, table, Kind::Rule, name));
            table.map(|table| RelationForm::new(StatementForm::OwnTable, table)).into_iter().collect()
        }
        _ => return None,
    };
    Some(asked)
}

/// A trigger that does not exist locks nothing.
fn part(stmt: &Stmt, known: &ScriptContext<'_>, kind: Kind, name: Option<ObjectName>) -> Vec<RelationForm> {
    let all = on(stmt, known, StatementForm::DropTrigger).into_iter();
    all.filter(|one| has_part(known, &one.target, kind, name.clone())).collect()
}

fn has_part(known: &ScriptContext<'_>, table: &ObjectName, kind: Kind, name: Option<ObjectName>) -> bool {
    let Some((table, name)) = known.table(table).zip(name) else { return true };
    known.parts(table, kind).iter().any(|one| *one.id.name == *name.name)
}

fn dropped(known: &ScriptContext<'_>, table: &ObjectName, cascade: bool) -> RelationForm {
    let partners = known.partners(table, |_, own| own || cascade);
    let dependents = if cascade { known.readers(table, None) } else { Vec::new() };
    RelationForm { partners, dependents, ..RelationForm::new(StatementForm::DropRelation, table.clone()) }
}

/// Columns of a type are dropped with it, and so are tables of the type.
fn of_types(known: &ScriptContext<'_>, names: impl Iterator<Item = ObjectName>) -> Vec<RelationForm> {
    let names: Vec<ObjectName> = names.collect();
    let typed: Vec<ObjectName> = names.iter().flat_map(|name| known.typed(name)).collect();
    let holders: Vec<ObjectName> = names.iter().flat_map(|name| known.holders(name)).collect();
    let changed = holders.into_iter().map(|table| RelationForm::new(StatementForm::OwnTable, table));
    changed.chain(typed.iter().map(|table| dropped(known, table, true))).collect()
}

/// A name the way the server writes it.
fn written(name: &ObjectName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", plain(schema), plain(&name.name)),
        None => plain(&name.name),
    }
}

/// The functions that a statement names.
fn functions(node: &SyntaxNode, known: &ScriptContext<'_>) -> BTreeSet<ObjectName> {
    let is_name = |node: &SyntaxNode| {
        let kind = node.kind();
        ast::FunctionNameRef::can_cast(kind)
            || ast::ProcedureNameRef::can_cast(kind)
            || ast::RoutineNameRef::can_cast(kind)
    };
    let names = node.descendants().filter(is_name).filter_map(|name| ObjectName::parse(&name.text().to_string()));
    names.flat_map(|name| known.functions(&name)).map(|function| full(&function.id)).collect()
}

/// The objects that have a text in their definition, and so are dropped or changed with what the text names.
fn using(known: &ScriptContext<'_>, text: &str) -> Vec<RelationForm> {
    let says = |one: &&Object| {
        ["definition", "default", "generated"].iter().any(|name| one.fact(name).is_some_and(|fact| fact.contains(text)))
    };
    let all = known.before.into_iter().flat_map(Schema::objects).map(|one| &**one).filter(says);
    let one = |object: &Object| match object.id.kind {
        Kind::View | Kind::MaterializedView => Some(dropped(known, &full(&object.id), true)),
        Kind::Trigger => Some(RelationForm::new(StatementForm::DropTrigger, parent_of(&object.id))),
        Kind::Column | Kind::Constraint | Kind::Index | Kind::Policy | Kind::Rule => {
            Some(RelationForm::new(StatementForm::OwnTable, parent_of(&object.id)))
        }
        _ => None,
    };
    all.filter_map(one).collect()
}

/// The relations of the roles that a statement names; all relations if it names the current role.
fn owned(known: &ScriptContext<'_>, node: &SyntaxNode) -> Vec<ObjectName> {
    let text = node.text().to_string();
    let words = tokens(&text);
    let after = words.iter().skip_while(|word| !word.eq_ignore_ascii_case("by")).skip(1);
    let roles: Vec<&str> =
        after.take_while(|word| !word.eq_ignore_ascii_case("to") && **word != ";").copied().collect();
    let is_own =
        |role: &&str| ["current_user", "session_user", "current_role"].contains(&role.to_ascii_lowercase().as_str());
    let names: BTreeSet<String> = roles.iter().filter_map(|role| catalog_name(role)).collect();
    let anybody = roles.iter().any(is_own);
    known.those(|one| anybody || one.fact("owner").is_some_and(|owner| names.contains(owner)))
}
