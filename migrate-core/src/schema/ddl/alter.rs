//! What can be changed in place, without dropping anything.

use super::create::enabled;
use super::far::json_list;
use super::name::{parent, phrase, qualified};
use super::{Hazard, Statement, swap, table};
use crate::ident::{literal, plain};
use crate::schema::Schema;
use crate::schema::object::{Kind, Object};

/// What makes an object into another one of its name.
pub(super) enum Change {
    /// These statements. What stands on the object has to go first and come back afterwards where it disturbs.
    InPlace { statements: Vec<Statement>, disturbs: bool },
    /// Nothing but dropping it and making it anew.
    Remake,
}

/// Facts that are said apart, or follow from other statements.
const APART: [&str; 5] = ["comment", "grants", "owner", "inherited", "valid"];

/// The facts that differ: name, before, after.
pub(super) struct Differing<'a>(Vec<(&'a str, Option<&'a str>, Option<&'a str>)>);

impl<'a> Differing<'a> {
    pub(super) fn of(old: &'a Object, new: &'a Object) -> Self {
        let mut names: Vec<&str> = old.facts.iter().chain(&new.facts).map(|fact| &*fact.name).collect();
        names.sort_unstable();
        names.dedup();
        let wanted = |name: &&str| !APART.contains(name) && !name.starts_with("security label");
        let pairs = names.into_iter().filter(wanted).map(|name| (name, old.fact(name), new.fact(name)));
        let mut all: Vec<_> = pairs.filter(|(_, old, new)| old != new).collect();
        // A column becomes NOT NULL before it becomes an identity.
        all.sort_by_key(|(name, old, _)| *name == "identity" && old.is_none());
        Self(all)
    }

    /// All but one, which is said elsewhere.
    fn without(self, name: &str) -> Self {
        Self(self.0.into_iter().filter(|(known, ..)| *known != name).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, ..)| *known == name)
    }

    /// The statements for each fact; `None` where one of them has none.
    fn each(&self, statement: impl Fn(&str, Option<&str>, Option<&str>) -> Option<Vec<Statement>>) -> Change {
        let all: Option<Vec<_>> = self.0.iter().map(|(name, old, new)| statement(name, *old, *new)).collect();
        match all {
            Some(all) => Change::InPlace { statements: all.into_iter().flatten().collect(), disturbs: false },
            None => Change::Remake,
        }
    }
}

