//! Partitions that join a table with keys and indexes: the server creates those in the partition.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, catalog_name, first_name, literal, plain};
use migrate_base::sql::lex::words;

use super::emit::stays;
use super::fate::PartFate;
use super::host::PartHosts;
use super::name::{holder, named, parent};
use super::order::{GraphNode, PartAction};
use super::{DdlContext, DdlStatement, Hazard, create, inherit, loose, not_null, swap, table, toast};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// How a new table joins its parent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PartitionJoin {
    /// Before its parent has keys; its own keys are attached to those of the parent.
    Before,
    /// `PARTITION OF` creates its keys, under the wanted names.
    WithKeys,
    /// It is attached once its keys exist.
    After,
}

/// Whether a column of the partition key changes its type: no statement can do that.
pub(super) fn moves_rows(before: &Schema, after: &Schema, table: &Object) -> bool {
    let Some(key) = table.fact("partition key") else { return false };
    let names: BTreeSet<String> = words(key).filter_map(|(_, span)| catalog_name(&key[span])).collect();
    let columns = before.children(&table.id, Kind::Column).filter(|column| names.contains(&*column.id.name));
    let pairs = columns.filter_map(|old| Some((old.fact("type")?, after.get(&old.id)?.fact("type")?)));
    pairs.into_iter().any(|(was, now)| was != now || swap::is_other(before, after, now))
}

/// Whether an index of a partitioned table waits for the index of a partition that should have none: a partition that
/// joins would get it.
pub(super) fn passes_over(before: &Schema, after: &Schema, key: &Object) -> bool {
    if key.fact("valid").is_none() || !matches!(key.id.kind, Kind::Index | Kind::Constraint) {
        return false;
    }
    let table = QualifiedName::new(&*key.id.schema, &*key.id.parent);
    let index = QualifiedName::new(&*key.id.schema, &*key.id.name).to_string();
    let is_part = |one: &Object| one.fact("partition bound").is_some() && one.parents().contains(&table);
    let bound = |one: &Object| one.fact("partition bound").map(str::to_owned);
    let stays = |one: &Object| before.get(&one.id).is_some_and(|old| is_part(old) && bound(old) == bound(one));
    let joins = |one: &&Arc<Object>| is_part(one) && !stays(one);
    let has_one = |one: &Object| keys(after, &one.id).any(|key| key.fact("attached to") == Some(&index));
    after.objects().filter(joins).any(|one| !has_one(one))
}

/// The maximum nesting depth of tables.
const DEEPEST: u8 = 100;

fn joins(sides: &DdlContext<'_>, table: &Object, depth: u8) -> PartitionJoin {
    let schema = &sides.after.schema;
    if inherit::joins(sides, &table.id) {
        return PartitionJoin::After;
    }
    let coming: Vec<&Object> = keys(schema, &table.id).filter(|key| is_brought(sides, key, depth)).collect();
    let names: BTreeSet<Option<String>> = coming.iter().map(|key| usual_name(key)).collect();
    let usual = coming.iter().all(|key| usual_name(key).as_deref() == Some(&*key.id.name));
    match coming.is_empty() {
        true => PartitionJoin::Before,
        false if usual && names.len() == coming.len() && !table::is_attached(schema, table) => PartitionJoin::WithKeys,
        false => PartitionJoin::After,
    }
}

/// Whether the parent table already has the key that this one belongs to when the table is created.
fn is_brought(sides: &DdlContext<'_>, key: &Object, depth: u8) -> bool {
    let schema = &sides.after.schema;
    let made = |id: &Id| {
        schema.get(id).is_some_and(|one| {
            matches!(sides.fates.get(&SchemaPart::object(&one.id)), PartFate::Made | PartFate::Remade)
        })
    };
    let of = holder(&key.id, Kind::Table);
    let joins_later = inherit::joins(sides, &of);
    let Some(theirs) = of_parent(schema, key).filter(|_| depth > 0 && (made(&of) || joins_later)) else { return false };
    if joins_later {
        return true;
    }
    let table = schema.get(&holder(&theirs.id, Kind::Table)).filter(|table| made(&table.id));
    match table {
        _ if !made(&theirs.id) => true,
        Some(table) => {
            is_brought(sides, theirs, depth - 1) && joins(sides, table, depth - 1) == PartitionJoin::WithKeys
        }
        None => false,
    }
}

