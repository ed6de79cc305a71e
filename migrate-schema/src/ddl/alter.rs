//! Changes that can be made in place, without dropping anything.

use std::sync::Arc;

use migrate_base::ident::{QualifiedName, literal, plain};

use super::alter_table::{column, relation};
use super::create::{checking, enabled};
use super::far::{self, json_list};
use super::name::{is_domain, parent, phrase, qualified};
use super::{DdlStatement, count, inherit, partition, sequence, swap, table};
use crate::Schema;
use crate::object::{Kind, Object};

/// How an object becomes another one of the same name.
pub(super) enum AlterMethod {
    /// With these statements. If it disturbs, the dependent objects have to be dropped first and created again
    /// afterwards.
    InPlace { statements: Vec<DdlStatement>, disturbs: bool },
    /// Only by dropping and re-creating it.
    Remake,
}

/// Facts that have their own statements, or follow from other statements.
const APART: [&str; 6] = ["comment", super::not_null::COMMENT, "grants", "owner", "inherited", "valid"];

/// The extension that an object or its index depends on, from the name of the fact.
pub(super) fn extension_of(fact: &str) -> Option<&str> {
    fact.strip_prefix("its index ").unwrap_or(fact).strip_prefix("depends on extension ")
}

/// The facts that differ: name, before, after.
pub(super) struct FactDifferences<'a>(Vec<(&'a str, Option<&'a str>, Option<&'a str>)>);

impl<'a> FactDifferences<'a> {
    pub(super) fn of(old: &'a Object, new: &'a Object) -> Self {
        let mut names: Vec<&str> = old.facts.iter().chain(&new.facts).map(|fact| &*fact.name).collect();
        names.sort_unstable();
        names.dedup();
        let is_apart = |name: &str| {
            APART.contains(&name) || name.starts_with("security label of ") || extension_of(name).is_some()
        };
        let wanted = |name: &&str| !is_apart(name);
        let pairs = names.into_iter().filter(wanted).map(|name| (name, old.fact(name), new.fact(name)));
        let mut all: Vec<_> = pairs.filter(|(name, ..)| old.differs_in(new, name)).collect();
        // A column becomes NOT NULL before it becomes an identity.
        all.sort_by_key(|(name, old, _)| *name == "identity" && old.is_none());
        Self(all)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, ..)| *name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, ..)| *known == name)
    }

    /// The statements for each fact; `None` if one of them has none.
    pub(super) fn each(
        &self,
        statement: impl Fn(&str, Option<&str>, Option<&str>) -> Option<Vec<DdlStatement>>,
    ) -> AlterMethod {
        let all: Option<Vec<_>> = self.0.iter().map(|(name, old, new)| statement(name, *old, *new)).collect();
        match all {
            Some(all) => AlterMethod::InPlace { statements: all.into_iter().flatten().collect(), disturbs: false },
            None => AlterMethod::Remake,
        }
    }
}

