//! Statements that create tables, their columns, and sequences.

use std::sync::Arc;

use migrate_base::ident::{QualifiedName, plain};

use super::alter_table::usual_storage;
use super::far::{json_list, options};
use super::name::{holder, named, qualified};
use super::sequence;
use super::taken::TakenNames;
use super::{inherit, not_null};
use crate::Schema;
use crate::object::{Id, Kind, Object};

/// A table or foreign table with its columns; keys, checks and indexes are separate objects. The `late` defaults come
/// later, because what they depend on depends on the table. A partition that is `apart` is attached later.
pub(super) fn create(
    taken: &TakenNames,
    schema: &Schema,
    table: &Object,
    late: &dyn Fn(&Id) -> bool,
    apart: bool,
) -> Vec<String> {
    let (id, fact) = (&table.id, |name: &str| table.fact(name));
    let columns = columns(schema, id);
    let mut family = TableInheritance::of(schema, table, &columns);
    family.attached |= apart;
    let (bound, parents) = (fact("partition bound"), fact("parents"));
    let own = columns.iter().filter(|one| family.attached || is_own(one));
    let lines = own.map(|one| match family.brings_not_null(one) {
        true => line(taken, schema, &not_null::nullable(one), family.brings(one), late(&one.id)),
        false => line(taken, schema, one, family.brings(one), late(&one.id)),
    });
    let names = columns.iter().filter_map(|one| family.renamed_not_null(one));
    let checks = schema.children(id, Kind::Constraint);
    let checks = checks.filter(|one| family.attached && one.fact("inherited") == Some("only"));
    // A check that is not valid comes with that of the parent, which is created later.
    let checks = checks.filter(|one| inherit::is_valid_check(one));
    let checks =
        checks.filter_map(|one| Some(format!("CONSTRAINT {} {}", plain(&one.id.name), one.fact("definition")?)));
    let lines: Vec<String> = lines.chain(names).chain(checks).map(|line| format!("\n    {line}")).collect();
    let body = if lines.is_empty() { "()".to_owned() } else { format!("({}\n)", lines.join(",")) };
    let kind = match id.kind {
        Kind::ForeignTable => "FOREIGN TABLE",
        _ if fact("persistence").is_some() => "UNLOGGED TABLE",
        _ => "TABLE",
    };
    let name = qualified(id);
    let mut text = match (fact("of type"), bound, parents) {
        (Some(of), _, _) => format!("CREATE {kind} {name} OF {of}"),
        (None, Some(bound), Some(parent)) if !family.attached => {
            format!("CREATE {kind} {name} PARTITION OF {parent} {bound}")
        }
        (None, None, Some(parents)) => format!("CREATE {kind} {name} {body} INHERITS ({parents})"),
        _ => format!("CREATE {kind} {name} {body}"),
    };
    text += &fact("partition key").map_or(String::new(), |key| format!(" PARTITION BY {key}"));
    text += &fact("server").map_or(String::new(), |server| format!(" SERVER {}", plain(server)));
    if id.kind == Kind::ForeignTable {
        text += &options(fact("foreign options").map(json_list));
    }
    text += &fact("access method").map_or(String::new(), |method| format!(" USING {}", plain(method)));
    text += &storage(table);
    text += &fact("tablespace").map_or(String::new(), |space| format!(" TABLESPACE {}", plain(space)));
    let mut all = vec![text];
    all.extend(security(table).into_iter().map(|what| format!("ALTER TABLE {name} {what}")));
    all.extend(match fact("replica identity") {
        Some(what @ ("full" | "nothing")) => {
            Some(format!("ALTER TABLE {name} REPLICA IDENTITY {}", what.to_uppercase()))
        }
        _ => None,
    });
    let of_type = fact("of type").is_some();
    for column in &columns {
        let theirs = family.theirs(column).filter(|_| !family.attached);
        let mut more = extras(taken, column, theirs, of_type, late(&column.id));
        if family.renamed_not_null(column).is_some() {
            more.retain(|text| !text.ends_with(" SET NOT NULL"));
        }
        all.extend(more);
        all.extend(sequence::unusual(schema, column));
    }
    // The parts that its parent requires of every partition have to exist before.
    if family.attached && !apart {
        all.extend(attach(table));
        all.extend(not_null::local_again(schema, table));
    }
    all
}

