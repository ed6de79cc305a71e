//! The orders in which a migration and the code of consumers can be deployed, and how to split a change that has none.

use std::collections::BTreeMap;

use migrate_base::hint::quote;
use migrate_base::ident::plain;
use migrate_schema::{Id, Kind, Object, SchemaChange};

/// The orders in which a migration and the code that is merged with it can be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SafeOrder {
    /// The old code runs on the new schema, and the new code on the old one.
    Any,
    /// The new code does not run on the old schema.
    MigrateFirst,
    /// The old code does not run on the new schema.
    DeployFirst,
    /// Neither does.
    None,
}

impl SafeOrder {
    /// The order, from whether the old code runs on the new schema, and whether the new code runs on the old schema.
    pub fn of(old_runs_on_new: bool, new_runs_on_old: bool) -> Self {
        match (old_runs_on_new, new_runs_on_old) {
            (true, true) => Self::Any,
            (true, false) => Self::MigrateFirst,
            (false, true) => Self::DeployFirst,
            (false, false) => Self::None,
        }
    }

    /// The verdict, in words that never change.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any order is safe",
            Self::MigrateFirst => "migrate, then deploy",
            Self::DeployFirst => "deploy, then migrate",
            Self::None => "no order is safe",
        }
    }
}

/// How to split a change into steps, each of which works with the code before it and the code after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSplit {
    /// The change: `column carrier of shipments is renamed to carrier_code`.
    pub change: String,
    /// The steps, in order.
    pub steps: Vec<String>,
}

/// What happened to columns, as far as two schemas cannot show it.
#[derive(Debug, Clone, Copy)]
pub struct ColumnChanges<'a> {
    /// The renamed columns, with what they became.
    pub renamed: &'a BTreeMap<Id, Id>,
    /// The expressions that convert the values of columns to another type, if there are any, by table and column.
    pub using: &'a BTreeMap<(String, String), String>,
}

/// The ways to split a change, one for each thing that it takes away from consumers; only for objects that are `meant`.
pub fn way(change: &SchemaChange, columns: ColumnChanges<'_>, meant: &dyn Fn(&Id) -> bool) -> Vec<ChangeSplit> {
    let mut ways = Vec::new();
    let mut used: Vec<&Id> = Vec::new();
    for (id, before, after) in change.objects().filter(|(id, ..)| meant(id)) {
        match (id.kind, before, after) {
            (Kind::Column, Some(_), None) if !whole(change, id) => match successor(change, columns, id) {
                Some(new) => {
                    used.push(&new.id);
                    ways.push(renamed(id, new, columns));
                }
                None => ways.push(dropped(id)),
            },
            (Kind::Column, Some(old), Some(new)) if old.fact("type") != new.fact("type") => {
                ways.push(retyped(old, new, columns))
            }
            (Kind::Column, old, Some(new))
                if needs_value(new) && !old.is_some_and(needs_value) && !whole(change, id) =>
            {
                ways.push(required(id));
            }
            (Kind::Index | Kind::Constraint, Some(old), None) if is_unique(old) && !whole(change, id) => {
                ways.push(unguarded(id));
            }
            (Kind::Function | Kind::Procedure | Kind::Aggregate, Some(_), None) => ways.push(removed(id)),
            (Kind::Table | Kind::View | Kind::MaterializedView, Some(_), None) => ways.push(removed(id)),
            _ => {}
        }
    }
    // The new name of a column was already reported with the old one.
    let is_told = |way: &ChangeSplit| used.iter().any(|id| *way == required(id));
    ways.retain(|way| !is_told(way));
    ways
}

/// Whether the whole table is created or dropped.
fn whole(change: &SchemaChange, column: &Id) -> bool {
    change.objects().any(|(id, before, after)| {
        matches!(id.kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView)
            && (&id.schema, &id.name) == (&column.schema, &column.parent)
            && (before.is_none() || after.is_none())
    })
}

/// Whether every new row needs a value for a column.
pub fn needs_value(column: &Object) -> bool {
    column.fact("not null").is_some()
        && ["default", "identity", "generated"].iter().all(|fact| column.fact(fact).is_none())
}

fn is_unique(object: &Object) -> bool {
    let definition = object.fact("definition").unwrap_or_default();
    ["CREATE UNIQUE INDEX", "UNIQUE", "PRIMARY KEY"].iter().any(|word| definition.starts_with(word))
}

/// The column of the same table that a column has become.
fn successor<'a>(change: &'a SchemaChange, columns: ColumnChanges<'_>, old: &Id) -> Option<&'a Object> {
    let new = columns.renamed.get(old).filter(|new| (&new.schema, &new.parent) == (&old.schema, &old.parent))?;
    change.objects().find(|(id, ..)| *id == new)?.2
}

/// The table of a column, written for a statement.
pub fn table_of(id: &Id) -> String {
    qualified(&id.schema, &id.parent)
}

fn qualified(schema: &str, name: &str) -> String {
    if schema == "public" { plain(name) } else { format!("{}.{}", plain(schema), plain(name)) }
}

