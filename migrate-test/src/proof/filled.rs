//! A database with rows, and what kind of rows are tried where the first ones are in the way.
//! What is done on it is left to others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_core::ident::{first_name, literals};
use migrate_core::runner::Touched;
use migrate_core::schema::{Change, Id, Kind, Object, Schema};
use migrate_core::source::{Migration, Script};
use migrate_core::{CodeMigrations, Error};
use proptest::test_runner::TestRunner;

use super::stage::Ground;
use super::{ProofError, Rests};
use crate::generate::{self, Reach, Reading, Required, Uses, Wanted};
use crate::rows::{Rows, TableName, holders, table_name};

/// A table with more rows gets no others for a column that came later.
const MOST_ROWS: usize = 200;

/// A database with rows.
pub(crate) struct Filled {
    /// Where the rows come from.
    runner: TestRunner,
    pub(crate) ground: Ground,
    pub(crate) rows: Rows,
    /// The tables that could not be filled the last time.
    given_up: BTreeSet<String>,
    /// The columns that each table had when rows were drawn for it.
    drawn: BTreeMap<TableName, BTreeSet<Box<str>>>,
    /// The tables whose columns changed since; `None` where that may be all.
    changed: Option<BTreeSet<TableName>>,
    learnt: Learnt,
}

/// What kind of rows are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct How {
    /// How far values go.
    reach: Reach,
    /// None that breaks a key or a check which the migration adds.
    pub(crate) fitting: bool,
    /// Only texts and documents that can be read as the migration reads them.
    pub(super) readable: bool,
    /// With rows that the statements of the migration take and change.
    aimed: bool,
    /// Which of the rows that were there are drawn again.
    pub(super) redraw: Redraw,
}

/// Which rows are drawn again for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redraw {
    /// Those of tables that the migration changes, where rows that fit are not enough.
    Changed,
    /// Those of tables that its scripts name as well: what is equal in them may be what has to differ.
    Named,
    All,
}

impl Default for How {
    fn default() -> Self {
        Self { reach: Reach::Extreme, fitting: false, readable: false, aimed: true, redraw: Redraw::Changed }
    }
}

impl How {
    /// What to try after a failure that may say more about the rows than about the migration: a
    /// value that no calculation can take (class 22; 0A000 for infinity as an integer), or rows that were wrong already and are now
    /// found to be (23503 foreign key, 23505 unique, 23514 check, 23P01 exclusion).
    pub(crate) fn after(self, sqlstate: &str, migration: &Migration) -> Option<Self> {
        let plain = self.reach.less().map(|reach| Self { reach, ..self });
        let readable =
            || Some(Self { readable: true, ..self }).filter(|_| !self.readable && !read(migration).is_empty());
        let unaimed = || {
            let redraw = if self.redraw == Redraw::Changed { Redraw::Named } else { self.redraw };
            Some(Self { aimed: false, redraw, ..self }).filter(|_| self.aimed)
        };
        match sqlstate {
            "23503" | "23505" | "23514" | "23P01" if !self.fitting => Some(Self { fitting: true, ..self }),
            // Values that are no extreme ones are different in each row.
            "23505" => match self.redraw {
                Redraw::Changed => Some(Self { reach: Reach::Plain, redraw: Redraw::Named, ..self }),
                Redraw::Named => Some(Self { redraw: Redraw::All, ..self }),
                Redraw::All => unaimed(),
            },
            "23503" | "23514" | "23P01" => unaimed(),
            // A number that is too large says nothing of texts.
            "22003" | "22012" | "0A000" => plain.or_else(readable).or_else(unaimed),
            code if code.starts_with("22") => readable().or(plain).or_else(unaimed),
            _ => None,
        }
    }

    /// What a migration that fails on the first rows, and not on these, is told of.
    pub(crate) fn note(self, why: &str, migration: &Migration) -> String {
        if self.readable {
            let what = read(migration).told();
            return format!("it fails on text that is not {what}: {why}; proven with text that is");
        }
        let rows = match self {
            Self { aimed: false, .. } => "values that its own statements look for",
            Self { redraw: Redraw::Named | Redraw::All, .. } => "values that are equal where it needs different ones",
            Self { fitting: true, .. } => "rows that do not fit what it requires",
            Self { reach: Reach::Plain, .. } => "values with many digits, or empty ones",
            _ => "extreme values",
        };
        format!("it fails on {rows}, and not on others: {why}")
    }
}

