//! The statements for the change of one part.

use std::sync::Arc;

use migrate_base::ident::plain;

use super::fate::{PartFate, is_foreign_key};
use super::name::{holder, named, parent, qualified};
use super::said::{owned, said};
use super::{
    DdlContext, DdlGap, DdlStage, DdlStatement, DdlStyle, Hazard, count, create, far, fill, grant, identity, inherit,
    labels, not_null, on_of, owner_of, partition, remove, sequence, table,
};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The statements that remove a part.
pub(super) fn dropped(sides: &DdlContext<'_>, part: &SchemaPart) -> Vec<DdlStatement> {
    let schema = &sides.before.schema;
    let Some(object) = schema.get(&part.id) else { return Vec::new() };
    if part.default {
        let (table, column) = (parent(&part.id), plain(&part.id.name));
        let only = inherit::only(&sides.after.schema, &part.id, "default");
        return vec![DdlStatement::new(format!("ALTER TABLE {only}{table} ALTER COLUMN {column} DROP DEFAULT"))];
    }
    // What a table inherited from a parent that it has left is now its own; a trigger is gone.
    let left = part.id.kind != Kind::Trigger && inherit::is_left(sides, &part.id);
    let by_parent = object.fact("inherited") == Some("only") && !left;
    let by_parent = by_parent || is_of_view(schema, &object.id) || sequence::is_identity(object);
    let by_parent = by_parent || sides.fates.is_of_swapped(&object.id);
    if by_parent {
        return Vec::new();
    }
    let mut all = remove::object(schema, object, sides.version());
    if let (Some(last), Some(loss)) = (all.last_mut(), remade(sides, part, object)) {
        last.hazards.push(Hazard::DataLoss(loss));
    }
    if sides.style == DdlStyle::Online && is_unfinished(sides, object) {
        all.iter_mut().for_each(|one| *one = concurrently(one));
    }
    all
}

/// What is lost of an object that is dropped only to be created again.
fn remade(sides: &DdlContext<'_>, part: &SchemaPart, old: &Object) -> Option<String> {
    let new = sides.after.schema.get(&part.id).filter(|_| sides.fates.get(part) == PartFate::Remade)?;
    let was_computed = || old.fact("generated").is_some() && new.fact("generated").is_none();
    match old.id.kind {
        Kind::Column if was_computed() => Some(format!("the values of {}", old.id)),
        Kind::Publication => Some(format!("subscribers may miss changes: {} is dropped and created again", old.id)),
        _ => None,
    }
}

/// The statement that creates the shell of a type, its name.
pub(super) fn shell(part: &SchemaPart) -> Option<DdlStatement> {
    Some(DdlStatement::new(format!("CREATE TYPE {}", qualified(&part.id))))
}

/// The statements that attach a sequence to its column. A sequence that became that of an identity column counts as
/// new.
pub(super) fn given(sides: &DdlContext<'_>, part: &SchemaPart) -> Vec<DdlStatement> {
    let Some(object) = sides.after.schema.get(&part.id) else { return Vec::new() };
    let mut all = count::given(sides, object);
    if count::role(sides, part) == count::IdentityRole::Becomes {
        all.extend(said(sides, None, object));
    }
    all
}