/// The statement that attaches a table as a partition.
pub(super) fn attach(table: &Object) -> Option<String> {
    let (parent, bound) = (table.fact("parents")?, table.fact("partition bound")?);
    Some(format!("ALTER TABLE {parent} ATTACH PARTITION {} {bound}", qualified(&table.id)))
}

/// Whether a partition has to be created as a table and attached, because of its own properties.
pub(super) fn is_attached(schema: &Schema, table: &Object) -> bool {
    TableInheritance::of(schema, table, &columns(schema, &table.id)).attached
}

/// What a table gets from its parent.
struct TableInheritance<'a> {
    schema: &'a Schema,
    table: Arc<Id>,
    parents: Vec<QualifiedName>,
    partition: bool,
    /// A partition with its own columns, or with its own order, names or validity of what its parent has, is created
    /// first and then attached.
    attached: bool,
}

impl<'a> TableInheritance<'a> {
    fn of(schema: &'a Schema, table: &Object, columns: &[&Arc<Object>]) -> Self {
        let parents = table.parents();
        let partition = table.fact("partition bound").is_some();
        let mut family = Self { schema, table: table.id.clone(), parents, partition, attached: false };
        let is_its_own = |one: &&Arc<Object>| {
            is_own(one) || not_valid(one) || family.names_not_null(one).is_some() || family.computes(one)
        };
        family.attached = partition && (columns.iter().any(is_its_own) || family.orders(columns));
        family
    }

    /// Whether the order of the columns differs from that of the parent.
    fn orders(&self, columns: &[&Arc<Object>]) -> bool {
        let Some(parent) = self.parents.first() else { return false };
        let of = named(Kind::Table, parent.schema(), parent.name());
        let theirs = self::columns(self.schema, &of);
        !theirs.is_empty() && !theirs.iter().map(|one| &one.id.name).eq(columns.iter().map(|one| &one.id.name))
    }

    /// Whether a column is computed differently than that of the parent.
    fn computes(&self, column: &Object) -> bool {
        let theirs = self.theirs(column).and_then(|theirs| theirs.fact("generated"));
        column.fact("generated").is_some_and(|expression| theirs != Some(expression))
    }

    /// The column of the first parent that has it.
    fn theirs(&self, column: &Object) -> Option<&'a Object> {
        self.parents.iter().find_map(|parent| column_of(self.schema, parent, &column.id.name))
    }

    /// The column of the parent, if a child must not repeat how it is computed. A partition must repeat it.
    fn brings(&self, column: &Object) -> Option<&'a Object> {
        self.theirs(column).filter(|_| !self.partition && column.fact("inherited").is_some())
    }

    /// Whether a column that the table itself declares is NOT NULL because its parent's is.
    fn brings_not_null(&self, column: &Object) -> bool {
        let is_inherited = column.fact("not null inherited") == Some("only");
        !self.attached && is_inherited && self.theirs(column).is_some() && self.names_not_null(column).is_none()
    }

    /// The name that a NOT NULL constraint gets with the first parent that has one.
    fn their_not_null(&self, column: &Object) -> Option<&'a str> {
        let theirs = self.parents.iter().filter_map(|parent| column_of(self.schema, parent, &column.id.name));
        theirs.filter(|theirs| not_null_goes_down(theirs)).find_map(not_null_name)
    }

    /// A NOT NULL constraint that would get another name with its parent.
    fn names_not_null<'b>(&self, column: &'b Object) -> Option<&'b str> {
        let theirs = self.their_not_null(column)?;
        let ours = column.fact("not null constraint").filter(|_| column.fact("not null inherited").is_some())?;
        let name = not_null_words(ours).0;
        // If another column of the table has the name by then, the server chooses one.
        let mut others = self.schema.children(&self.table, Kind::Column).filter(|other| other.id != column.id);
        let is_chosen = name == usual_not_null(column) && others.any(|other| not_null_name(other) == Some(theirs));
        (name != theirs && !is_chosen).then_some(ours)
    }

    /// The line for a NOT NULL constraint with its own name, on a column inherited from the parent.
    fn renamed_not_null(&self, column: &Object) -> Option<String> {
        if self.partition || is_own(column) || not_valid(column) {
            return None;
        }
        let (name, inherit) = not_null_words(self.names_not_null(column)?);
        Some(format!("CONSTRAINT {} NOT NULL {}{inherit}", plain(name), plain(&column.id.name)))
    }
}

fn is_own(column: &Object) -> bool {
    column.fact("inherited") != Some("only")
}

