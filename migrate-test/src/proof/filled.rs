//! A database with rows. Other modules decide what is done on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, literals};
use migrate_core::runner::WrittenTables;
use migrate_core::{CodeMigrations, Error, Migration};
use migrate_schema::{Id, Kind, Object, Schema, SchemaChange};
use proptest::test_runner::TestRunner;

use super::how::{RowKind, read, read_for_up};
use super::scope::RelevantTables;
use super::stage::ChainDatabase;
use super::{ProofBasis, ProofError};
use crate::generate::{self, AddedConstraints, ColumnUses, RowRequest, TextReading, ValueNarrowing};
use crate::rows::{DatabaseRows, TableName, holders, table_name};

/// A table with more rows than this gets no additional rows for a column that was added later.
const MOST_ROWS: usize = 1000;

/// A database with rows.
pub(crate) struct FilledDatabase {
    /// The source of random values.
    runner: TestRunner,
    pub(crate) ground: ChainDatabase,
    pub(crate) rows: DatabaseRows,
    /// The tables that could not be filled the last time.
    given_up: BTreeSet<String>,
    /// The columns that each table had when its rows were drawn.
    drawn: BTreeMap<TableName, BTreeSet<Box<str>>>,
    /// The tables whose columns have changed since then; `None` if that may be all of them.
    changed: Option<BTreeSet<TableName>>,
    /// The tables whose rows have plain values because a migration refused others. They get more rows.
    poor: BTreeSet<TableName>,
    /// The tables into which the chain itself inserts rows.
    pub(super) seeded: BTreeSet<TableName>,
    /// The tables that are relevant for the next migration.
    pub(crate) scope: RelevantTables,
    /// The tables that have only a few rows because no migration has used them yet.
    pub(super) few: BTreeSet<TableName>,
    learnt: DefinitionUses,
}

impl FilledDatabase {
    /// A database with the first migrations applied. The same seed draws the same rows.
    pub(crate) async fn at(prefix: &[Arc<Migration>], code: &CodeMigrations, seed: u64) -> Result<Self, ProofError> {
        let ground = ChainDatabase::at(prefix, code, true).await?;
        Ok(Self {
            runner: super::runner(seed),
            ground,
            rows: DatabaseRows::default(),
            given_up: BTreeSet::new(),
            drawn: BTreeMap::new(),
            changed: None,
            poor: BTreeSet::new(),
            seeded: BTreeSet::new(),
            scope: RelevantTables::default(),
            few: BTreeSet::new(),
            learnt: DefinitionUses::default(),
        })
    }

