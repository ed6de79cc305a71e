//! Keeps the copies that migrations make of rows before they drop them: nothing is dropped before they have run.

use std::collections::BTreeSet;

use migrate_base::ident::catalog_name;
use migrate_base::sql::tokens;
use migrate_schema::ddl::{DdlStatement, Hazard};
use migrate_schema::{Id, Kind};

use super::fill::{FillQueue, about};
use super::steps::undecided;
use super::update::UpdateStatement;

impl FillQueue<'_> {
    /// Places statements that read rows before the statements that drop these rows. A statement that writes to a column
    /// or a table that does not exist yet cannot have run; for any other statement this is unknown, and a stop is
    /// inserted for users who paste the statements.
    pub(super) fn keep(&mut self, own: &[String]) {
        for text in own {
            let words = tokens(text);
            // Changes of tables are found by comparing schemas.
            if self.is_done(text) || words.first().is_some_and(|word| word.eq_ignore_ascii_case("alter")) {
                continue;
            }
            let mut names: BTreeSet<String> = words.iter().filter_map(|word| catalog_name(word)).collect();
            if words.contains(&"*") {
                names.extend(self.columns_of(&names));
            }
            // It is unknown what code reads.
            if words.first().is_some_and(|word| ["do", "call"].iter().any(|code| word.eq_ignore_ascii_case(code))) {
                names.extend(self.done.iter().filter_map(|one| one.object.as_ref()).map(|id| id.name.to_string()));
            }
            if !self.done.iter().any(|one| loses(one, &names)) {
                continue;
            }
            let dropped = self.drops_of(&names);
            let copy = self.not_run(text).unwrap_or_else(|| undecided(text));
            self.done.push(copy);
            self.done.extend(dropped);
        }
    }

    /// Whether a statement of the migrations is already in the processed list.
    fn is_done(&self, text: &str) -> bool {
        let head = UpdateStatement::of(text).map(|update| update.head());
        head.is_some_and(|head| self.done.iter().any(|one| one.text.starts_with(head)))
    }

    /// The columns of the tables with these names.
    fn columns_of(&self, tables: &BTreeSet<String>) -> Vec<String> {
        let is_it = |id: &Id| id.kind == Kind::Column && tables.contains(&*id.parent);
        let columns = self.before.schema.objects().filter(|one| is_it(&one.id));
        columns.map(|one| one.id.name.to_string()).collect()
    }

    /// Returns the statement if it cannot have run, because it writes to a column or a table that does not exist yet.
    fn not_run(&self, text: &str) -> Option<DdlStatement> {
        let update = UpdateStatement::of(text);
        let into = into(text);
        let is_written = |id: &Id| match id.kind {
            Kind::Column => update.as_ref().is_some_and(|update| update.sets(id)),
            Kind::Table => into.as_ref().is_some_and(|(schema, name)| {
                **name == *id.name && schema.as_ref().is_none_or(|schema| **schema == *id.schema)
            }),
            _ => false,
        };
        let is_new = |id: &Id| self.before.schema.get(id).is_none() && self.after.get(id).is_some();
        let written = self.after.objects().find(|one| is_written(&one.id) && is_new(&one.id))?;
        Some(about(written, text.trim().trim_end_matches(';').to_owned()))
    }
}

/// The table of an `INSERT`, with its schema if written.
fn into(text: &str) -> Option<(Option<String>, String)> {
    let words = tokens(text);
    let is = |at: usize, word: &str| words.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word));
    let name = |at: usize| catalog_name(words.get(at)?);
    match is(0, "insert") && is(1, "into") {
        true if is(3, ".") => Some((name(2), name(4)?)),
        true => Some((None, name(2)?)),
        false => None,
    }
}

/// Whether a statement drops rows or values of an object with one of these names.
fn loses(statement: &DdlStatement, names: &BTreeSet<String>) -> bool {
    let is_loss = statement.hazards.iter().any(|hazard| matches!(hazard, Hazard::DataLoss(_)));
    is_loss && statement.object.as_ref().is_some_and(|id| names.contains(&*id.name))
}