/// How one object becomes another one; the default of a column is a part of its own.
pub(super) fn object(before: &Schema, after: &Schema, old: &Object, new: &Object) -> Change {
    let differing = Differing::of(old, new);
    let name = || phrase(after, &new.id);
    let set = |text: String| Some(vec![Statement::new(text)]);
    match new.id.kind {
        Kind::Table | Kind::ForeignTable => differing.each(|fact, was, now| {
            let mut all = Vec::new();
            if fact == "parents" && now.is_some() {
                all.extend(renamed_not_nulls(before, after, new));
            }
            all.extend(relation(old, new, fact, was, now)?);
            Some(all)
        }),
        Kind::Column if is_stored(before, after, new) => {
            let joins = table_moves(before, after, new) && new.fact("inherited").is_some();
            column(after, &differing.without(if joins { "not null constraint" } else { "" }), old, new)
        }
        Kind::Column => Change::InPlace { statements: Vec::new(), disturbs: false },
        Kind::View if differing.has("definition") && !widens(before, after, new) => Change::Remake,
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
        Kind::Sequence => sequence(&differing, new),
        Kind::Type | Kind::Domain => swap::change(before, after, &differing.0, old, new),
        Kind::Attribute => differing.each(|fact, _, _| {
            let (of, name) = (parent(&new.id), plain(&new.id.name));
            let collation = new.fact("collation").map_or(String::new(), |name| format!(" COLLATE {name}"));
            let text = format!("ALTER TYPE {of} ALTER ATTRIBUTE {name} TYPE {}{collation}", new.fact("type")?);
            if fact == "type" || !differing.has("type") { set(text) } else { Some(Vec::new()) }
        }),
        // A concurrent build that failed left it; one of a partitioned table waits for those of the partitions.
        Kind::Index if old.fact("valid").is_some() && new.fact("valid").is_none() && !is_of_partitioned(after, new) => {
            Change::Remake
        }
        Kind::Index | Kind::Constraint => {
            let moves = table_moves(before, after, new);
            differing.each(|fact, old, now| match fact {
                "attached to" if moves || now.is_none() => Some(Vec::new()),
                _ => key(new, fact, old, now),
            })
        }
        Kind::Server | Kind::ForeignDataWrapper => differing.each(|fact, old, now| match fact {
            "options" => changed_options(old, now).and_then(|list| set(format!("ALTER {} OPTIONS ({list})", name()))),
            "version" => set(format!("ALTER {} VERSION {}", name(), now.map_or("NULL".to_owned(), literal))),
            _ => None,
        }),
        Kind::Trigger | Kind::Rule => {
            differing.each(|fact, _, now| (fact == "enabled").then(|| vec![Statement::new(enabled(&new.id, now))]))
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
        // Its privileges are all that there is.
        Kind::DefaultPrivileges => Change::InPlace { statements: Vec::new(), disturbs: false },
        _ if differing.0.is_empty() => Change::InPlace { statements: Vec::new(), disturbs: false },
        _ => Change::Remake,
    }
}

/// Whether the table of an index or a constraint becomes a part of another one, or ceases to be.
fn table_moves(before: &Schema, after: &Schema, object: &Object) -> bool {
    let table = super::name::holder(&object.id, Kind::Table);
    let parents = |schema: &Schema| schema.get(&table).and_then(|table| table.fact("parents").map(str::to_owned));
    parents(before) != parents(after)
}

fn is_of_partitioned(schema: &Schema, object: &Object) -> bool {
    let table = schema.get(&super::name::holder(&object.id, Kind::Table));
    table.is_some_and(|table| table.fact("partition key").is_some())
}

/// Whether a column has values of its own, and is not one of a view.
fn is_stored(before: &Schema, after: &Schema, column: &Object) -> bool {
    let tables = [Kind::Table, Kind::ForeignTable].map(|kind| super::name::holder(&column.id, kind));
    tables.iter().any(|table| before.get(table).is_some() && after.get(table).is_some())
}

/// Whether a view only gets columns behind those that it has.
fn widens(before: &Schema, after: &Schema, view: &Object) -> bool {
    let columns = |schema: &Schema| {
        let mut all: Vec<_> = schema.children(&view.id, Kind::Column).cloned().collect();
        all.sort_by_key(|column| column.position);
        all.iter().map(|one| (one.id.name.clone(), one.fact("type").map(str::to_owned))).collect::<Vec<_>>()
    };
    columns(after).starts_with(&columns(before))
}

/// A function up to where its replaceable part begins: its name, arguments and result.
fn header(function: &Object) -> Vec<&str> {
    let definition = function.fact("definition").unwrap_or_default();
    definition.lines().take_while(|line| !line.starts_with(" LANGUAGE ")).collect()
}

fn space(name: Option<&str>) -> String {
    plain(name.unwrap_or("pg_default"))
}

/// `SET (…)` and `RESET (…)` for two lists of options.
fn storage(what: &str, prefix: &str, old: Option<&str>, new: Option<&str>) -> Option<Vec<Statement>> {
    let list = |text: Option<&str>| text.map(table::pairs).unwrap_or_default();
    let (old, new) = (list(old), list(new));
    let key = |option: &String| option.split('=').next().unwrap_or_default().to_owned();
    let gone = old.iter().filter(|option| !new.iter().any(|other| key(other) == key(option)));
    let gone: Vec<String> = gone.map(|option| format!("{prefix}{}", key(option))).collect();
    let came: Vec<String> = new.iter().filter(|one| !old.contains(one)).map(|one| format!("{prefix}{one}")).collect();
    let reset = (!gone.is_empty()).then(|| Statement::new(format!("ALTER {what} RESET ({})", gone.join(", "))));
    let set = (!came.is_empty()).then(|| Statement::new(format!("ALTER {what} SET ({})", came.join(", "))));
    Some(reset.into_iter().chain(set).collect())
}

/// A fact of a table.
fn relation(before: &Object, new: &Object, fact: &str, old: Option<&str>, now: Option<&str>) -> Option<Vec<Statement>> {
    let name = qualified(&new.id);
    let what = format!("{} {name}", new.id.kind.as_str().to_uppercase());
    let alter = |text: String| Statement::new(format!("ALTER TABLE {name} {text}"));
    let rewrite = |text: String| alter(text).with(Hazard::Rewrite(format!("{} is written anew", new.id)));
    let one = |statement: Statement| Some(vec![statement]);
    match fact {
        "options" => storage(&what, "", old, now),
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
        // That of an index is said with the index.
        "replica identity" if now == Some("index") => Some(Vec::new()),
        "replica identity" => one(alter(format!("REPLICA IDENTITY {}", now.unwrap_or("default").to_uppercase()))),
        "parents" | "partition bound" => Some(if fact == "parents" || before.fact("parents") == new.fact("parents") {
            lineage(before, new).into_iter().map(Statement::new).collect()
        } else {
            Vec::new()
        }),
        "of type" => one(alter(now.map_or("NOT OF".to_owned(), |kind| format!("OF {kind}")))),
        "foreign options" => changed_options(old, now).map(|list| vec![alter(format!("OPTIONS ({list})"))]),
        _ => None,
    }
}

/// From the parents of a table to others; a partition has one, and a bound.
fn lineage(old: &Object, new: &Object) -> Vec<String> {
    let name = qualified(&new.id);
    let list = |table: &Object| table.fact("parents").map(table::pairs).unwrap_or_default();
    let bound = |table: &Object| table.fact("partition bound").map(str::to_owned);
    let leaves = |parent: &String| match bound(old) {
        Some(_) => format!("ALTER TABLE {parent} DETACH PARTITION {name}"),
        None => format!("ALTER TABLE {name} NO INHERIT {parent}"),
    };
    let joins = |parent: &String| match bound(new) {
        Some(bound) => format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"),
        None => format!("ALTER TABLE {name} INHERIT {parent}"),
    };
    let (was, is) = (list(old), list(new));
    let moved = bound(old) != bound(new);
    let gone: Vec<String> = was.iter().filter(|parent| moved || !is.contains(parent)).map(leaves).collect();
    gone.into_iter().chain(is.iter().filter(|parent| moved || !was.contains(parent)).map(joins)).collect()
}

/// The options of a foreign object from one list to another: `ADD a 'b', DROP c`.
fn changed_options(old: Option<&str>, new: Option<&str>) -> Option<String> {
    let pairs = |text: Option<&str>| -> Vec<(String, String)> {
        let all = match text {
            Some(text) if text.starts_with(['[', '{']) => json_list(text),
            text => text.map(table::pairs).unwrap_or_default(),
        };
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

/// A column of a table; its default is a part of its own.
fn column(after: &Schema, differing: &Differing<'_>, old: &Object, new: &Object) -> Change {
    if differing.has("generated") {
        // Its values are computed, or they come back as null: there is no way in place that all servers know.
        return Change::Remake;
    }
    let (of, name) = (parent(&new.id), plain(&new.id.name));
    let alter = |text: String| Statement::new(format!("ALTER TABLE {of} ALTER COLUMN {name} {text}"));
    let retyped = differing.has("type") || differing.has("collation");
    let mut statements = Vec::new();
    if retyped && new.fact("inherited") != Some("only") {
        statements.push(swap::retype(old, new));
    }
    let rest = differing.each(|fact, was, now| match fact {
        "type" | "collation" | "default" => Some(Vec::new()),
        "not null" if now.is_some() => {
            let lock = Hazard::LongLock(format!("table {of} is read to see that {name} is never null"));
            Some(vec![alter("SET NOT NULL".to_owned()).with(lock)])
        }
        "not null" => Some(vec![alter("DROP NOT NULL".to_owned())]),
        "not null constraint" => Some(rename_constraint(&of, was, now)),
        "identity" => Some(vec![alter(match (was, now) {
            (None, Some(how)) => format!("ADD {}", table::generated(after, &new.id, how)),
            (Some(_), Some(how)) => format!("SET GENERATED {}", how.to_uppercase()),
            _ => "DROP IDENTITY".to_owned(),
        })]),
        "storage" => Some(vec![alter(format!("SET STORAGE {}", now.unwrap_or(usual_storage(new)).to_uppercase()))]),
        "compression" => Some(vec![alter(format!("SET COMPRESSION {}", now.unwrap_or("default")))]),
        "statistics" => Some(vec![alter(format!("SET STATISTICS {}", now.unwrap_or("-1")))]),
        "options" => storage(&format!("TABLE {of} ALTER COLUMN {name}"), "", was, now),
        "foreign options" => changed_options(was, now).map(|list| vec![alter(format!("OPTIONS ({list})"))]),
        _ => None,
    });
    match rest {
        Change::InPlace { statements: rest, .. } => {
            statements.extend(rest);
            Change::InPlace { statements, disturbs: retyped }
        }
        Change::Remake => Change::Remake,
    }
}

/// How the values of a type are stored where nobody says otherwise; older servers have no word for it.
fn usual_storage(column: &Object) -> &'static str {
    if column.fact("type").is_some_and(|of| of.starts_with("numeric")) { "main" } else { "extended" }
}

/// The constraints of a table that becomes a part of another one get their names while they are its own.
fn renamed_not_nulls(before: &Schema, after: &Schema, table: &Object) -> Vec<Statement> {
    let name = qualified(&table.id);
    let columns = before.children(&table.id, Kind::Column);
    let pairs = columns.filter_map(|old| Some((old, after.get(&old.id)?)));
    let constraint = |column: &Object| column.fact("not null constraint").map(str::to_owned);
    pairs
        .flat_map(|(old, new)| rename_constraint(&name, constraint(old).as_deref(), constraint(new).as_deref()))
        .collect()
}

/// Since PostgreSQL 18 NOT NULL is a constraint with a name.
fn rename_constraint(table: &str, was: Option<&str>, now: Option<&str>) -> Vec<Statement> {
    let name = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let (Some(was), Some(now)) = (was, now) else { return Vec::new() };
    let mut all = Vec::new();
    if name(was) != name(now) {
        all.push(format!("ALTER TABLE {table} RENAME CONSTRAINT {} TO {}", plain(&name(was)), plain(&name(now))));
    }
    if was.ends_with(" not valid") && !now.ends_with(" not valid") {
        all.push(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", plain(&name(now))));
    }
    if was.contains(" no inherit") != now.contains(" no inherit") {
        let word = if now.contains(" no inherit") { "NO INHERIT" } else { "INHERIT" };
        all.push(format!("ALTER TABLE {table} ALTER CONSTRAINT {} {word}", plain(&name(now))));
    }
    all.into_iter().map(Statement::new).collect()
}

fn sequence(differing: &Differing<'_>, new: &Object) -> Change {
    let name = qualified(&new.id);
    let persistence =
        differing.has("persistence").then(|| if new.fact("persistence").is_some() { "UNLOGGED" } else { "LOGGED" });
    let mut statements: Vec<String> = persistence.map(|how| format!("SET {how}")).into_iter().collect();
    let value = |fact: &str| new.fact(fact).unwrap_or_default();
    let clauses = [("type", "AS"), ("increment", "INCREMENT BY"), ("minimum", "MINVALUE"), ("maximum", "MAXVALUE")];
    let clauses = clauses.into_iter().chain([("start", "START WITH"), ("cache", "CACHE")]);
    let mut text: String = clauses
        .filter(|(fact, _)| differing.has(fact))
        .map(|(fact, word)| format!(" {word} {}", value(fact)))
        .collect();
    if differing.has("cycle") {
        text += if new.fact("cycle").is_some() { " CYCLE" } else { " NO CYCLE" };
    }
    statements.extend((!text.is_empty()).then(|| text.trim_start().to_owned()));
    if differing.has("owned by") && !table::is_identity(new) {
        statements.push(format!("OWNED BY {}", new.fact("owned by").unwrap_or("NONE")));
    }
    let statements =
        statements.into_iter().map(|what| Statement::new(format!("ALTER SEQUENCE {name} {what}"))).collect();
    Change::InPlace { statements, disturbs: false }
}

/// A fact of an index or a constraint.
fn key(new: &Object, fact: &str, old: Option<&str>, now: Option<&str>) -> Option<Vec<Statement>> {
    let (table, name) = (parent(&new.id), plain(&new.id.name));
    let one = |text: String| Some(vec![Statement::new(text)]);
    match fact {
        "definition" if new.id.kind == Kind::Constraint && old?.strip_suffix(" NOT VALID") == now => {
            one(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))
        }
        "clustered" if now.is_some() => one(format!("ALTER TABLE {table} CLUSTER ON {name}")),
        "clustered" => one(format!("ALTER TABLE {table} SET WITHOUT CLUSTER")),
        "replica identity" if now.is_some() => one(format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}")),
        // That the table has another one is said with the table.
        "replica identity" => Some(Vec::new()),
        "tablespace" => one(format!("ALTER INDEX {} SET TABLESPACE {}", qualified(&new.id), space(now))),
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
                |what: String| Statement::new(format!("ALTER INDEX {} ALTER COLUMN {what}", qualified(&new.id)));
            Some(gone.chain(came).map(alter).collect())
        }
        _ => None,
    }
}
