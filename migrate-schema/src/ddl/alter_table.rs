//! Changes of tables and their columns that can be made in place.

use migrate_base::ident::plain;

use super::alter::{AlterMethod, FactDifferences, changed_options, space, storage};
use super::name::{parent, qualified};
use super::taken::TakenNames;
use super::{DdlStatement, Hazard, inherit, not_null, retype, sequence, table};
use crate::Schema;
use crate::object::Object;

/// A fact of a table.
pub(super) fn relation(new: &Object, fact: &str, old: Option<&str>, now: Option<&str>) -> Option<Vec<DdlStatement>> {
    let name = qualified(&new.id);
    let what = format!("{} {name}", new.id.kind.as_str().to_uppercase());
    let alter = |text: String| DdlStatement::new(format!("ALTER TABLE {name} {text}"));
    let rewrite = |text: String| alter(text).with(Hazard::Rewrite(format!("{} is rewritten", new.id)));
    let one = |statement: DdlStatement| Some(vec![statement]);
    match fact {
        "options" => storage(&what, "", old, now),
        "toast options" if now.is_some() => Some(Vec::new()),
        "toast options" => storage(&what, "toast.", old, now),
        "persistence" => one(rewrite(if now.is_some() { "SET UNLOGGED" } else { "SET LOGGED" }.to_owned())),
        "access method" => one(rewrite(format!("SET ACCESS METHOD {}", plain(now.unwrap_or("heap"))))),
        "tablespace" => one(rewrite(format!("SET TABLESPACE {}", space(now)))),
        "row security" => {
            let on = |value: Option<&str>| matches!(value, Some("on" | "forced"));
            let forced = |value: Option<&str>| matches!(value, Some("forced" | "forced, but off"));
            let switch = (on(old) != on(now)).then(|| if on(now) { "ENABLE" } else { "DISABLE" });
            let force = (forced(old) != forced(now)).then(|| if forced(now) { "FORCE" } else { "NO FORCE" });
            let words = switch.into_iter().chain(force);
            Some(words.map(|word| alter(format!("{word} ROW LEVEL SECURITY"))).collect())
        }
        // A replica identity by index is set with the index.
        "replica identity" if now == Some("index") => Some(Vec::new()),
        "replica identity" => one(alter(format!("REPLICA IDENTITY {}", now.unwrap_or("default").to_uppercase()))),
        // The table leaves first and joins last.
        "parents" | "partition bound" | "of type" => Some(Vec::new()),
        "foreign options" => changed_options(old, now).map(|list| vec![alter(format!("OPTIONS ({list})"))]),
        _ => None,
    }
}

/// A column of a table; its default is a separate part.
pub(super) fn column(
    before: &Schema,
    after: &Schema,
    differing: &FactDifferences<'_>,
    old: &Object,
    new: &Object,
) -> AlterMethod {
    let keeps_values = keeps_values(old, new);
    if differing.has("generated") && !keeps_values {
        return AlterMethod::Remake;
    }
    let (of, name) = (parent(&new.id), plain(&new.id.name));
    let alter = |text: String| DdlStatement::new(format!("ALTER TABLE {of} ALTER COLUMN {name} {text}"));
    let alone = |fact: &str, text: String| {
        let only = inherit::only(after, &new.id, fact);
        DdlStatement::new(format!("ALTER TABLE {only}{of} ALTER COLUMN {name} {text}"))
    };
    let retyped = differing.has("type") || differing.has("collation");
    let mut statements = Vec::new();
    // A change of the parent's column includes its children.
    let follows = inherit::follows(before, after, &new.id);
    if keeps_values && !follows {
        statements.push(alter("DROP EXPRESSION".to_owned()));
    }
    // The sequence of an identity column is changed with the type of the column, so it is dropped before that.
    let drops_identity = differing.has("identity") && new.fact("identity").is_none();
    statements.extend(drops_identity.then(|| alter("DROP IDENTITY".to_owned())));
    if retyped && !follows {
        statements.push(retype::retype(before, after, old, new));
    }
    // Another type comes with its own storage.
    if retyped && !differing.has("storage") {
        let how = new.fact("storage").map(|how| alone("storage", format!("SET STORAGE {}", how.to_uppercase())));
        statements.extend(how);
    }
    let rest = differing.each(|fact, was, now| match fact {
        "type" | "collation" | "default" | "generated" => Some(Vec::new()),
        "identity" if drops_identity => Some(Vec::new()),
        "not null" if now.is_some() => {
            let statement = match named_not_null(before, after, new) {
                Some(constraint) => DdlStatement::new(format!("ALTER TABLE {of} ADD {constraint}")),
                None if new.fact("not null constraint").is_some() => alter("SET NOT NULL".to_owned()),
                None => alone("not null", "SET NOT NULL".to_owned()),
            };
            let lock = Hazard::LongLock(format!("scans table {of} to check {name} for nulls"));
            Some(vec![if table::not_valid(new) { statement } else { statement.with(lock) }])
        }
        "not null" => Some(no_not_null(before, after, old, new)),
        // Setting it again also makes it local to the table.
        "not null inherited" if (was, now) == (Some("only"), Some("and local")) => {
            Some(vec![alter("SET NOT NULL".to_owned())])
        }
        "not null inherited" => Some(Vec::new()),
        "not null constraint" if not_null::is_made_again(old, new) => {
            let made = named_not_null(before, after, new)?;
            let again = [not_null::dropped(&new.id), format!("ALTER TABLE {of} ADD {made}")];
            Some(again.map(DdlStatement::new).into())
        }
        "not null constraint" => Some(constraint(&of, was, now)),
        "identity" => {
            let how = now?;
            let how = alter(match was {
                None => format!("ADD {}", sequence::generated(after, &new.id, how)),
                Some(_) => format!("SET GENERATED {}", how.to_uppercase()),
            });
            let unusual = if was.is_none() { sequence::unusual(after, new) } else { Vec::new() };
            Some([how].into_iter().chain(unusual.into_iter().map(DdlStatement::new)).collect())
        }
        "storage" => {
            let how = now.unwrap_or(usual_storage(new)).to_uppercase();
            Some(vec![alone("storage", format!("SET STORAGE {how}"))])
        }
        "compression" => Some(vec![alter(format!("SET COMPRESSION {}", now.unwrap_or("default")))]),
        "statistics" => Some(vec![alone("statistics", format!("SET STATISTICS {}", now.unwrap_or("-1")))]),
        "options" => storage(&format!("TABLE {of} ALTER COLUMN {name}"), "", was, now),
        "foreign options" => changed_options(was, now).map(|list| vec![alter(format!("OPTIONS ({list})"))]),
        _ => None,
    });
    match rest {
        AlterMethod::InPlace { statements: rest, .. } => {
            statements.extend(rest);
            AlterMethod::InPlace { statements, disturbs: retyped }
        }
        AlterMethod::Remake => AlterMethod::Remake,
    }
}

