//! Finds whether a conflicting or missing object was created or removed by somebody else; only if that is certain.

use migrate_schema::{Id, Kind};

use super::blame::{adds, identity, mentions};
use crate::audit::DdlRecord;
use crate::source::Migration;

/// Whether an object exists unexpectedly or is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExistenceFault {
    /// The object already exists.
    Exists,
    /// The object does not exist.
    Missing,
}

/// An object as named in a server message: its name and its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportedName {
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
}

impl ExistenceFault {
    /// The meaning of an SQLSTATE for an object.
    pub(crate) fn of(sqlstate: &str) -> Option<Self> {
        match sqlstate {
            "42P07" | "42710" | "42701" | "42P06" | "42723" => Some(Self::Exists),
            "42P01" | "42703" | "42704" | "42883" | "3F000" => Some(Self::Missing),
            _ => None,
        }
    }
}

impl ReportedName {
    /// Reads the names from a message in any language; `None` if it quotes none.
    pub(crate) fn read(message: &str) -> Option<Self> {
        let mut parts = message.split(['"', '«', '»', '„', '“', '”']).skip(1).step_by(2).map(|part| part.trim());
        let written = parts.next().filter(|name| !name.is_empty())?;
        let parent = parts.next().map(str::to_owned);
        // `relation "public.orders" does not exist` has the schema inside the quotes.
        let name = if parent.is_none() { written.rsplit('.').next().unwrap_or(written) } else { written };
        Some(Self { name: name.to_owned(), parent })
    }

    /// Whether the name may refer to this object.
    pub(crate) fn fits(&self, id: &Id) -> bool {
        use Kind::{Attribute, Column, Constraint, Policy, Rule, Trigger};
        let is_part = matches!(id.kind, Attribute | Column | Constraint | Policy | Rule | Trigger);
        *self.name == *id.name && self.parent.as_ref().map_or(!is_part, |parent| **parent == *id.parent)
    }

    fn is_in(&self, text: &str) -> bool {
        mentions(text, &self.name) && self.parent.as_ref().is_none_or(|parent| mentions(text, parent))
    }

    /// Whether a record is about this object.
    fn is_about(&self, record: &DdlRecord) -> bool {
        let Some(object) = record.object.as_deref() else { return false };
        let object = object.replace('"', "");
        let own = |name: &str| {
            object == name || object.ends_with(&format!(".{name}")) || object.contains(&format!(".{name}("))
        };
        match &self.parent {
            // A column is recorded with its table; a trigger as `name on table`.
            Some(parent) => {
                own(&format!("{parent}.{}", self.name)) || object.starts_with(&format!("{} on ", self.name))
            }
            None => own(&self.name),
        }
    }
}

/// The endings of names that a server generates.
const MADE_UP: [&str; 7] = ["_pkey", "_key", "_seq", "_idx", "_fkey", "_check", "_excl"];

/// Whether a migration may have created an object with this name. A false positive is harmless: then nothing is
/// reported.
pub(crate) fn may_make(migration: &Migration, named: &ReportedName) -> bool {
    let Some(script) = migration.up_script() else { return true };
    let text = script.text();
    let is_made_up = || {
        let ends =
            MADE_UP.iter().any(|ending| named.name.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(ending));
        ends && named.name.match_indices('_').any(|(at, _)| mentions(text, &named.name[..at]))
    };
    mentions(text, &named.name) || is_made_up()
}

/// The migration that certainly created an object that no later migration removed, as far as the texts show.
pub(crate) fn made_by<'a>(applied: &'a [&'a Migration], named: &ReportedName) -> Option<&'a Migration> {
    let mut maker = None;
    for &migration in applied {
        let script = migration.up_script()?;
        for statement in script.statements() {
            let text = &script.text()[statement.span.clone()];
            let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
            let has = |word: &str| mentions(text, word);
            let is_opaque = first == "do" || first == "call" || (first == "select" && text.contains('('));
            if is_opaque {
                // Its text does not show what it does: it may remove anything.
                maker = None;
            } else if named.is_in(text) || mentions(text, &named.name) {
                let removes = has("drop")
                    || has("rename")
                    || has("temp")
                    || has("temporary")
                    || (first == "alter" && has("schema"));
                let makes = named.is_in(text) && (first == "create" || (first == "alter" && has("add")));
                maker = match (removes, makes) {
                    (true, _) => None,
                    (false, true) => maker.or(Some(migration)),
                    (false, false) => maker,
                };
            } else if has("drop") && has("cascade") {
                maker = None;
            }
        }
    }
    maker
}

/// The record of the creation or removal of an object, if that is the last thing that happened to it and no migration
/// did it.
pub(crate) fn culprit<'a>(
    fault: ExistenceFault,
    named: &ReportedName,
    id: Option<&Id>,
    records: &'a [DdlRecord],
) -> Option<&'a DdlRecord> {
    let same = |record: &DdlRecord| match id {
        Some(id) => record.object.as_deref().is_some_and(|object| bare(object) == bare(&identity(id))),
        None => named.is_about(record),
    };
    let comes = |record: &DdlRecord| record.event == "ddl_command_end" && !record.command.starts_with("COMMENT");
    let makes = |record: &&DdlRecord| same(record) && comes(record) && !record.command.starts_with("ALTER");
    let removes = |record: &&DdlRecord| record.event == "sql_drop" && same(record);
    let alters = |record: &&DdlRecord| {
        let of_parent = named.parent.as_deref().is_some_and(|parent| {
            record.object.as_deref().is_some_and(|object| object.replace('"', "").rsplit('.').next() == Some(parent))
        });
        of_parent && comes(record) && record.statement.as_deref().is_some_and(|text| adds(text, &named.name))
    };
    // An existing object was created after its last removal, and a missing object was removed after its last creation.
    let last = records.iter().rev().find(|one| match fault {
        ExistenceFault::Exists => makes(one) || alters(one),
        ExistenceFault::Missing => removes(one),
    });
    last.filter(|record| record.migration.is_none())
}

fn bare(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && *c != '"').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_out_of_messages() {
        let read = |message| ReportedName::read(message).map(|named| (named.name, named.parent));
        let both = |name: &str, parent: &str| Some((name.to_owned(), Some(parent.to_owned())));
        assert_eq!(read("relation \"orders\" already exists"), Some(("orders".to_owned(), None)));
        assert_eq!(read("Relation »orders« existiert bereits"), Some(("orders".to_owned(), None)));
        assert_eq!(read("la relation « orders » existe déjà"), Some(("orders".to_owned(), None)));
        assert_eq!(read("relation \"public.orders\" does not exist"), Some(("orders".to_owned(), None)));
        assert_eq!(read("column \"a\" of relation \"b\" already exists"), both("a", "b"));
        assert_eq!(read("column t.x does not exist"), None);
    }
}