/// The statements that create or alter a part; `None` if there are none. The `late` defaults come later.
pub(super) fn made(sides: &DdlContext<'_>, part: &SchemaPart, late: &dyn Fn(&Id) -> bool) -> Option<Vec<DdlStatement>> {
    let schema = &sides.after.schema;
    let Some(object) = schema.get(&part.id) else { return Some(Vec::new()) };
    if part.default {
        let (table, column) = (parent(&part.id), plain(&part.id.name));
        let value = object.fact("default").unwrap_or("NULL");
        let only = inherit::only(schema, &part.id, "default");
        let text = format!("ALTER TABLE {only}{table} ALTER COLUMN {column} SET DEFAULT {value}");
        return Some(vec![DdlStatement::new(text)]);
    }
    if sides.fates.get(part) == PartFate::Altered {
        // A sequence that comes with its column under the name of an old one does not exist before the column does.
        let stays = count::role(sides, part) == count::IdentityRole::Stays;
        if stays && sequence::is_identity(object) && counts_new(sides, object) {
            return Some(Vec::new());
        }
        let old = sides.before.schema.get(&part.id);
        let mut all = sides.fates.altered(part).to_vec();
        all.extend(match count::role(sides, part) {
            // A type that replaces another one has no properties set yet.
            count::IdentityRole::Stays => said(sides, old.filter(|_| !sides.fates.is_swapped(part)), object),
            count::IdentityRole::Leaves => said(sides, None, object),
            count::IdentityRole::Becomes => Vec::new(),
        });
        all.extend(owned(sides, part, object));
        return Some(all);
    }
    if let Some(old) = sides.fates.renamed(part) {
        let mut all = identity::statements(&sides.before.schema, schema, old, object);
        all.extend(said(sides, Some(old), object));
        return Some(all);
    }
    let mut all = match object.id.kind {
        Kind::Table | Kind::ForeignTable => {
            if labels::is_new_in_bound(sides, object) {
                return None;
            }
            let partial = not_null::without_late(sides, &object.id);
            let schema = partial.as_ref().unwrap_or(schema);
            let mut all = plain_ones(table::create(
                sides.taken(),
                schema,
                object,
                late,
                partition::joined(sides, part).is_some(),
            ));
            if partition::joined(sides, part).is_none()
                && let (Some(last), Some(hazard)) = (all.last_mut(), partition::scans_default(sides, object))
            {
                last.hazards.push(hazard);
            }
            all
        }
        Kind::View => {
            let columns = schema.children(&object.id, Kind::Column).filter(|column| !late(&column.id));
            let defaults: Vec<String> = columns.filter_map(|column| view_default(column)).collect();
            plain_ones(create::object(schema, object)?.into_iter().chain(defaults).collect())
        }
        Kind::Column if is_of_view(schema, &object.id) => {
            plain_ones(view_default(object).filter(|_| !late(&object.id)).into_iter().collect())
        }
        Kind::Column => added(sides, object, late),
        Kind::Attribute if sides.fates.is_of_swapped(&object.id) => Vec::new(),
        Kind::Attribute => {
            plain_ones(vec![format!("ALTER TYPE {} ADD ATTRIBUTE {}", parent(&object.id), table::attribute(object))])
        }
        Kind::Trigger if !create::comes_alone(object) => {
            plain_ones(object.fact("enabled").map(|how| create::enabled(&object.id, Some(how))).into_iter().collect())
        }
        Kind::Sequence if sequence::is_identity(object) => Vec::new(),
        Kind::Constraint if sides.fates.is_of_swapped(&object.id) => Vec::new(),
        Kind::Constraint if is_foreign_key(object) && !create::comes_alone(object) => {
            plain_ones(partition::own_name(schema, object).into_iter().collect())
        }
        Kind::Index | Kind::Constraint => on_table(sides, object, partition::key(sides, object)),
        _ => plain_ones(create::object(schema, object)?),
    };
    all.extend(said(sides, None, object));
    for kind in [Kind::Column, Kind::Attribute].into_iter().filter(|_| has_members(object.id.kind)) {
        all.extend(schema.children(&object.id, kind).flat_map(|child| said(sides, None, child)));
    }
    all.extend(counted_by(schema, object).into_iter().flat_map(|sequence| said(sides, None, sequence)));
    all.extend(owned(sides, part, object));
    Some(all)
}

/// The default of a column of a view, which applies to rows inserted through the view.
fn view_default(column: &Object) -> Option<String> {
    let (view, name, value) = (parent(&column.id), plain(&column.id.name), column.fact("default")?);
    Some(format!("ALTER VIEW {view} ALTER COLUMN {name} SET DEFAULT {value}"))
}

