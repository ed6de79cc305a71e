//! Which queries a change of the schema can affect. Pure functions, which include too many queries rather than
//! too few.
//!
//! A name in a query changes its meaning only if an object with that name is added, removed or changed, and the
//! text of the query contains the name, or that of an object of the type. Casts and operators are used without
//! a name, so if they change, every query can be affected.

use std::collections::{BTreeMap, BTreeSet};

use migrate_schema::{Id, Kind, Object, SchemaChange};

/// The queries that a change can affect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AffectedQueries {
    /// All of them.
    All,
    /// Those that contain one of these names, each as its words in lower case.
    Names(BTreeSet<Vec<String>>),
}

/// The objects that are of a type, or have a parameter of it: the names of tables and functions, by the name of
/// the type. The row type of a table has the table's name.
pub(super) type TypeDependents = BTreeMap<String, BTreeSet<String>>;

/// Stands for casts and operators, which a query uses without a name.
pub(super) const UNNAMED: &str = "*";

impl AffectedQueries {
    /// The queries that a change can affect.
    pub(super) fn by(change: &SchemaChange, types: &TypeDependents) -> Self {
        let mut names = BTreeSet::new();
        for (id, ..) in change.objects() {
            match scope(id) {
                ChangeScope::Name(name) => {
                    let others = types.get(name).into_iter().flatten().map(String::as_str);
                    for name in others.chain([name]) {
                        if name == UNNAMED {
                            return Self::All;
                        }
                        names.insert(words(name).collect());
                    }
                }
                ChangeScope::Everything => return Self::All,
                ChangeScope::Nothing => {}
            }
        }
        Self::Names(names)
    }

    /// The queries that contain one of these names.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Names(names.into_iter().map(|name| words(name).collect()).collect())
    }

    /// Whether a query with this text is one of them.
    pub(super) fn has(&self, text: &str) -> bool {
        let Self::Names(names) = self else { return true };
        if names.is_empty() {
            return false;
        }
        let own: BTreeSet<String> = words(text).collect();
        // A name that is written with Unicode escapes cannot be found, so such queries are included.
        own.contains("u") && text.to_lowercase().contains("u&")
            || names.iter().any(|name| name.iter().all(|word| own.contains(word)))
    }
}

/// The table that a foreign key references, without its schema.
pub(super) fn referred(key: &Object) -> Option<&str> {
    let definition = key.fact("definition").filter(|text| text.starts_with("FOREIGN KEY"))?;
    let target = definition.split_once(" REFERENCES ")?.1;
    let target = target.split_once('(').map_or(target, |(table, _)| table);
    Some(match target.strip_suffix('"') {
        Some(quoted) => quoted.rsplit_once(".\"").map_or(quoted, |(_, table)| table),
        None => target.rsplit('.').next().unwrap_or(target),
    })
}

enum ChangeScope<'a> {
    Name(&'a str),
    Everything,
    Nothing,
}

fn scope(id: &Id) -> ChangeScope<'_> {
    use Kind::*;
    match id.kind {
        Table | ForeignTable | View | MaterializedView | Sequence | Function | Procedure | Aggregate | Type
        | Domain => ChangeScope::Name(&id.name),
        Column | Attribute | Constraint | Index | Trigger | Rule | Policy => ChangeScope::Name(&id.parent),
        Statistics | EventTrigger | Publication | Subscription | DefaultPrivileges => ChangeScope::Nothing,
        _ => ChangeScope::Everything,
    }
}

/// The words of a text in lower case, without anything between them.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_spelt() {
        let names = |all: &[&'static str]| AffectedQueries::of(all.iter().copied());
        let touched = names(&["shipments", "Odd \"name"]);
        for text in ["SELECT 1 FROM Public.\"shipments\"", "select 'shipments'::regclass", "TABLE \"Odd \"\"name\""] {
            assert!(touched.has(text), "{text}");
        }
        assert!(touched.has("SELECT 1 FROM U&\"sh\\0069pments\""));
        assert!(!touched.has("SELECT 1 FROM shipments_old, u") && !names(&[]).has("SELECT u & 1"));
        assert!(AffectedQueries::All.has(""));
    }
}
