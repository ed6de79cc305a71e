//! Rows that migrations copy before they drop what has them: nothing is dropped before that has run.

use std::collections::BTreeSet;

use super::fill::{Filling, about};
use super::steps::undecided;
use super::update::Update;
use crate::ident::catalog_name;
use crate::schema::ddl::{Hazard, Statement};
use crate::schema::{Id, Kind};
use crate::sql::tokens;

impl Filling<'_> {
    /// Puts what reads rows before the statements that drop them. An `UPDATE` of columns that are still to be added has not
    /// run; of any other statement nobody knows, and it stops those who paste what follows.
    pub(super) fn keep(&mut self, own: &[String]) {
        for text in own {
            let words = tokens(text);
            // What changes a table is compared.
            if self.is_done(text) || words.first().is_some_and(|word| word.eq_ignore_ascii_case("alter")) {
                continue;
            }
            let mut names: BTreeSet<String> = words.iter().filter_map(|word| catalog_name(word)).collect();
            if words.contains(&"*") {
                names.extend(self.columns_of(&names));
            }
            if !self.done.iter().any(|one| loses(one, &names)) {
                continue;
            }
            let dropped = self.drops_of(&names);
            let copy = self.open_update(text).unwrap_or_else(|| undecided(text));
            self.done.push(copy);
            self.done.extend(dropped);
        }
    }

    /// Whether a statement of the migrations is among those that are done.
    fn is_done(&self, text: &str) -> bool {
        let head = Update::of(text).map(|update| update.head());
        head.is_some_and(|head| self.done.iter().any(|one| one.text.starts_with(head)))
    }

    /// The columns of tables with these names.
    fn columns_of(&self, tables: &BTreeSet<String>) -> Vec<String> {
        let is_it = |id: &Id| id.kind == Kind::Column && tables.contains(&*id.parent);
        let columns = self.before.schema.objects().filter(|one| is_it(&one.id));
        columns.map(|one| one.id.name.to_string()).collect()
    }

    /// An `UPDATE` all of whose columns are still to be added.
    fn open_update(&self, text: &str) -> Option<Statement> {
        let update = Update::of(text)?;
        let columns = self.after.objects().filter(|one| one.id.kind == Kind::Column && update.sets(&one.id));
        let columns: Vec<_> = columns.collect();
        let is_new = |id: &Id| self.before.schema.get(id).is_none();
        let first = columns.first().filter(|_| columns.len() == update.count())?;
        columns.iter().all(|one| is_new(&one.id)).then(|| about(first, text.trim().trim_end_matches(';').to_owned()))
    }
}

/// Whether a statement drops rows, or values, of something with one of these names.
fn loses(statement: &Statement, names: &BTreeSet<String>) -> bool {
    let is_loss = statement.hazards.iter().any(|hazard| matches!(hazard, Hazard::DataLoss(_)));
    is_loss && statement.object.as_ref().is_some_and(|id| names.contains(&*id.name))
}