/// The sequences of identity columns, which come with their table or column.
fn counted_by<'a>(schema: &'a Schema, object: &'a Object) -> Vec<&'a Arc<Object>> {
    let counts = |column: &Object| column.fact("identity").is_some();
    match object.id.kind {
        Kind::Table | Kind::ForeignTable => {
            let columns = schema.children(&object.id, Kind::Column).filter(|column| counts(column));
            columns.filter_map(|column| sequence::identity_sequence(schema, &column.id)).collect()
        }
        Kind::Column if counts(object) => sequence::identity_sequence(schema, &object.id).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether the column of an identity sequence is created, for the first time or again.
fn counts_new(sides: &DdlContext<'_>, sequence: &Object) -> bool {
    let Some((of, column)) = sequence::owner(sequence) else { return false };
    let column = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column) };
    let column = sides.after.schema.get(&column).map(|column| SchemaPart::object(&column.id));
    column.is_some_and(|column| matches!(sides.fates.get(&column), PartFate::Made | PartFate::Remade))
}

/// Created or altered objects with something that no statement can express.
pub(super) fn unwritten(sides: &DdlContext<'_>) -> Vec<DdlGap> {
    let (schema, here) = (&sides.after.schema, sides.version());
    let happens = |fate| matches!(fate, PartFate::Made | PartFate::Remade | PartFate::Altered);
    let parts = sides.fates.iter().filter(|(part, fate)| happens(*fate) && !part.default).map(|(part, _)| part);
    let mut all = Vec::new();
    for object in parts.filter_map(|part| schema.get(&part.id)) {
        let gap =
            |part: Option<&str>, why: String| DdlGap { object: object.id.clone(), part: part.map(Into::into), why };
        let is_altered = sides.fates.get(&SchemaPart::object(&object.id)) == PartFate::Altered;
        if is_altered && let Some(why) = hidden(sides.before.schema.get(&object.id), object) {
            all.push(gap(None, why.to_owned()));
        }
        if let Some(list) = object.fact("grants") {
            let unknown = grant::unknown(list, on_of(&object.id), owner_of(schema, object), schema.version, here);
            let words: Vec<String> = unknown.into_iter().collect();
            let why = || format!("PostgreSQL {here} has no privilege {}", words.join(", "));
            all.extend((!words.is_empty()).then(|| gap(Some("grants"), why())));
        }
    }
    all
}

/// Why an object cannot be changed into another one if the catalogs do not show its contents.
fn hidden(old: Option<&Arc<Object>>, new: &Object) -> Option<&'static str> {
    let differs = old.is_some_and(|old| old.facts != new.facts);
    let hides = match new.id.kind {
        Kind::UserMapping => far::has_unknown_options(new) || old.is_some_and(|old| far::has_unknown_options(old)),
        Kind::Subscription => true,
        _ => false,
    };
    (differs && hides).then(|| no_statement(new))
}

/// Why no statement can create an object.
pub(super) fn no_statement(object: &Object) -> &'static str {
    match object.id.kind {
        Kind::UserMapping if object.fact("options") == Some("hidden") => "this role may not see its options",
        Kind::UserMapping => "its options may contain a password, so they are never read",
        Kind::Subscription => "its connection may contain a password, so it is never read",
        // All other tables have a statement.
        Kind::Table | Kind::ForeignTable => "its bound uses an enum label that is added in the same transaction",
        _ => "no statement can create it without C code",
    }
}

fn has_members(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView | Kind::Type)
}

fn plain_ones(texts: Vec<String>) -> Vec<DdlStatement> {
    texts.into_iter().map(DdlStatement::new).collect()
}

fn is_of_view(schema: &Schema, column: &Id) -> bool {
    let views = [Kind::View, Kind::MaterializedView].map(|kind| holder(column, kind));
    column.kind == Kind::Column && views.iter().any(|view| schema.get(view).is_some())
}