/// How one object becomes another one; the default of a column is a separate part.
pub(super) fn object(before: &Schema, after: &Schema, old: &Object, new: &Object) -> AlterMethod {
    let differing = FactDifferences::of(old, new);
    let name = || phrase(after, &new.id);
    let set = |text: String| Some(vec![DdlStatement::new(text)]);
    match new.id.kind {
        Kind::Table if partition::moves_rows(before, after, new) => AlterMethod::Remake,
        Kind::Table | Kind::ForeignTable => match differing.each(|fact, was, now| relation(new, fact, was, now)) {
            AlterMethod::InPlace { statements: rest, disturbs } => {
                let mut statements: Vec<_> = inherit::left(old, new).into_iter().map(DdlStatement::new).collect();
                statements.extend(rest);
                if differing.has("persistence") {
                    statements.extend(sequence::left_behind(before, after, new).into_iter().map(DdlStatement::new));
                }
                AlterMethod::InPlace { statements, disturbs }
            }
            AlterMethod::Remake => AlterMethod::Remake,
        },
        Kind::Column if is_stored(before, after, new) => match column(before, after, &differing, old, new) {
            AlterMethod::InPlace { mut statements, disturbs } if !table_moves(before, after, new) => {
                statements.extend(inherit::made_own(before, after, old, new).into_iter().map(DdlStatement::new));
                AlterMethod::InPlace { statements, disturbs }
            }
            change => change,
        },
        Kind::Column => AlterMethod::InPlace { statements: Vec::new(), disturbs: false },
        Kind::View if differing.has("definition") && !widens(before, after, new) => AlterMethod::Remake,
        Kind::View | Kind::MaterializedView => differing.each(|fact, old, now| match (new.id.kind, fact) {
            (Kind::View, "definition") => {
                let with = new.fact("options").map_or(String::new(), |options| format!(" WITH ({options})"));
                set(format!(
                    "CREATE OR REPLACE VIEW {}{with} AS\n{}",
                    qualified(&new.id),
                    now?.trim().trim_end_matches(';')
                ))
            }
            (_, "options") => storage(&name(), "", old, now),
            (_, "tablespace") => set(format!("ALTER {} SET TABLESPACE {}", name(), space(now))),
            _ => None,
        }),
        Kind::Function | Kind::Procedure if header(old) == header(new) => {
            differing.each(|_, _, now| set(now?.trim_end().to_owned()))
        }
        Kind::Sequence => {
            AlterMethod::InPlace { statements: count::changed(before, after, &differing, old, new), disturbs: false }
        }
        Kind::Type | Kind::Domain => swap::change(before, after, &differing.0, old, new),
        Kind::Attribute => differing.each(|fact, _, _| {
            let (of, name) = (parent(&new.id), plain(&new.id.name));
            let collation = new.fact("collation").map_or(String::new(), |name| format!(" COLLATE {name}"));
            let text = format!("ALTER TYPE {of} ALTER ATTRIBUTE {name} TYPE {}{collation}", new.fact("type")?);
            if fact == "type" || !differing.has("type") { set(text) } else { Some(Vec::new()) }
        }),
        Kind::Index | Kind::Constraint
            if becomes_valid(after, old, new)
                || becomes_invalid(after, old, new)
                || partition::passes_over(before, after, new) =>
        {
            AlterMethod::Remake
        }
        Kind::Index | Kind::Constraint => {
            let moves = table_moves(before, after, new);
            differing.each(|fact, old, now| match fact {
                "attached to" if moves || now.is_none() => Some(Vec::new()),
                "options" if is_of_partitioned(after, new) => None,
                "definition" if is_validated(new, old, now) => {
                    let kind = if is_domain(after, &new.id) { "DOMAIN" } else { "TABLE" };
                    set(format!("ALTER {kind} {} VALIDATE CONSTRAINT {}", parent(&new.id), plain(&new.id.name)))
                }
                _ => key(new, fact, old, now),
            })
        }
        Kind::Server | Kind::ForeignDataWrapper => differing.each(|fact, old, now| match fact {
            "options" => changed_options(old, now).and_then(|list| set(format!("ALTER {} OPTIONS ({list})", name()))),
            "version" => set(format!("ALTER {} VERSION {}", name(), now.map_or("NULL".to_owned(), literal))),
            "handler" | "validator" => {
                let word = fact.to_uppercase();
                let what = now.map_or(format!("NO {word}"), |function| format!("{word} {function}"));
                set(format!("ALTER {} {what}", name()))
            }
            _ => None,
        }),
        Kind::Trigger | Kind::Rule => {
            differing.each(|fact, _, now| (fact == "enabled").then(|| vec![DdlStatement::new(enabled(&new.id, now))]))
        }
        Kind::Extension => differing.each(|fact, _, now| match fact {
            "version" => set(format!("ALTER {} UPDATE TO {}", name(), literal(now?))),
            "schema" => set(format!("ALTER {} SET SCHEMA {}", name(), now?)),
            _ => None,
        }),
        Kind::Statistics => differing.each(|fact, _, now| match fact {
            "statistics" => set(format!("ALTER {} SET STATISTICS {}", name(), now.unwrap_or("-1"))),
            _ => None,
        }),
        Kind::Publication => far::changed_publication(&differing, new),
        // They consist only of privileges.
        Kind::DefaultPrivileges | Kind::Privileges => AlterMethod::InPlace { statements: Vec::new(), disturbs: false },
        Kind::UserMapping if !far::has_unknown_options(new) && !far::has_unknown_options(old) => {
            differing.each(|_, old, now| {
                changed_options(old, now).and_then(|list| set(format!("ALTER {} OPTIONS ({list})", name())))
            })
        }
        // An object that is only partly known cannot be created again, so it is not dropped either.
        Kind::UserMapping | Kind::Subscription => AlterMethod::InPlace { statements: Vec::new(), disturbs: false },
        _ if differing.0.is_empty() => AlterMethod::InPlace { statements: Vec::new(), disturbs: false },
        _ => AlterMethod::Remake,
    }
}