/// A name for a migration, with only the letters that a file name can have.
fn snake(text: &str) -> String {
    let text = text.replace('"', "").to_lowercase();
    text.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

/// A quoted argument of a command.
fn word(text: &str) -> String {
    let quoted = quote(text);
    if quoted == text { format!("'{text}'") } else { quoted }
}

/// A type as `cargo xtask new` accepts it, with a colon where SQL has parentheses.
fn typed(of: &str) -> String {
    let of = of.replace("character varying", "varchar").replace("timestamp with time zone", "timestamptz");
    match of.split_once('(') {
        Some((name, rest)) => format!("{name}:{}", rest.replace(')', "").replace(", ", ",")),
        None => of,
    }
}

/// The value of the new column: the expression from the script, if there is one.
fn value(old: &Id, columns: ColumnChanges<'_>) -> String {
    let own = columns.using.get(&(old.parent.to_string(), old.name.to_string()));
    own.map_or_else(|| plain(&old.name), |text| text.replace('`', "'"))
}

fn beside(table: &str, old: &str, new: &str, of: &str, value: &str, change: String) -> ChangeSplit {
    let (old_name, new_name) = (plain(old), plain(new));
    let (added, dropped) = (snake(&format!("add_{new}_to_{table}")), snake(&format!("drop_{old}_of_{table}")));
    let (column, old_column) =
        (word(&format!("{table}.{new_name}:{}:null", typed(of))), word(&format!("{table}.{old_name}")));
    let steps = vec![
        format!("expand: `cargo xtask new {added} --add-column {column}`"),
        format!(
            "deploy code that writes {old_name} and {new_name} (or a trigger that copies), and still reads {old_name}"
        ),
        format!(
            "backfill, in batches: `UPDATE {table} SET {new_name} = {value} \
             WHERE {new_name} IS NULL AND {old_name} IS NOT NULL`"
        ),
        format!("switch: deploy code that reads {new_name}, then code that no longer writes {old_name}"),
        format!("contract: `cargo xtask new {dropped} --drop-column {old_column}`"),
    ];
    ChangeSplit { change, steps }
}

fn renamed(old: &Id, new: &Object, columns: ColumnChanges<'_>) -> ChangeSplit {
    let (table, of) = (table_of(old), new.fact("type").unwrap_or("text"));
    let change = format!("{table}.{} is renamed to {}", plain(&old.name), plain(&new.id.name));
    beside(&table, &old.name, &new.id.name, of, &value(old, columns), change)
}

fn retyped(old: &Object, new: &Object, columns: ColumnChanges<'_>) -> ChangeSplit {
    let (table, name) = (table_of(&new.id), &*new.id.name);
    let (was, is) = (old.fact("type").unwrap_or_default(), new.fact("type").unwrap_or_default());
    let change = format!("{table}.{} gets type {is} instead of {was}", plain(name));
    beside(&table, name, &format!("{name}_new"), is, &value(&old.id, columns), change)
}

fn dropped(id: &Id) -> ChangeSplit {
    let (table, column) = (table_of(id), plain(&id.name));
    let name = snake(&format!("drop_{}_of_{table}", id.name));
    let typed = word(&format!("{table}.{column}"));
    ChangeSplit {
        change: format!("{table}.{column} is dropped"),
        steps: vec![
            format!("switch: deploy code of every consumer that neither reads nor writes {table}.{column}"),
            format!("contract, in a later merge: `cargo xtask new {name} --drop-column {typed}`"),
        ],
    }
}

fn required(id: &Id) -> ChangeSplit {
    let (table, column) = (table_of(id), plain(&id.name));
    ChangeSplit {
        change: format!("every new row of {table} needs {column}"),
        steps: vec![
            format!(
                "expand: make {column} nullable, or give it a default: \
                 `ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT …`"
            ),
            format!("switch: deploy code of every consumer that sets {column}"),
            format!("backfill, in batches, the rows of {table} where it is null"),
            format!("contract, in a later merge: `ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL`"),
        ],
    }
}

fn unguarded(id: &Id) -> ChangeSplit {
    let (table, name) = (table_of(id), plain(&id.name));
    ChangeSplit {
        change: format!("{name} of {table} is dropped, and with it the unique index that ON CONFLICT needs"),
        steps: vec![
            format!(
                "expand: create the unique index that replaces it: `cargo xtask new NAME --add-index {} --unique`",
                word(&format!("{table}.COLUMNS"))
            ),
            "switch: deploy code of every consumer whose ON CONFLICT names the columns of the new index".to_owned(),
            format!("contract, in a later merge: drop {name}"),
        ],
    }
}

fn removed(id: &Id) -> ChangeSplit {
    let name = qualified(&id.schema, &id.name);
    let word = id.kind.as_str().to_uppercase();
    if !matches!(id.kind, Kind::Table | Kind::View | Kind::MaterializedView) {
        let name = format!("{name}({})", id.signature);
        return ChangeSplit {
            change: format!("{} {name} goes", id.kind.as_str()),
            steps: vec![
                format!("switch: deploy code of every consumer that no longer calls {name}"),
                format!("contract, in a later merge: `DROP {word} {name}`"),
            ],
        };
    }
    ChangeSplit {
        change: format!("{} {name} is dropped or renamed", id.kind.as_str()),
        steps: vec![
            format!(
                "expand: keep {name}; if it is only renamed, create a view with the old name: \
                 `CREATE VIEW {name} AS SELECT …`"
            ),
            format!("switch: deploy code of every consumer that no longer uses {name}"),
            format!("contract, in a later merge: `DROP {word} {name}`"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_whatever_the_names_are() {
        assert_eq!(
            (snake("drop_It's_of_\"a b\".c"), word("a.b")),
            ("drop_it_s_of_a_b_c".to_owned(), "'a.b'".to_owned())
        );
        assert_eq!(word("a.\"it's\""), r#"'a."it'\''s"'"#);
    }
}
