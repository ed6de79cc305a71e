//! What is tried after a failure that may be caused by the rows rather than by the migration, and on which
//! rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::{Direction, Migration};
use migrate_review::effect;
use migrate_schema::{self as schema, Schema};

use super::full::{CycleSchemas, DataLawDatabase};
use super::how::{self, RedrawScope, RowKind, StatementNames};
use super::refused::{RefusingMigration, is_of_data};
use super::stage::ChainDatabase;
use super::{ProofError, Prover, Story, again};
use crate::generate::{AddedConstraints, ColumnUses, NarrowedColumns};
use crate::rows::{DatabaseRows, TableName};

/// What is tried after a failure that may be caused by the rows rather than by the migration.
pub(super) enum Retry {
    /// Rows of another kind.
    Other(RowKind),
    /// Rows that pass through all earlier changes to rows.
    Below,
    /// Rows that have no NULL where the migration allows none.
    Filled(String),
}

impl Retry {
    pub(super) fn note(&self, why: &str, migration: &Migration) -> String {
        match self {
            Self::Other(how) => how.note(why, migration),
            Self::Below => {
                format!("fails only on rows that earlier migrations never processed: {why}")
            }
            Self::Filled(broken) => {
                format!("fails only on NULL; {broken} may fill the column, but it is broken: {why}")
            }
        }
    }
}

/// How many migrations below the current one rows are inserted at most, so that they pass through the changes
/// to rows.
const REACH: usize = 200;

/// The tables whose rows are drawn again for another attempt.
enum RedrawnTables {
    None,
    All,
    /// The tables and columns that the statement names which refused values.
    Within(NarrowedColumns),
    /// Tables with these names, and tables whose values are parsed.
    Tables(BTreeSet<TableName>, BTreeSet<String>, Box<ColumnUses>),
}

impl RedrawnTables {
    fn of(prover: &Prover<'_>, at: usize, sight: CycleSchemas<'_>, retry: &Retry) -> Self {
        let migration = &prover.chain[at];
        let kind = if let Retry::Other(how) = retry { how.clone() } else { RowKind::default() };
        let scripts = [migration.up_script(), migration.down_script()];
        let named = || scripts.into_iter().flatten().flat_map(|script| effect::names(script.text())).collect();
        let changed = again::changed(sight.before, sight.after);
        // Texts that cannot be parsed are drawn again, wherever they are.
        let read = Box::new(if kind.readable { how::read(migration) } else { ColumnUses::default() });
        match kind.redraw {
            RedrawScope::Changed if kind.is_within() => kind.narrowed(sight.before).map_or(Self::None, Self::Within),
            RedrawScope::Changed if kind.fitting => Self::None,
            RedrawScope::Changed if changed.is_empty() => Self::All,
            RedrawScope::Changed => Self::Tables(changed, BTreeSet::new(), read),
            RedrawScope::Named => Self::Tables(changed, named(), read),
            RedrawScope::All => Self::All,
        }
    }

    fn is(&self, schema: &Schema, table: &TableName) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Within(narrowed) => narrowed.has_table(table),
            Self::Tables(changed, named, read) => {
                changed.contains(table) || named.contains(&table.1) || read.is_about(schema, table)
            }
        }
    }
}

impl DataLawDatabase {
    /// What to try next.
    pub(super) fn after(
        &self,
        story: &Story,
        how: &RowKind,
        migration: &Migration,
        sight: CycleSchemas<'_>,
        tried: &[Retry],
    ) -> Option<Retry> {
        let sqlstate = story.sqlstate.as_deref().unwrap_or_default();
        if let Some(other) = how.after(sqlstate, names(story, migration), migration) {
            return Some(Retry::Other(other));
        }
        if let Some(other) = how.without_others().filter(|_| !self.filled.seeded.is_empty()) {
            return Some(Retry::Other(other));
        }
        let is_filled = tried.iter().any(|one| matches!(one, Retry::Filled(_)));
        if story.fails != Some(Direction::Up) {
            return None;
        }
        if self.blind {
            return Some(Retry::Below);
        }
        let filler = self.unsure.iter().find(|one| one.may_fill(sight.before, sight.after));
        let filler = filler.filter(|_| sqlstate == "23502" && !is_filled);
        filler.map(|one| Retry::Filled(one.title.clone()))
    }

    /// Creates a fresh database for another attempt, with as many of the first rows as can be used.
    pub(super) async fn prepare(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: CycleSchemas<'_>,
        origin: &DatabaseRows,
        retry: &Retry,
    ) -> Result<(), ProofError> {
        if let Retry::Below = retry {
            return self.below(prover, at).await;
        }
        let fresh = ChainDatabase::at(&prover.chain[..at], prover.code, true).await?;
        self.filled.replace(fresh).end().await?;
        if let Retry::Filled(_) = retry {
            self.known.require(sight.before, sight.after);
        }
        // A fixture inserts its own rows.
        if prover.chain[at].fixture().is_some() {
            return Ok(());
        }
        let redrawn = RedrawnTables::of(prover, at, sight, retry);
        let stays = |table: &TableName| !redrawn.is(sight.before, table);
        let rehearsal = &mut self.filled.ground.rehearsal;
        let is_fitting = matches!(retry, Retry::Other(how) if how.fitting);
        let required = match is_fitting {
            true => Some(AddedConstraints::put(rehearsal, sight.before, sight.after).await?),
            false => None,
        };
        let refused = again::that_fit(rehearsal, sight.before, origin, &stays).await?;
        if let Some(required) = required {
            required.remove(rehearsal).await?;
        }
        self.filled.impoverish(|table| !stays(table) || refused.contains(table));
        Ok(())
    }

    /// Inserts rows before the first migration that may have written some, and passes them through all that
    /// follow.
    async fn below(&mut self, prover: &Prover<'_>, at: usize) -> Result<(), ProofError> {
        self.blind = false;
        // What is used on the way is not known.
        let scope = std::mem::take(&mut self.filled.scope);
        let chain = &prover.chain;
        let low = at.saturating_sub(REACH);
        let start = (low..at).find(|one| is_of_data(&chain[*one])).unwrap_or(at);
        let fresh = ChainDatabase::at(&chain[..start], prover.code, true).await?;
        self.filled.replace(fresh).end().await?;
        for one in start..at {
            if is_of_data(&chain[one]) {
                let schema = schema::read(&self.filled.ground.address()).await?;
                self.filled.rows = DatabaseRows::default();
                // A fixture that fails is reported with its own migration.
                let _ = self.filled.fill(&chain[one], &schema, &schema, &RowKind::default()).await?;
            }
            if self.filled.ground.run(&chain[one], Direction::Up).await?.is_err() {
                let fresh = ChainDatabase::at(&chain[..=one], prover.code, false).await?;
                self.filled.replace(fresh).end().await?;
                self.unsure.extend(RefusingMigration::of(&chain[one]));
            }
        }
        self.filled.rows = DatabaseRows::default();
        self.filled.scope = scope;
        Ok(())
    }
}

/// The names in the statement that failed.
fn names(story: &Story, migration: &Migration) -> Option<StatementNames> {
    let place = story.findings.first()?.place.as_ref()?;
    let (_, span, _) = place.source()?;
    let scripts = [migration.up_script(), migration.down_script()];
    let script = scripts.into_iter().flatten().find(|script| script.path() == place.path())?;
    let statement = script.statements().iter().rfind(|statement| statement.span.start <= span.start)?;
    Some(Arc::new(effect::names(&script.text()[statement.span.clone()])))
}