/// Whether the table of an index or a constraint becomes a partition or child of another one, or ceases to be.
fn table_moves(before: &Schema, after: &Schema, object: &Object) -> bool {
    let table = super::name::holder(&object.id, Kind::Table);
    let parents = |schema: &Schema| schema.get(&table).and_then(|table| table.fact("parents").map(str::to_owned));
    parents(before) != parents(after)
}

pub(super) fn is_of_partitioned(schema: &Schema, object: &Object) -> bool {
    let table = schema.get(&super::name::holder(&object.id, Kind::Table));
    table.is_some_and(|table| table.fact("partition key").is_some())
}

/// Whether an index that a failed concurrent build left is wanted as valid; an index of a partitioned table waits for
/// those of the partitions.
fn becomes_valid(after: &Schema, old: &Object, new: &Object) -> bool {
    old.fact("valid").is_some() && new.fact("valid").is_none() && !has_partitions(after, new)
}

/// Whether an index of a partitioned table waits for the index of a partition that should have none.
fn becomes_invalid(after: &Schema, old: &Object, new: &Object) -> bool {
    old.fact("valid").is_none() && new.fact("valid").is_some() && is_of_partitioned(after, new)
}

/// Whether the table of an index or a constraint has partitions.
fn has_partitions(schema: &Schema, object: &Object) -> bool {
    let table = QualifiedName::new(&*object.id.schema, &*object.id.parent);
    let is_below = |one: &Arc<Object>| one.fact("partition bound").is_some() && one.parents().contains(&table);
    is_of_partitioned(schema, object) && schema.objects().any(is_below)
}

/// Whether a column has its own values, unlike a column of a view.
fn is_stored(before: &Schema, after: &Schema, column: &Object) -> bool {
    let tables = [Kind::Table, Kind::ForeignTable, Kind::MaterializedView];
    let tables = tables.map(|kind| super::name::holder(&column.id, kind));
    tables.iter().any(|table| before.get(table).is_some() && after.get(table).is_some())
}

/// Whether a view only gets columns after its existing ones.
fn widens(before: &Schema, after: &Schema, view: &Object) -> bool {
    let columns = |schema: &Schema| {
        let mut all: Vec<_> = schema.children(&view.id, Kind::Column).cloned().collect();
        all.sort_by_key(|column| column.position);
        all.iter().map(|one| (one.id.name.clone(), one.fact("type").map(str::to_owned))).collect::<Vec<_>>()
    };
    columns(after).starts_with(&columns(before))
}

/// The parts of a function that cannot be replaced: its name, arguments and result, and whether it is a window
/// function.
fn header(function: &Object) -> (Vec<&str>, bool) {
    let definition = function.fact("definition").unwrap_or_default();
    let mut lines = definition.lines();
    let head = lines.by_ref().take_while(|line| !line.starts_with(" LANGUAGE ")).collect();
    (head, lines.next().is_some_and(|options| options.starts_with(" WINDOW")))
}

pub(super) fn space(name: Option<&str>) -> String {
    plain(name.unwrap_or("pg_default"))
}

