//! The parts of a schema that belong to Roundtrip: ledgers, and the tables beside them.

use std::sync::Arc;

use migrate_base::ident::QualifiedName;
use migrate_schema::{Kind, Object, Schema};

use crate::{audit, foreign, kept, ledger};

/// The schema without this ledger and any other ledgers in it, because services can share a database: the table,
/// what belongs to it, the kept data, the audit, and the schema if it contains nothing else. The ledgers of other tools
/// are left out as well.
pub fn without(schema: Schema, ledger: &QualifiedName) -> Schema {
    let schema = foreign::without(schema);
    let others = ledgers(&schema);
    others.iter().filter(|other| *other != ledger).fold(without_one(schema, ledger), without_one)
}

/// The tables that are ledgers, whatever their names: recognized by their columns, their guard and their comment.
pub fn ledgers(schema: &Schema) -> Vec<QualifiedName> {
    let is_ledger = |table: &&Arc<Object>| {
        let has = |kind: Kind, name: &str| schema.children(&table.id, kind).any(|child| *child.id.name == *name);
        table.fact("comment").is_some_and(|comment| comment.ends_with("(Roundtrip)"))
            && ledger::MARKS.iter().all(|column| has(Kind::Column, column))
            && has(Kind::Trigger, ledger::GUARD)
    };
    let tables = schema.of_kind(Kind::Table).filter(is_ledger);
    tables.map(|table| QualifiedName::new(&*table.id.schema, &*table.id.name)).collect()
}

fn without_one(mut schema: Schema, ledger: &QualifiedName) -> Schema {
    let guard = format!("{}_append_only", ledger.name());
    schema.retain(|id| {
        let of_ledger = *id.schema == *ledger.schema()
            && (*id.parent == *ledger.name() || *id.name == *ledger.name() || *id.name == *guard);
        let of_kept = [&id.parent, &id.name].into_iter().any(|name| kept::is_ours(ledger, &id.schema, name));
        let of_audit = [&id.parent, &id.name].into_iter().any(|name| audit::is_ours(ledger, &id.schema, name))
            || (id.kind == Kind::EventTrigger && audit::is_our_trigger(ledger, &id.name));
        !of_ledger && !of_kept && !of_audit
    });
    // Every database has this schema from the start, even if someone puts a ledger into it.
    let used = ledger.schema() == "public" || schema.objects().any(|object| *object.id.schema == *ledger.schema());
    schema.retain(|id| used || id.kind != Kind::Schema || *id.name != *ledger.schema());
    schema
}