/// A column that is added to a table.
fn added(sides: &DdlContext<'_>, column: &Object, late: &dyn Fn(&Id) -> bool) -> Vec<DdlStatement> {
    let schema = &sides.after.schema;
    let nullable = (!not_null::is_said(sides, column)).then(|| not_null::nullable(column));
    let column = nullable.as_ref().unwrap_or(column);
    if column.fact("inherited") == Some("only") && !inherit::is_joined(sides, &column.id) {
        return Vec::new();
    }
    let sequence = column.fact("identity").filter(|_| identity::comes_apart(schema, column));
    let plain_one = sequence.map(|_| identity::uncounted(column));
    let plain_one = plain_one.as_ref().unwrap_or(column);
    let counted = sequence.map(|how| DdlStatement::new(identity::counted(schema, &column.id, how)));
    let bare = ["default", "generated", "identity"].iter().all(|fact| plain_one.fact(fact).is_none());
    if sides.style == DdlStyle::Back
        && bare
        && column.fact("not null").is_some()
        && let Some(statements) = fill::column(sides, plain_one)
    {
        return statements.into_iter().chain(counted).collect();
    }
    let (table, late) = (parent(&column.id), late(&column.id));
    let line = table::line(sides.taken(), schema, plain_one, None, late);
    let statement = DdlStatement::new(format!("ALTER TABLE {table} ADD COLUMN {line}"));
    let is_counted = column.fact("identity").is_some() && sequence.is_none();
    let computed = is_counted || column.fact("generated").is_some_and(|how| how.starts_with("stored"));
    let statement = match computed {
        true => statement.with(Hazard::Rewrite(format!("table {table} is rewritten"))),
        false => statement,
    };
    let extras = table::extras(sides.taken(), column, None, false, late);
    let unusual = sequence::unusual(schema, column);
    [statement].into_iter().chain(counted).chain(plain_ones(extras)).chain(plain_ones(unusual)).collect()
}

/// Whether an object exists before and is not created again.
pub(super) fn stays(sides: &DdlContext<'_>, id: &Id) -> bool {
    let fate = |old: &Arc<Object>| sides.fates.get(&SchemaPart::object(&old.id));
    sides.before.schema.get(id).is_some_and(|old| matches!(fate(old), PartFate::Kept | PartFate::Altered))
}

/// Whether an existing index was left by an unfinished build, so that no query uses it.
fn is_unfinished(sides: &DdlContext<'_>, index: &Object) -> bool {
    let Some(old) = sides.before.schema.get(&index.id).filter(|_| index.id.kind == Kind::Index) else { return false };
    let is_whole = sides.after.schema.get(&index.id).is_some_and(|one| one.fact("valid").is_none());
    let is_alone = old.fact("attached to").is_none() && !super::alter::is_of_partitioned(&sides.before.schema, old);
    old.fact("valid").is_some() && is_whole && is_alone
}

/// The statement for an index, changed so that it blocks nobody.
fn concurrently(statement: &DdlStatement) -> DdlStatement {
    let text = statement.text.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1);
    DdlStatement { stage: DdlStage::Concurrent, ..DdlStatement::new(text) }
}

/// An index or a constraint: on an existing table, creating it can lock for long.
fn on_table(sides: &DdlContext<'_>, object: &Object, texts: Vec<String>) -> Vec<DdlStatement> {
    let table = [Kind::Table, Kind::MaterializedView].map(|kind| holder(&object.id, kind));
    let mut all = plain_ones(texts);
    let Some(table) = table.iter().find(|id| stays(sides, id)) else { return all };
    let partitioned = sides.after.schema.get(table).is_some_and(|table| table.fact("partition key").is_some());
    let Some(first) = all.first_mut() else { return all };
    let definition = object.fact("definition").unwrap_or_default();
    let online = sides.style == DdlStyle::Online && !partitioned;
    let is_new = sides.fates.get(&SchemaPart::object(&object.id)) == PartFate::Made;
    match object.id.kind {
        Kind::Index if online && (is_new || is_unfinished(sides, object)) && object.fact("attached to").is_none() => {
            *first = concurrently(first);
            all.iter_mut().for_each(|statement| statement.stage = DdlStage::Concurrent);
        }
        Kind::Index => {
            let what = format!("blocks writes to {table} during the build");
            first.hazards.push(Hazard::LongLock(what));
        }
        _ if [" NOT VALID", " NOT ENFORCED"].iter().any(|how| definition.ends_with(how)) => {}
        _ if online && (is_foreign_key(object) || definition.starts_with("CHECK")) => {
            first.text += " NOT VALID";
            let validate = format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", parent(&object.id), plain(&object.id.name));
            all.push(DdlStatement::new(validate).at(DdlStage::Validate));
        }
        _ => {
            let what = format!("scans {table} under a lock that blocks it");
            first.hazards.push(Hazard::LongLock(what));
        }
    }
    all
}