/// `SET (…)` and `RESET (…)` for two lists of options.
pub(super) fn storage(what: &str, prefix: &str, old: Option<&str>, new: Option<&str>) -> Option<Vec<DdlStatement>> {
    let list = |text: Option<&str>| text.map(table::pairs).unwrap_or_default();
    let (old, new) = (list(old), list(new));
    let key = |option: &String| option.split('=').next().unwrap_or_default().to_owned();
    let gone = old.iter().filter(|option| !new.iter().any(|other| key(other) == key(option)));
    let gone: Vec<String> = gone.map(|option| format!("{prefix}{}", key(option))).collect();
    let came: Vec<String> = new.iter().filter(|one| !old.contains(one)).map(|one| format!("{prefix}{one}")).collect();
    let reset = (!gone.is_empty()).then(|| DdlStatement::new(format!("ALTER {what} RESET ({})", gone.join(", "))));
    let set = (!came.is_empty()).then(|| DdlStatement::new(format!("ALTER {what} SET ({})", came.join(", "))));
    Some(reset.into_iter().chain(set).collect())
}

/// The statement options from one option list of a foreign object to another: `ADD a 'b', DROP c`.
pub(super) fn changed_options(old: Option<&str>, new: Option<&str>) -> Option<String> {
    let pairs = |text: Option<&str>| -> Vec<(String, String)> {
        let all = text.map(json_list).unwrap_or_default();
        all.iter().filter_map(|one| one.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    let (old, new) = (pairs(old), pairs(new));
    let known = |list: &[(String, String)], key: &String| list.iter().any(|(name, _)| name == key);
    let gone = old.iter().filter(|(key, _)| !known(&new, key)).map(|(key, _)| format!("DROP {}", plain(key)));
    let came = new.iter().filter(|pair| !old.contains(pair)).map(|(key, value)| {
        let word = if known(&old, key) { "SET" } else { "ADD" };
        format!("{word} {} {}", plain(key), literal(value))
    });
    let all: Vec<String> = gone.chain(came).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Whether a constraint differs only in that existing rows have been checked.
fn is_validated(new: &Object, old: Option<&str>, now: Option<&str>) -> bool {
    new.id.kind == Kind::Constraint && now.is_some() && old.and_then(|old| old.strip_suffix(" NOT VALID")) == now
}

/// A fact of an index or a constraint.
fn key(new: &Object, fact: &str, old: Option<&str>, now: Option<&str>) -> Option<Vec<DdlStatement>> {
    let (table, name) = (parent(&new.id), plain(&new.id.name));
    let one = |text: String| Some(vec![DdlStatement::new(text)]);
    match fact {
        "triggers" => one(checking(&new.id, now)),
        "clustered" if now.is_some() => one(format!("ALTER TABLE {table} CLUSTER ON {name}")),
        "clustered" => one(format!("ALTER TABLE {table} SET WITHOUT CLUSTER")),
        "replica identity" if now.is_some() => one(format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}")),
        // The change is made with the replica identity of the table.
        "replica identity" => Some(Vec::new()),
        "tablespace" => one(format!("ALTER INDEX {} SET TABLESPACE {}", qualified(&new.id), space(now))),
        "options" => storage(&format!("INDEX {}", qualified(&new.id)), "", old, now),
        "attached to" => one(format!("ALTER INDEX {} ATTACH PARTITION {}", now?, qualified(&new.id))),
        "comment on its index" => {
            one(format!("COMMENT ON INDEX {} IS {}", qualified(&new.id), now.map_or("NULL".to_owned(), literal)))
        }
        "statistics" if new.id.kind == Kind::Index => {
            let columns = |text: Option<&str>| text.map(table::pairs).unwrap_or_default();
            let number = |one: &String| one.split(' ').next().unwrap_or_default().to_owned();
            let (old, now) = (columns(old), columns(now));
            let gone = old.iter().filter(|one| !now.iter().any(|other| number(other) == number(one)));
            let gone = gone.map(|one| format!("{} SET STATISTICS -1", number(one)));
            let came = now.iter().filter(|one| !old.contains(one)).map(|one| one.replacen(' ', " SET STATISTICS ", 1));
            let alter =
                |what: String| DdlStatement::new(format!("ALTER INDEX {} ALTER COLUMN {what}", qualified(&new.id)));
            Some(gone.chain(came).map(alter).collect())
        }
        _ => None,
    }
}
