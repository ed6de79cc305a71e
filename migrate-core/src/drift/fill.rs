//! Fills rows that lack a required value before the column rejects them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use migrate_base::ident::plain;
use migrate_base::sql::tokens;
use migrate_schema::ddl::{Ddl, DdlStatement, Hazard, in_two_steps};
use migrate_schema::{Id, Kind, Object, Schema, SchemaDescription};

use super::update::UpdateStatement;

/// Inserts, before each statement after which a column rejects rows without a value, a statement that sets the value:
/// the migrations' own (`own` are their statements that change rows), or the default of the column, which is then set
/// first. An `UPDATE` is placed before anything that it reads is dropped, and skips rows that have a value. If no value
/// is known, or an `UPDATE` cannot run twice, the statement gets a note that rows need a value.
pub fn fill(ddl: &mut Ddl, before: &SchemaDescription, after: &Schema, own: &[String]) {
    let updates: Vec<UpdateStatement<'_>> = own.iter().filter_map(|text| UpdateStatement::of(text)).collect();
    let rest = std::mem::take(&mut ddl.statements).into();
    let mut filling = FillQueue { before, after, done: Vec::new(), rest };
    while let Some(statement) = filling.rest.pop_front() {
        let Some(column) = filling.refusing(&statement) else {
            filling.done.push(statement);
            continue;
        };
        let own: Vec<&UpdateStatement<'_>> = updates.iter().filter(|one| one.sets(&column.id)).collect();
        match own.is_empty() {
            true => filling.by_default(column, statement),
            false => filling.by_updates(column, statement, &own),
        }
    }
    filling.keep(own);
    ddl.statements = filling.done;
}

/// A list of statements that is being processed.
pub(super) struct FillQueue<'a> {
    pub(super) before: &'a SchemaDescription,
    pub(super) after: &'a Schema,
    pub(super) done: Vec<DdlStatement>,
    rest: VecDeque<DdlStatement>,
}