fn columns<'a>(schema: &'a Schema, table: &'a Id) -> Vec<&'a Arc<Object>> {
    let mut columns: Vec<_> = schema.children(table, Kind::Column).collect();
    columns.sort_by_key(|column| column.position);
    columns
}

fn column_of<'a>(schema: &'a Schema, table: &QualifiedName, name: &str) -> Option<&'a Object> {
    let id = Id { parent: table.name().into(), ..named(Kind::Column, table.schema(), name) };
    schema.get(&id).map(|object| &**object)
}

/// A column as written in `CREATE TABLE` and `ADD COLUMN`; `brought` is the column of the parent that computes it.
pub(super) fn line(
    taken: &TakenNames,
    schema: &Schema,
    column: &Object,
    brought: Option<&Object>,
    late: bool,
) -> String {
    let fact = |name: &str| column.fact(name);
    let computed = fact("generated").filter(|_| brought.and_then(|one| one.fact("generated")) != fact("generated"));
    let mut text = format!("{} {}", plain(&column.id.name), fact("type").unwrap_or("text"));
    text += &options(fact("foreign options").map(json_list));
    text += &fact("compression").map_or(String::new(), |method| format!(" COMPRESSION {method}"));
    text += &fact("collation").map_or(String::new(), |name| format!(" COLLATE {name}"));
    text += &fact("default").filter(|_| !late).map_or(String::new(), |value| format!(" DEFAULT {value}"));
    text += &computed.map_or(String::new(), |value| {
        let (how, value) = value.split_once(' ').unwrap_or(("stored", value));
        format!(" GENERATED ALWAYS AS ({value}) {}", how.to_uppercase())
    });
    text += &written_not_null(taken, column).filter(|_| !not_valid(column)).unwrap_or_default();
    let counted = fact("identity").filter(|_| sequence::counts(schema, column));
    text += &counted.map_or(String::new(), |how| format!(" {}", sequence::generated(schema, &column.id, how)));
    text
}

/// `NOT NULL`, with the name of its constraint if it differs from the default name.
fn written_not_null(taken: &TakenNames, column: &Object) -> Option<String> {
    column.fact("not null")?;
    let constraint = column.fact("not null constraint").unwrap_or_default();
    let (name, inherit) = not_null_words(constraint);
    let is_usual = || name == usual_not_null(column) && taken.is_free(column, name);
    let named = if name.is_empty() || is_usual() { String::new() } else { format!(" CONSTRAINT {}", plain(name)) };
    Some(format!("{named} NOT NULL{inherit}"))
}

/// The name of the NOT NULL constraint of a column.
pub(super) fn not_null_name(column: &Object) -> Option<&str> {
    Some(not_null_words(column.fact("not null constraint")?).0)
}

/// A NOT NULL constraint to be added to an existing table, if `SET NOT NULL` would create a different one.
pub(super) fn own_not_null(taken: &TakenNames, column: &Object) -> Option<String> {
    let (name, inherit) = not_null_words(column.fact("not null constraint")?);
    let valid = if not_valid(column) { " NOT VALID" } else { "" };
    let is_free = || taken.is_free(column, name);
    let is_usual = name == usual_not_null(column) && inherit.is_empty() && valid.is_empty() && is_free();
    (!is_usual).then(|| format!("CONSTRAINT {} NOT NULL {}{inherit}{valid}", plain(name), plain(&column.id.name)))
}

fn usual_not_null(column: &Object) -> String {
    format!("{}_{}_not_null", column.id.parent, column.id.name)
}

/// The name of a NOT NULL constraint, and its NO INHERIT clause.
pub(super) fn not_null_words(constraint: &str) -> (&str, &'static str) {
    let name = constraint.strip_suffix(" not valid").unwrap_or(constraint);
    name.strip_suffix(" no inherit").map_or((name, ""), |name| (name, " NO INHERIT"))
}

/// Whether a column has a NOT NULL that is passed down to the tables below.
pub(super) fn not_null_goes_down(column: &Object) -> bool {
    column.fact("not null constraint").is_some() && !no_inherit(column)
}

pub(super) fn no_inherit(column: &Object) -> bool {
    column.fact("not null constraint").is_some_and(|constraint| !not_null_words(constraint).1.is_empty())
}

pub(super) fn not_valid(column: &Object) -> bool {
    column.fact("not null constraint").is_some_and(|constraint| constraint.ends_with(" not valid"))
}