    /// Inserts the rows of the fixture, and rows into every table that has none. Returns which tables have
    /// rows, and why others have none; or the error of the fixture.
    ///
    /// `before` is the current schema, and `after` the schema once the migration is applied.
    pub(crate) async fn fill(
        &mut self,
        migration: &Migration,
        before: &Schema,
        after: &Schema,
        how: &RowKind,
    ) -> Result<Result<ProofBasis, Error>, ProofError> {
        self.read(before, &WrittenTables::Tables(Vec::new())).await?;
        // Whoever writes a fixture chooses the rows that the migration is tested with.
        let mut written = WrittenTables::Tables(Vec::new());
        if let Some(script) = migration.fixture() {
            match self.ground.rehearsal.fixture(migration, script).await {
                Ok(touched) => {
                    self.read(before, &touched).await?;
                    written = touched;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        let is_ours = |table: &TableName| match &written {
            WrittenTables::Unknown => false,
            WrittenTables::Tables(tables) => !tables.iter().any(|one| one.schema() == table.0 && one.name() == table.1),
        };
        let poor = std::mem::take(&mut self.poor);
        let own = if how.matched { read_for_up(migration) } else { read(migration) };
        let mut grown = self.grown(before, is_ours);
        let near = self.scope.tables(migration, before);
        let is_near = |table: &TableName| near.as_ref().is_none_or(|near| near.contains(table));
        let (met, few): (BTreeSet<_>, _) = std::mem::take(&mut self.few).into_iter().partition(|one| is_near(one));
        grown.extend(poor.iter().chain(&met).filter(|table| self.has_few(table)).cloned());
        // Tables that are irrelevant for this migration are filled when a migration needs them.
        self.few = few.into_iter().chain(grown.extract_if(.., |table| !is_near(table))).collect();
        grown.retain(|table| how.beside || !self.seeded.contains(table));
        let (mut compared, mut aimed) = (self.compared(before, &own), own.aimed(before));
        let is_open =
            |table: &TableName| is_near(table) && is_ours(table) && (how.beside || !self.seeded.contains(table));
        compared.retain(is_open);
        aimed.retain(|table| how.aimed && is_open(table));
        let matched = if how.matched { own.matched(before) } else { BTreeSet::new() };
        let empty = |table: &TableName| self.rows.table(table).is_none_or(|rows| rows.rows.is_empty());
        let drawn = holders(before).map(table_name);
        let is_drawn =
            |table: &TableName| empty(table) || [&grown, &compared, &aimed].iter().any(|tables| tables.contains(table));
        let mut drawn: BTreeSet<_> = drawn.filter(is_drawn).collect();
        let full = self.full(before);
        let is_aside = |table: &&TableName| !is_near(table) && empty(table) && is_ours(table);
        let aside: BTreeSet<TableName> = drawn.iter().filter(is_aside).cloned().collect();
        self.few.extend(aside.iter().cloned());
        if drawn.is_empty() {
            let rests = ProofBasis::on(before, &self.rows, &[]);
            return Ok(Ok(ProofBasis { narrowed: full, ..rests }));
        }
        let Self { runner, ground, rows, given_up, seeded, learnt, .. } = self;
        let uses = learnt.uses(own, before, after, how);
        let narrowed = how.narrowed(before);
        let narrow =
            narrowed.as_ref().map(|columns| ValueNarrowing { reach: how.reach, strict: how.readable, columns });
        let (grown, compared, aimed, matched) = (&grown, &compared, &aimed, &matched);
        let aside = &aside;
        let wanted = RowRequest { narrow, uses: &uses, given_up, grown, seeded, compared, aimed, matched, aside };
        let rehearsal = &mut ground.rehearsal;
        let unfilled = if how.fitting {
            let required = AddedConstraints::put(rehearsal, before, after).await?;
            let unfilled = generate::fill(rehearsal, &required.schema, rows, runner, wanted).await?;
            required.remove(rehearsal).await?;
            unfilled
        } else {
            generate::fill(rehearsal, before, rows, runner, wanted).await?
        };
        self.given_up = unfilled.iter().map(|one| one.table.clone()).collect();
        let mut rests = ProofBasis::on(before, &self.rows, &unfilled);
        drawn.retain(|table| narrowed.as_ref().is_some_and(|narrowed| narrowed.has_table(table)));
        rests.narrowed.extend(narrowed.iter().flat_map(|narrowed| narrowed.told(before, &drawn)));
        let is_refused = |table: &&TableName| self.given_up.contains(&format!("{}.{}", table.0, table.1));
        let still = poor.into_iter().filter(|table| is_refused(&table) && self.has_few(table));
        rests.narrowed.extend(still.map(|table| format!("{}.{}", table.0, table.1)).chain(full));
        let is_own = |table: &&TableName| !how.beside || is_refused(table);
        let own: Vec<TableName> = self.seeded.iter().filter(is_own).cloned().collect();
        rests.own = own.iter().map(|table| format!("{}.{}", table.0, table.1)).collect();
        self.poor = drawn;
        if !how.beside {
            self.poor.extend(own);
        }
        Ok(Ok(rests))
    }

    /// Whether a table has rows, but not too many to add more.
    fn has_few(&self, table: &TableName) -> bool {
        self.rows.table(table).is_some_and(|rows| !rows.rows.is_empty() && rows.rows.len() < MOST_ROWS)
    }

    /// Marks these tables: their rows are less varied than they could be.
    pub(super) fn impoverish(&mut self, is_poor: impl Fn(&TableName) -> bool) {
        self.poor.extend(self.drawn.keys().filter(|table| is_poor(table)).cloned());
    }

    /// The tables with only a few rows that the last script used nevertheless; all such tables if that is not
    /// known.
    pub(super) fn missed(&self) -> BTreeSet<TableName> {
        let used = self.ground.rehearsal.used();
        let is_used = |table: &&TableName| {
            used.is_none_or(|used| used.iter().any(|one| one.schema() == table.0 && one.name() == table.1))
        };
        self.few.iter().filter(is_used).cloned().collect()
    }

    /// Treats these tables as relevant for the migration, so that they get more rows.
    pub(super) fn widen(&mut self, missed: &BTreeSet<TableName>) {
        self.scope.widen(missed);
        self.few.retain(|table| !missed.contains(table));
        self.impoverish(|table| missed.contains(table));
    }

    /// Whether some tables will get more rows because theirs are not varied enough.
    pub(super) fn is_poor(&self) -> bool {
        self.poor.iter().any(|table| self.has_few(table))
    }

    /// The tables with a column that no row was drawn for, because it was added later or because the chain
    /// itself inserted the rows. Such a column may have the same value in all rows, and a loss would go
    /// unnoticed.
    fn grown(&mut self, schema: &Schema, is_ours: impl Fn(&TableName) -> bool) -> BTreeSet<TableName> {
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
                Some(known) if rows > 0 && !columns.is_subset(known) => {
                    if rows >= MOST_ROWS {
                        continue;
                    }
                    grown.insert(name.clone());
                }
                None if rows > 0 && !is_ours(&name) => continue,
                None if rows > 0 => {
                    self.seeded.insert(name.clone());
                    grown.insert(name.clone());
                }
                _ => {}
            }
            self.drawn.insert(name, columns);
        }
        grown
    }

    /// The columns that were added to tables with too many rows, and that have no drawn values there.
    fn full(&self, schema: &Schema) -> Vec<String> {
        let of = |(table, known): (&TableName, &BTreeSet<Box<str>>)| {
            let id = Id::named(Kind::Table, &table.0, &table.1);
            let columns = schema.children(&id, Kind::Column).filter(|column| !known.contains(&column.id.name));
            columns.map(|column| format!("{}.{}.{}", table.0, table.1, column.id.name)).collect::<Vec<_>>()
        };
        let is_full = |table: &TableName| self.rows.table(table).is_some_and(|rows| rows.rows.len() >= MOST_ROWS);
        self.drawn.iter().filter(|(table, _)| is_full(table)).flat_map(of).collect()
    }

    /// The tables with a column that a script compares with a constant. A row should have that constant, so
    /// that the comparison matters.
    fn compared(&self, schema: &Schema, uses: &ColumnUses) -> BTreeSet<TableName> {
        let has = |(name, column, constants): &(TableName, &str, &BTreeSet<String>)| {
            let Some(rows) = self.rows.table(name) else { return true };
            let at = rows.columns.iter().position(|one| one == column);
            let known: BTreeSet<&str> = rows.rows.iter().filter_map(|row| row.get(at?)?.as_deref()).collect();
            constants.iter().all(|one| known.contains(one.as_str()))
        };
        uses.compared(schema)
            .into_iter()
            .filter(|one| self.has_few(&one.0) && !has(one))
            .map(|(name, ..)| name)
            .collect()
    }

    /// Remembers what a migration changed: tables with other columns may need new rows.
    pub(crate) fn follow(&mut self, change: &SchemaChange) {
        self.rename(change);
        let Some(changed) = &mut self.changed else { return };
        let is_meant = |id: &Id| id.kind == Kind::Column;
        let columns = change.objects().map(|(id, ..)| id).filter(|id| is_meant(id));
        changed.extend(columns.map(|id| (id.schema.to_string(), id.parent.to_string())));
    }

    /// A table that was dropped may have reappeared under another name, with the columns for which rows were
    /// drawn.
    fn rename(&mut self, change: &SchemaChange) {
        let name = |id: &Id| (id.schema.to_string(), id.name.to_string());
        let tables = || change.objects().filter(|(id, ..)| id.kind == Kind::Table);
        let gone = tables().filter(|(_, _, after)| after.is_none()).map(|(id, ..)| name(id));
        let gone: Vec<TableName> = gone.filter(|table| self.drawn.contains_key(table)).collect();
        for (id, ..) in tables().filter(|(_, before, _)| before.is_none()) {
            let is_own = |one: &Id| one.kind == Kind::Column && one.schema == id.schema && one.parent == id.name;
            let columns: BTreeSet<&str> =
                change.objects().map(|(one, ..)| one).filter(|one| is_own(one)).map(|one| &*one.name).collect();
            let of = |table: &&TableName| {
                let known = self.drawn.get(*table).into_iter().flatten();
                known.filter(|column| columns.contains(&***column)).count()
            };
            let Some(old) = gone.iter().max_by_key(of).filter(|table| of(table) > 0) else { continue };
            let drawn = self.drawn.get(old).cloned().unwrap_or_default();
            for tables in [&mut self.poor, &mut self.seeded, &mut self.few] {
                if tables.contains(old) {
                    tables.insert(name(id));
                }
            }
            self.drawn.insert(name(id), drawn);
        }
        for table in &gone {
            self.drawn.remove(table);
            self.seeded.remove(table);
        }
    }

    /// Reads the rows that may have changed; `schema` is the current schema.
    pub(crate) async fn read(&mut self, schema: &Schema, touched: &WrittenTables) -> Result<(), ProofError> {
        let mut touched = touched.clone();
        if let WrittenTables::Tables(tables) = &mut touched {
            tables
                .extend(self.scope.of_types(schema).into_iter().map(|(schema, name)| QualifiedName::new(schema, name)));
        }
        self.rows.refresh(&mut self.ground.rehearsal, schema, &touched).await?;
        Ok(())
    }

    /// Continues with another database, and returns the previous one.
    pub(crate) fn replace(&mut self, fresh: ChainDatabase) -> ChainDatabase {
        self.rows = DatabaseRows::default();
        self.changed = None;
        std::mem::replace(&mut self.ground, fresh)
    }
}

/// How the definitions of a schema use the values of columns. Each definition is read once.
#[derive(Default)]
struct DefinitionUses(BTreeMap<Arc<Id>, (Arc<Object>, ColumnUses)>);

impl DefinitionUses {
    /// The uses by existing objects, and by the migration itself.
    fn uses(&mut self, mut own: ColumnUses, before: &Schema, after: &Schema, how: &RowKind) -> ColumnUses {
        let mut uses = ColumnUses::default();
        let mut read_before = std::mem::take(&mut self.0);
        for object in before.objects() {
            // The expression of an index or a generated column is evaluated when a row is written.
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
                (object.clone(), ColumnUses::of(&text).defined())
            });
            uses.extend(learnt.clone(), is_strict);
            self.0.insert(object.id.clone(), (object.clone(), learnt));
        }
        own.resolve(&|to| labelled(to, after).or_else(|| labelled(to, before)));
        uses.extend(own, how.readable);
        uses
    }
}

/// The labels of an enum, or the base type of a domain, if the type is one.
fn labelled(to: &str, schema: &Schema) -> Option<TextReading> {
    let name = generate::of_type(to)?;
    let is_meant =
        |object: &&Arc<Object>| *object.id.name == *name && matches!(object.id.kind, Kind::Type | Kind::Domain);
    let object = schema.objects().find(is_meant)?;
    let labels = literals(object.fact("labels").unwrap_or_default());
    match labels.is_empty() {
        true => object.fact("type").map(|name| TextReading::Type(name.to_owned())),
        false => Some(TextReading::Texts(labels)),
    }
}