fn keys<'a>(schema: &'a Schema, table: &'a Id) -> impl Iterator<Item = &'a Object> {
    let of = |kind| schema.children(table, kind);
    of(Kind::Index).chain(of(Kind::Constraint)).map(|key| &**key).filter(|key| key.fact("attached to").is_some())
}

/// The partitions whose bounds change: they leave their parent and join it again.
pub(super) fn bound_again(sides: &DdlContext<'_>) -> Vec<SchemaPart> {
    let altered = sides.fates.iter().filter(|(_, fate)| *fate == PartFate::Altered).map(|(part, _)| part);
    let altered = altered.filter(|part| matches!(part.id.kind, Kind::Table | Kind::ForeignTable) && !part.default);
    let is_other = |part: &&SchemaPart| {
        let [old, new] = [&sides.before.schema, &sides.after.schema].map(|schema| schema.get(&part.id));
        old.zip(new).is_some_and(|(old, new)| {
            let bound = old.fact("partition bound");
            bound.is_some() && bound != new.fact("partition bound")
        })
    };
    altered.filter(is_other).cloned().collect()
}

/// The keys of the parent that the keys of a table belong to.
pub(super) fn keys_of_parent<'a>(schema: &'a Schema, table: &'a Id) -> impl Iterator<Item = &'a Object> {
    keys(schema, table).filter_map(|key| of_parent(schema, key))
}

/// The key of the parent that a key of a partition belongs to.
fn of_parent<'a>(schema: &'a Schema, key: &Object) -> Option<&'a Object> {
    let index = QualifiedName::parse(key.fact("attached to")?)?;
    let table = schema.get(&holder(&key.id, Kind::Table))?.fact("parents")?;
    let table = QualifiedName::parse(table)?;
    let id = |kind| Id { parent: table.name().into(), ..named(kind, index.schema(), index.name()) };
    schema.get(&id(Kind::Constraint)).or_else(|| schema.get(&id(Kind::Index))).map(|key| &**key)
}

/// The name that the server gives to a key of a partition; `None` if that is not obvious.
fn usual_name(key: &Object) -> Option<String> {
    let definition = key.fact("definition")?;
    let name = if definition.starts_with("PRIMARY KEY ") {
        format!("{}_pkey", key.id.parent)
    } else {
        let (_, list) =
            definition.split_once(if key.id.kind == Kind::Index { " USING btree (" } else { "UNIQUE (" })?;
        let mut name = key.id.parent.to_string();
        let mut rest = list;
        loop {
            let (column, after) = first_name(rest)?;
            name = format!("{name}_{column}");
            let end = after.find([',', ')', '('])?;
            rest = match after.as_bytes().get(end) {
                Some(b',') => after.get(end + 1..)?.trim_start(),
                Some(b')') => break,
                _ => return None,
            };
        }
        format!("{name}_{}", if key.id.kind == Kind::Index { "idx" } else { "key" })
    };
    (name.len() < 64 && !definition.contains(" INCLUDE (")).then_some(name)
}

/// The statement that renames a foreign key of a partition. It is created with that of the partitioned table under the
/// same name, or, if the partition has a constraint of that name, under one that the server chooses.
pub(super) fn own_name(schema: &Schema, key: &Object) -> Option<String> {
    let parent_of = |table: &Id| {
        let parent = schema.get(table)?.parents().into_iter().next()?;
        Some(named(Kind::Table, parent.schema(), parent.name()))
    };
    let definition = key.fact("definition")?;
    let same = |one: &&Arc<Object>| one.fact("definition") == Some(definition);
    let partition = holder(&key.id, Kind::Table);
    let mut table = partition.clone();
    for _ in 0..DEEPEST {
        table = parent_of(&table)?;
        let theirs = schema.children(&table, Kind::Constraint).find(same)?;
        if create::comes_alone(theirs) {
            let (old, new) = (&*theirs.id.name, &*key.id.name);
            let taken = old != new && has_constraint(schema, &partition, old);
            let plain_text =
                || format!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", parent(&key.id), plain(old), plain(new));
            return (old != new)
                .then(|| if taken { name_chosen(schema, &partition, theirs, key) } else { plain_text() });
        }
    }
    None
}