/// The properties of a column that need their own statements after its line. For an inherited column, only those that
/// differ from the parent's.
pub(super) fn extras(
    taken: &TakenNames,
    column: &Object,
    theirs: Option<&Object>,
    of_type: bool,
    late: bool,
) -> Vec<String> {
    let fact = |name: &str| column.fact(name);
    let (table, name) = (super::name::parent(&column.id), plain(&column.id.name));
    let mut all = Vec::new();
    let inherited = fact("inherited") == Some("only") && theirs.is_some();
    let differs = |name: &str| theirs.is_none_or(|theirs| theirs.fact(name) != fact(name));
    if (inherited || of_type) && !late && differs("default") {
        let none = inherited.then(|| "DROP DEFAULT".to_owned());
        all.extend(fact("default").map(|value| format!("SET DEFAULT {value}")).or(none));
    }
    let is_own = match fact("not null constraint") {
        Some(_) => fact("not null inherited") != Some("only"),
        None => differs("not null"),
    };
    let sets_not_null = fact("not null").is_some() && !not_valid(column) && (inherited && is_own || of_type);
    let is_brought = fact("not null inherited").is_some();
    let own = || own_not_null(taken, column);
    let constraint = if sets_not_null && !is_brought { own() } else { None };
    all.extend((sets_not_null && constraint.is_none()).then(|| "SET NOT NULL".to_owned()));
    let stored = fact("storage").or_else(|| inherited.then(|| usual_storage(column)));
    let stored = stored.filter(|_| !inherited || differs("storage"));
    all.extend(stored.map(|how| format!("SET STORAGE {}", how.to_uppercase())));
    let method = fact("compression").unwrap_or("default");
    all.extend((inherited && differs("compression")).then(|| format!("SET COMPRESSION {method}")));
    all.extend(fact("statistics").map(|n| format!("SET STATISTICS {n}")));
    all.extend(fact("options").map(|list| format!("SET ({list})")));
    let mut all: Vec<String> =
        all.into_iter().map(|what| format!("ALTER TABLE ONLY {table} ALTER COLUMN {name} {what}")).collect();
    let constraint = constraint.or_else(|| if not_valid(column) { own() } else { None });
    all.extend(constraint.map(|constraint| format!("ALTER TABLE {table} ADD {constraint}")));
    all
}

/// The attributes of a composite type.
pub(super) fn attributes(schema: &Schema, of: &Id) -> String {
    let mut attributes: Vec<_> = schema.children(of, Kind::Attribute).collect();
    attributes.sort_by_key(|attribute| attribute.position);
    attributes.iter().map(|one| attribute(one)).collect::<Vec<_>>().join(", ")
}

pub(super) fn attribute(one: &Object) -> String {
    let collation = one.fact("collation").map_or(String::new(), |name| format!(" COLLATE {name}"));
    format!("{} {}{collation}", plain(&one.id.name), one.fact("type").unwrap_or("text"))
}

fn storage(table: &Object) -> String {
    let toast = table.fact("toast options").into_iter().flat_map(|list| list.split(", "));
    let toast = toast.map(|option| format!("toast.{option}"));
    let all: Vec<String> = table.fact("options").map(str::to_owned).into_iter().chain(toast).collect();
    if all.is_empty() { String::new() } else { format!(" WITH ({})", all.join(", ")) }
}

fn security(table: &Object) -> Vec<&'static str> {
    match table.fact("row security") {
        Some("on") => vec!["ENABLE ROW LEVEL SECURITY"],
        Some("forced") => vec!["ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"],
        Some(_) => vec!["FORCE ROW LEVEL SECURITY"],
        None => Vec::new(),
    }
}

/// Whether this is a key of a partitioned table: it is created for the table alone, and the keys of the partitions,
/// which have their own names, are attached to it.
pub(super) fn is_own_index_of_partitioned(schema: &Schema, object: &Object) -> bool {
    let table = schema.get(&holder(&object.id, Kind::Table));
    has_index(object) && table.is_some_and(|table| table.fact("partition key").is_some())
}

/// Whether an object is an index, or a constraint that has one.
pub(super) fn has_index(object: &Object) -> bool {
    let definition = object.fact("definition").unwrap_or_default();
    match object.id.kind {
        Kind::Index => true,
        Kind::Constraint => ["PRIMARY KEY", "UNIQUE", "EXCLUDE"].iter().any(|word| definition.starts_with(word)),
        _ => false,
    }
}

pub(super) fn pairs(list: &str) -> Vec<String> {
    list.split(", ").map(str::to_owned).collect()
}
