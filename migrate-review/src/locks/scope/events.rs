//! What one statement of a script changes for the statements after it.

use migrate_base::ident::catalog_name;
use migrate_base::sql::tokens;
use squawk_syntax::ast::{self, AstNode, Stmt};

use super::{Domain, ScriptChange, settings};
use crate::locks::action::AlteredTable;
use crate::locks::place::ScriptContext;
use crate::locks::steady::calls_volatile;
use crate::locks::work::has_word;
use crate::tree::{ObjectName, StatementTarget, named, relation_names, targets};

/// The changes that a statement makes, in order.
pub(super) fn of(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<ScriptChange> {
    match stmt {
        Stmt::CreateTable(it) => {
            made(known, it.table_name().and_then(|name| named(&name)), it.if_not_exists().is_some())
        }
        Stmt::CreateTableAs(it) => {
            made(known, it.table_name().and_then(|name| named(&name)), it.if_not_exists().is_some())
        }
        Stmt::CreateMaterializedView(it) => {
            made(known, it.view().and_then(|name| named(&name)), it.if_not_exists().is_some())
        }
        Stmt::CreateView(it) => made(known, it.view().and_then(|name| named(&name)), it.or_replace().is_some()),
        Stmt::DropTable(_) | Stmt::DropView(_) | Stmt::DropMaterializedView(_) | Stmt::DropForeignTable(_) => {
            let found = relation_names(stmt).filter_map(|name| known.current(&name));
            found.map(|name| ScriptChange::Name(name, None)).collect()
        }
        Stmt::DropSchema(it) => {
            let schemas = it.schema_refs().filter_map(|name| named(&name));
            let inside = schemas.flat_map(|schema| known.inside(&schema.name));
            inside.map(|name| ScriptChange::Name(name, None)).collect()
        }
        Stmt::AlterSchema(it) => moved(known, it),
        Stmt::CreateFunction(it) => {
            let name = it.name().and_then(|name| named(&name));
            name.map(|name| ScriptChange::Function(known.made(&name), text(it))).into_iter().collect()
        }
        Stmt::CreateDomain(it) => {
            it.domain().and_then(|name| named(&name)).map(|name| domain(known, it, &name)).into_iter().collect()
        }
        Stmt::AlterDomain(it) => stricter(known, it).into_iter().collect(),
        Stmt::Set(_) | Stmt::Reset(_) | Stmt::Discard(_) | Stmt::Select(_) => settings::read(&text(stmt)),
        Stmt::AlterTable(it) => renamed(known, stmt).into_iter().chain(loosened(known, it)).collect(),
        _ => renamed(known, stmt),
    }
}

/// What an `ALTER TABLE` no longer proves.
fn loosened(known: &ScriptContext<'_>, alter: &ast::AlterTable) -> Vec<ScriptChange> {
    use ast::{AlterColumnOption, AlterTableAction as A};
    let Some(AlteredTable { table, .. }) = AlteredTable::of(known, alter) else { return Vec::new() };
    let event = |action: A| match action {
        A::DropConstraint(it) => {
            Some(ScriptChange::Unconstrained(table.clone(), named(&it.constraint_name_ref()?)?.name))
        }
        A::AlterColumn(it) if matches!(it.option(), Some(AlterColumnOption::DropNotNull(_))) => {
            Some(ScriptChange::Nullable(table.clone(), named(&it.column_name_ref()?)?.name))
        }
        _ => None,
    };
    alter.actions().filter_map(event).collect()
}

fn text(node: &impl AstNode) -> String {
    node.syntax().text().to_string()
}

/// From here on the name of a new relation refers to it.
fn made(known: &ScriptContext<'_>, name: Option<ObjectName>, only_if_new: bool) -> Vec<ScriptChange> {
    let Some(name) = name else { return Vec::new() };
    let is_there = known.before.is_some() && known.relation(&name).is_some();
    (!is_there || !only_if_new).then(|| ScriptChange::Name(known.made(&name), None)).into_iter().collect()
}

/// `ALTER … RENAME TO`, `ALTER … SET SCHEMA`.
fn renamed(known: &ScriptContext<'_>, stmt: &Stmt) -> Vec<ScriptChange> {
    let Some(StatementTarget::Relation(name) | StatementTarget::Index(name) | StatementTarget::Other(name)) =
        targets(stmt).into_iter().next()
    else {
        return Vec::new();
    };
    let text = text(stmt);
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let new = match (words.as_slice(), lower.iter().rev().map(String::as_str).collect::<Vec<_>>().as_slice()) {
        ([.., new], [_, "to", "rename", ..]) => catalog_name(new).map(|new| (None, Some(new))),
        ([.., new], [_, "schema", "set", ..]) => catalog_name(new).map(|new| (Some(new), None)),
        _ => None,
    };
    let Some((schema, new)) = new else { return Vec::new() };
    let (Some(old), Some(original)) = (known.current(&name), known.original(&name)) else { return Vec::new() };
    let new =
        ObjectName { schema: schema.or_else(|| old.schema.clone()), name: new.unwrap_or_else(|| old.name.clone()) };
    vec![ScriptChange::Name(old, None), ScriptChange::Name(new, Some(original))]
}

/// `ALTER SCHEMA … RENAME TO`.
fn moved(known: &ScriptContext<'_>, alter: &ast::AlterSchema) -> Vec<ScriptChange> {
    let text = text(alter);
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let [_, _, old, rename, _, new] = words.as_slice() else { return Vec::new() };
    let Some((old, new)) = catalog_name(old).zip(catalog_name(new)).filter(|_| rename.eq_ignore_ascii_case("rename"))
    else {
        return Vec::new();
    };
    let inside = known.inside(&old).into_iter().flat_map(|name| {
        let moved = ObjectName { schema: Some(new.clone()), name: name.name.clone() };
        [ScriptChange::Name(name.clone(), None), ScriptChange::Name(moved, Some(name))]
    });
    inside.collect()
}

fn domain(known: &ScriptContext<'_>, create: &ast::CreateDomain, name: &ObjectName) -> ScriptChange {
    let node = create.syntax();
    let ty = create.ty().map(|ty| text(&ty).trim().to_owned()).unwrap_or_default();
    let base = ObjectName::parse(&ty).and_then(|ty| known.domain(&ty)).unwrap_or_default();
    let has_default = has_word(node, "default");
    let domain = Domain {
        ty,
        from_catalog: false,
        strict: has_word(node, "check") || has_word(node, "not") || base.strict,
        volatile: if has_default { calls_volatile(known, node) } else { base.volatile },
    };
    ScriptChange::Domain(known.made(name), domain)
}

/// A domain that begins to constrain its values.
fn stricter(known: &ScriptContext<'_>, alter: &ast::AlterDomain) -> Option<ScriptChange> {
    use ast::AlterDomainAction as A;
    matches!(alter.action(), Some(A::AddConstraint(_) | A::SetNotNull(_))).then_some(())?;
    let name = named(&alter.domain_ref()?)?;
    let domain = known.domain(&name)?;
    Some(ScriptChange::Domain(known.made(&name), Domain { strict: true, ..domain }))
}