/// The statement that renames the foreign key whose name the server chose: it is the only one of the partition with an
/// unknown name.
fn name_chosen(schema: &Schema, partition: &Id, theirs: &Object, key: &Object) -> String {
    let known: Vec<String> = schema.children(partition, Kind::Constraint).map(|one| literal(&one.id.name)).collect();
    let (table, of) = (parent(&key.id), parent(&theirs.id));
    let (head, tail) = (format!("ALTER TABLE {table} RENAME CONSTRAINT "), format!(" TO {}", plain(&key.id.name)));
    let body = format!(
        "
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT {} || quote_ident(own.conname) || {}
        FROM pg_catalog.pg_constraint theirs JOIN pg_catalog.pg_constraint own USING (contype, confrelid)
        WHERE theirs.conrelid = {}::pg_catalog.regclass AND theirs.conname = {} \
          AND own.conrelid = {}::pg_catalog.regclass
          AND own.conname NOT IN ({})
        LIMIT 1
    LOOP
        EXECUTE statement;
    END LOOP;
END
",
        literal(&head),
        literal(&tail),
        literal(&of),
        literal(&theirs.id.name),
        literal(&table),
        known.join(", ")
    );
    format!("DO {}", literal(&body))
}

fn has_constraint(schema: &Schema, table: &Id, name: &str) -> bool {
    let not_null = |column: &Arc<Object>| {
        column.fact("not null constraint").is_some_and(|constraint| table::not_null_words(constraint).0 == name)
    };
    schema.children(table, Kind::Constraint).any(|one| *one.id.name == *name)
        || schema.children(table, Kind::Column).any(not_null)
}

/// The node at which a table joins its parent, if that is separate from the node that creates or alters it.
pub(super) fn joined(sides: &DdlContext<'_>, part: &SchemaPart) -> Option<GraphNode> {
    let table = sides.after.schema.get(&part.id)?;
    if inherit::joins(sides, &table.id) {
        return Some((PartAction::Give, part.clone()));
    }
    table.fact("partition bound").filter(|_| part.id.kind == Kind::Table)?;
    (joins(sides, table, DEEPEST) == PartitionJoin::After).then(|| (PartAction::Give, part.clone()))
}

/// The tables that become partitions, or get another bound: each with its parent, and the node at which it joins.
pub(super) fn joining<'a>(
    sides: &'a DdlContext<'_>,
    hosts: &'a PartHosts,
) -> impl Iterator<Item = (QualifiedName, GraphNode)> + 'a {
    let tables = sides.fates.iter().map(|(part, _)| part);
    let tables = tables.filter(|part| !part.default && matches!(part.id.kind, Kind::Table | Kind::ForeignTable));
    tables.filter_map(|part| {
        let new = sides.after.schema.get(&part.id)?;
        let bound = new.fact("partition bound")?;
        let is_there = |old: &Arc<Object>| old.fact("partition bound") == Some(bound) && old.parents() == new.parents();
        let stays_there = matches!(sides.fates.get(part), PartFate::Kept | PartFate::Altered)
            && sides.before.schema.get(&part.id).is_some_and(is_there);
        let parent = new.parents().into_iter().next().filter(|_| !stays_there)?;
        Some((parent, joined(sides, part).unwrap_or_else(|| hosts.made(part))))
    })
}