/// A NOT NULL constraint with its name, if the server would choose another name.
fn named_not_null(before: &Schema, after: &Schema, column: &Object) -> Option<String> {
    column.fact("not null constraint")?;
    table::own_not_null(&TakenNames::of(before, after), column)
}

/// The statements that make a column nullable. Before PostgreSQL 18 they also make the columns of all tables below
/// nullable, unless the statement is about the table alone; for a partitioned table it cannot be.
fn no_not_null(before: &Schema, after: &Schema, old: &Object, new: &Object) -> Vec<DdlStatement> {
    let (of, name) = (parent(&new.id), plain(&new.id.name));
    let is_partitioned = inherit::table_of(after, &new.id).is_some_and(|table| table.fact("partition key").is_some());
    let kept: Vec<_> = not_null::kept_below(before, after, new).collect();
    let is_alone = !is_partitioned && !kept.is_empty() && old.fact("not null constraint").is_none();
    let only = if is_alone { "ONLY " } else { "" };
    let drop = DdlStatement::new(format!("ALTER TABLE {only}{of} ALTER COLUMN {name} DROP NOT NULL"));
    let again = kept.into_iter().filter(|_| !is_alone).map(|column| {
        let scan = format!("scans table {} to check {name} for nulls", parent(&column.id));
        DdlStatement::new(not_null::set(&column.id)).with(Hazard::LongLock(scan))
    });
    [drop].into_iter().chain(again).collect()
}

/// Whether a stored generated column becomes a plain one: its values stay.
pub(super) fn keeps_values(old: &Object, new: &Object) -> bool {
    old.fact("generated").is_some_and(|how| how.starts_with("stored ")) && new.fact("generated").is_none()
}

/// The default storage of the values of a type; older servers have no word for it.
pub(super) fn usual_storage(column: &Object) -> &'static str {
    let is_main = |of: &str| of.starts_with("numeric") || matches!(of, "inet" | "cidr");
    if column.fact("type").is_some_and(is_main) { "main" } else { "extended" }
}

/// Changes a NOT NULL constraint that already has its new name.
fn constraint(of: &str, was: Option<&str>, now: Option<&str>) -> Vec<DdlStatement> {
    let (Some(was), Some(now)) = (was, now) else { return Vec::new() };
    let name = plain(table::not_null_words(now).0);
    let mut all = Vec::new();
    if was.ends_with(" not valid") && !now.ends_with(" not valid") {
        all.push(format!("ALTER TABLE {of} VALIDATE CONSTRAINT {name}"));
    }
    if was.contains(" no inherit") != now.contains(" no inherit") {
        let word = if now.contains(" no inherit") { "NO INHERIT" } else { "INHERIT" };
        all.push(format!("ALTER TABLE {of} ALTER CONSTRAINT {name} {word}"));
    }
    all.into_iter().map(DdlStatement::new).collect()
}