/// What the scripts of a migration do with the values of columns.
pub(super) fn read(migration: &Migration) -> Uses {
    let text = |script: Option<&Arc<Script>>| script.map(|script| script.text().to_string()).unwrap_or_default();
    Uses::of_scripts(&text(migration.up_script()), &text(migration.down_script()))
}

impl Filled {
    /// A database at which the first migrations are applied. The same seed draws the same rows.
    pub(crate) async fn at(prefix: &[Arc<Migration>], code: &CodeMigrations, seed: u64) -> Result<Self, ProofError> {
        let ground = Ground::at(prefix, code, true).await?;
        Ok(Self {
            runner: super::runner(seed),
            ground,
            rows: Rows::default(),
            given_up: BTreeSet::new(),
            drawn: BTreeMap::new(),
            changed: None,
            learnt: Learnt::default(),
        })
    }

    /// Puts in the rows of the fixture, and rows into every table that has none. Returns which tables
    /// have rows, and why others have none; or the error of the fixture.
    ///
    /// `before` is the present schema, and `after` the one that the migration makes of it.
    pub(crate) async fn fill(
        &mut self,
        migration: &Migration,
        before: &Schema,
        after: &Schema,
        how: How,
    ) -> Result<Result<Rests, Error>, ProofError> {
        self.read(before, &Touched::Tables(Vec::new())).await?;
        // Whoever writes rows says which ones the migration is to be seen with.
        let mut written = Touched::Tables(Vec::new());
        if let Some(script) = migration.fixture() {
            match self.ground.rehearsal.fixture(migration, script).await {
                Ok(touched) => {
                    self.read(before, &touched).await?;
                    written = touched;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        let (grown, own) = (self.grown(before), read(migration));
        let (mut compared, mut aimed) = (self.compared(before, &own), own.aimed(before));
        let is_ours = |table: &TableName| match &written {
            Touched::Unknown => false,
            Touched::Tables(tables) => !tables.iter().any(|one| one.schema() == table.0 && one.name() == table.1),
        };
        compared.retain(is_ours);
        aimed.retain(|table| how.aimed && is_ours(table));
        let Self { runner, ground, rows, given_up, learnt, .. } = self;
        if !rows.has_empty(before) && grown.is_empty() && compared.is_empty() && aimed.is_empty() {
            return Ok(Ok(Rests::on(before, rows, &[])));
        }
        let uses = learnt.uses(own, before, after, how);
        let wanted = Wanted {
            reach: how.reach,
            strict: how.readable,
            uses: &uses,
            given_up,
            grown: &grown,
            compared: &compared,
            aimed: &aimed,
        };
        let rehearsal = &mut ground.rehearsal;
        let unfilled = if how.fitting {
            let required = Required::put(rehearsal, before, after).await?;
            let unfilled = generate::fill(rehearsal, &required.schema, rows, runner, wanted).await?;
            required.remove(rehearsal).await?;
            unfilled
        } else {
            generate::fill(rehearsal, before, rows, runner, wanted).await?
        };
        self.given_up = unfilled.iter().map(|one| one.table.clone()).collect();
        Ok(Ok(Rests::on(before, &self.rows, &unfilled)))
    }

    /// The tables with a column that no row was drawn for, because it came later: whatever is in it is the same in all
    /// rows, and nobody would see it go. A table whose rows the chain itself brought is left as it is.
    fn grown(&mut self, schema: &Schema) -> BTreeSet<TableName> {
        let mut grown = BTreeSet::new();
        let changed = self.changed.replace(BTreeSet::new());
        for table in holders(schema) {
            let is_meant = |one: &TableName| *one.0 == *table.id.schema && *one.1 == *table.id.name;
            if changed.as_ref().is_some_and(|changed| !changed.iter().any(is_meant)) {
                continue;
            }
            let name = table_name(table);
            let rows = self.rows.table(&name).map_or(0, |rows| rows.rows.len());
            let columns = schema.children(&table.id, Kind::Column).map(|column| column.id.name.clone());
            let columns: BTreeSet<Box<str>> = columns.collect();
            match self.drawn.get(&name) {
                Some(known) if rows > 0 && rows < MOST_ROWS && !columns.is_subset(known) => {
                    grown.insert(name.clone());
                }
                None if rows > 0 => continue,
                _ => {}
            }
            self.drawn.insert(name, columns);
        }
        grown
    }

    /// The tables with a column that a script compares with a constant, which a row should have for the comparison to matter.
    fn compared(&self, schema: &Schema, uses: &Uses) -> BTreeSet<TableName> {
        let is_few = |name: &TableName| {
            self.rows.table(name).is_some_and(|rows| !rows.rows.is_empty() && rows.rows.len() < MOST_ROWS)
        };
        let has = |(name, column, constants): &(TableName, &str, &BTreeSet<String>)| {
            let Some(rows) = self.rows.table(name) else { return true };
            let at = rows.columns.iter().position(|one| one == column);
            let known: BTreeSet<&str> = rows.rows.iter().filter_map(|row| row.get(at?)?.as_deref()).collect();
            constants.iter().all(|one| known.contains(one.as_str()))
        };
        uses.compared(schema).into_iter().filter(|one| is_few(&one.0) && !has(one)).map(|(name, ..)| name).collect()
    }

    /// Remembers what a migration changed: tables with other columns may need rows for them.
    pub(crate) fn follow(&mut self, change: &Change) {
        let Some(changed) = &mut self.changed else { return };
        let is_meant = |id: &Id| id.kind == Kind::Column;
        let columns = change.objects().map(|(id, ..)| id).filter(|id| is_meant(id));
        changed.extend(columns.map(|id| (id.schema.to_string(), id.parent.to_string())));
    }

    /// Reads again what may have changed; `schema` is the present one.
    pub(crate) async fn read(&mut self, schema: &Schema, touched: &Touched) -> Result<(), ProofError> {
        self.rows.refresh(&mut self.ground.rehearsal, schema, touched).await?;
        Ok(())
    }

    /// Goes on with another database, and returns the one before.
    pub(crate) fn replace(&mut self, fresh: Ground) -> Ground {
        self.rows = Rows::default();
        self.changed = None;
        std::mem::replace(&mut self.ground, fresh)
    }
}

/// What the definitions of a schema do with values of columns. Each is read once.
#[derive(Default)]
struct Learnt(BTreeMap<Arc<Id>, (Arc<Object>, Uses)>);

impl Learnt {
    /// What is done by what is there, and by the migration itself.
    fn uses(&mut self, mut own: Uses, before: &Schema, after: &Schema, how: How) -> Uses {
        let mut uses = Uses::default();
        let mut read_before = std::mem::take(&mut self.0);
        for object in before.objects() {
            // What an index or a generated column reads is read when a row is written.
            let is_strict = matches!(object.id.kind, Kind::Index | Kind::Column);
            let text = match object.id.kind {
                Kind::Column => object.fact("generated").and_then(|text| text.split_once(' ')).map(|(_, expr)| expr),
                Kind::Index | Kind::View | Kind::MaterializedView | Kind::Function | Kind::Procedure => {
                    object.fact("definition")
                }
                _ => None,
            };
            let Some(text) = text else { continue };
            let known = read_before.remove(&object.id).filter(|(known, _)| Arc::ptr_eq(known, object));
            let (_, learnt) = known.unwrap_or_else(|| {
                let text = if object.id.kind == Kind::Column { format!("SELECT {text}") } else { text.to_owned() };
                (object.clone(), Uses::of(&text))
            });
            uses.extend(learnt.clone().defined(), is_strict);
            self.0.insert(object.id.clone(), (object.clone(), learnt));
        }
        own.resolve(&|to| labelled(to, after).or_else(|| labelled(to, before)));
        uses.extend(own, how.readable);
        uses
    }
}

/// The values of an enum, or the type of a domain, where a type is one.
fn labelled(to: &str, schema: &Schema) -> Option<Reading> {
    let (first, rest) = first_name(to.trim())?;
    let name = rest.strip_prefix('.').and_then(first_name).map_or(first, |(name, _)| name);
    let is_meant =
        |object: &&Arc<Object>| *object.id.name == *name && matches!(object.id.kind, Kind::Type | Kind::Domain);
    let object = schema.objects().find(is_meant)?;
    let labels = literals(object.fact("labels").unwrap_or_default());
    match labels.is_empty() {
        true => object.fact("type").map(|name| Reading::Type(name.to_owned())),
        false => Some(Reading::Texts(labels)),
    }
}