impl<'a> FillQueue<'a> {
    /// The column that rejects rows without a value from this statement on, if its table existed before and its rows
    /// may lack the value.
    fn refusing(&self, statement: &DdlStatement) -> Option<&'a Arc<Object>> {
        let (before, after) = (&self.before.schema, self.after);
        let id = statement.object.as_ref().filter(|id| id.kind == Kind::Column)?;
        let column = after.get(id)?;
        let table = [Kind::Table, Kind::ForeignTable].map(|kind| Id::named(kind, &id.schema, &id.parent));
        let is_drawn = ["generated", "identity"].iter().any(|fact| column.fact(fact).is_some());
        let was_free = match before.get(id) {
            Some(old) => old.fact("not null").is_none(),
            // A new column has its default in every row.
            None => column.fact("default").is_none() && !is_drawn && table.iter().any(|id| before.get(id).is_some()),
        };
        let begins =
            has(statement, ["not", "null"]) && !has(statement, ["not", "valid"]) && !has(statement, ["set", "default"]);
        (was_free && begins && column.fact("not null").is_some() && column.fact("generated").is_none())
            .then_some(column)
    }

    /// Sets the default of a column in the rows, if it has one.
    fn by_default(&mut self, column: &Object, mut refusing: DdlStatement) {
        let (of, name) = name_of(&column.id);
        let is_default = |one: &DdlStatement| one.object.as_ref() == Some(&column.id) && has(one, ["set", "default"]);
        let Some(value) = column.fact("default") else {
            refusing.hazards.push(Hazard::Refused(format!(
                "rows of {of}: they have no {name}, and the migrations do not say which value to set"
            )));
            return self.done.push(refusing);
        };
        if let Some(at) = self.rest.iter().position(is_default) {
            return self.rest.insert(at + 1, refusing);
        }
        let update = format!("UPDATE {of} SET {name} = {value} WHERE {name} IS NULL");
        self.done.extend([about(column, update), refusing]);
    }

    /// Sets the value that the migrations set.
    fn by_updates(&mut self, column: &Object, refusing: DdlStatement, own: &[&UpdateStatement<'_>]) {
        let (of, name) = name_of(&column.id);
        let mut refusing = self.nullable_first(refusing);
        let again = |one: &&UpdateStatement<'_>| one.again(&self.before.schema, self.after, &column.id);
        let Some(texts) = own.iter().map(again).collect::<Option<Vec<String>>>() else {
            let own: Vec<&str> = own.iter().flat_map(|one| one.words()).collect();
            refusing.hazards.push(Hazard::Refused(format!(
                "rows of {of}: they have no {name}. The migrations set it together with other changes, which may \
                 already have been made. If they have not, run this by hand first: {}",
                own.join(" ")
            )));
            return self.done.push(refusing);
        };
        let names: BTreeSet<String> = own.iter().flat_map(|one| one.names()).collect();
        self.bring_forward(&column.id, &names);
        let dropped = self.drops_of(&names);
        let new: Vec<String> =
            texts.into_iter().filter(|text| !self.done.iter().any(|one| one.text == *text)).collect();
        self.done.extend(new.into_iter().map(|text| about(column, text)));
        self.done.extend(dropped);
        self.done.push(refusing);
    }

    /// If a statement adds a required column, adds it as nullable; returns the statement that makes it required.
    fn nullable_first(&mut self, refusing: DdlStatement) -> DdlStatement {
        let column = refusing.object.as_ref().and_then(|id| self.after.get(id));
        let Some(column) = column.filter(|_| has(&refusing, ["add", "column"])) else { return refusing };
        let [added, required] = in_two_steps(&self.before.schema, self.after, column);
        self.done.push(DdlStatement { text: added, ..refusing });
        about(column, required)
    }

    /// First adds the other new columns of the table that have one of these names.
    fn bring_forward(&mut self, column: &Id, names: &BTreeSet<String>) {
        for mut one in std::mem::take(&mut self.rest) {
            let is_beside = |id: &Id| id.parent == column.parent && id.schema == column.schema;
            let is_read = one.object.as_ref().is_some_and(|id| is_beside(id) && names.contains(&*id.name));
            if is_read && has(&one, ["add", "column"]) {
                if self.refusing(&one).is_none() {
                    self.done.push(one);
                    continue;
                }
                one = self.nullable_first(one);
            }
            self.rest.push_back(one);
        }
    }

    /// Removes and returns the statements that drop objects with these names, and those that drop what they depend on.
    pub(super) fn drops_of(&mut self, names: &BTreeSet<String>) -> Vec<DdlStatement> {
        let (mut dropped, mut other): (Vec<DdlStatement>, Vec<DdlStatement>) = (Vec::new(), Vec::new());
        for one in std::mem::take(&mut self.done) {
            let is_dropped = |id: &&Arc<Id>| self.before.schema.get(id).is_some() && self.after.get(id).is_none();
            let stays = one.object.as_ref().filter(is_dropped).is_some_and(|id| {
                let mut above = dropped.iter().filter_map(|one| one.object.as_ref());
                let is_in = |other: &Id| id.kind == Kind::Schema && other.schema == id.name;
                names.contains(&*id.name)
                    || above.any(|other| is_in(other) || self.before.users(id).any(|user| user == other))
            });
            if stays { &mut dropped } else { &mut other }.push(one);
        }
        self.done = other;
        dropped
    }
}

/// The table of a column, and the column.
fn name_of(column: &Id) -> (String, String) {
    (format!("{}.{}", plain(&column.schema), plain(&column.parent)), plain(&column.name))
}

pub(super) fn about(column: &Object, text: String) -> DdlStatement {
    DdlStatement { object: Some(column.id.clone()), ..DdlStatement::of(text) }
}

/// Whether a statement contains these two words next to each other.
fn has(statement: &DdlStatement, two: [&str; 2]) -> bool {
    tokens(&statement.text)
        .windows(2)
        .any(|pair| pair.iter().zip(two).all(|(one, word)| one.eq_ignore_ascii_case(word)))
}