/// The tables that are attached once this key exists: its own table, and the ancestors of that.
pub(super) fn attached_with<'a>(sides: &'a DdlContext<'_>, key: &'a Object) -> Vec<&'a Object> {
    let schema = &sides.after.schema;
    let mut all = Vec::new();
    let mut at = Some(key).filter(|key| key.fact("attached to").is_some());
    while let Some(key) = at.filter(|_| all.len() < usize::from(DEEPEST)) {
        let table = schema.get(&holder(&key.id, Kind::Table));
        all.extend(table.map(|table| &**table).filter(|_| is_brought(sides, key, DEEPEST)));
        at = of_parent(schema, key);
    }
    all
}

/// The statements with which a table joins others, and the properties set once it is complete.
pub(super) fn given(sides: &DdlContext<'_>, part: &SchemaPart) -> Vec<DdlStatement> {
    let Some(new) = sides.after.schema.get(&part.id) else { return Vec::new() };
    let texts = match sides.before.schema.get(&part.id).filter(|_| inherit::joins(sides, &part.id)) {
        Some(old) => inherit::joined(old, new),
        None if joined(sides, part).is_some() => table::attach(new).into_iter().collect(),
        None => Vec::new(),
    };
    let is_attached = texts.iter().any(|text| text.contains(" ATTACH PARTITION "));
    let local = if is_attached { not_null::local_again(&sides.after.schema, new) } else { Vec::new() };
    let local = local.into_iter().map(DdlStatement::new);
    let texts = texts.into_iter().map(|text| attaching(sides, new, text));
    texts.chain(local).chain(loose::joined(sides, new)).chain(toast::given(sides, new)).collect()
}

/// A statement that may attach a table: the server checks whether its rows match the bound.
pub(super) fn attaching(sides: &DdlContext<'_>, table: &Object, text: String) -> DdlStatement {
    let attaches = text.contains(" ATTACH PARTITION ");
    let scan = || Hazard::LongLock(format!("scans {} under a lock that blocks it", table.id));
    let own = (attaches && stays(sides, &table.id)).then(scan);
    let of_default = attaches.then(|| scans_default(sides, table)).flatten();
    own.into_iter().chain(of_default).fold(DdlStatement::new(text), DdlStatement::with)
}

/// The existing default partition when another partition is added: the server checks whether its rows belong to the new
/// one.
pub(super) fn scans_default(sides: &DdlContext<'_>, table: &Object) -> Option<Hazard> {
    let parent =
        table.fact("parents").filter(|_| table.fact("partition bound").is_some_and(|bound| bound != "DEFAULT"))?;
    let first = named(Kind::Table, "", "");
    let tables = sides.before.schema.objects.range::<Id, _>(first..).map(|(_, one)| one);
    let mut tables = tables.take_while(|one| one.id.kind == Kind::Table);
    let is_default =
        |one: &Object| one.fact("partition bound") == Some("DEFAULT") && one.fact("parents") == Some(parent);
    let default = tables.find(|one| is_default(one) && stays(sides, &one.id))?;
    Some(Hazard::LongLock(format!("scans {} under a lock that blocks it", default.id)))
}

/// The statements that create a key of a table, unless something else creates it.
pub(super) fn key(sides: &DdlContext<'_>, key: &Object) -> Vec<String> {
    let schema = &sides.after.schema;
    let create::KeyStatements { mut own, attach, facts } = create::key(schema, key);
    let check = key.fact("definition").filter(|text| own.is_empty() && text.starts_with("CHECK"));
    if let Some(check) = check.filter(|_| inherit::is_joined(sides, &key.id)) {
        own.push(format!("ALTER TABLE {} ADD CONSTRAINT {} {check}", parent(&key.id), plain(&key.id.name)));
    }
    let table = schema.get(&holder(&key.id, Kind::Table)).filter(|_| is_brought(sides, key, DEEPEST));
    match table.map(|table| joins(sides, table, DEEPEST)) {
        Some(PartitionJoin::WithKeys) => facts,
        Some(PartitionJoin::After) => own.into_iter().chain(facts).collect(),
        _ => own.into_iter().chain(attach).chain(facts).collect(),
    }
}
