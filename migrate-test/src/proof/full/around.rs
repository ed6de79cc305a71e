//! One cycle: up, down, up, each followed by a comparison of the rows.

use std::sync::Arc;

use migrate_core::runner::WrittenTables;
use migrate_core::{Direction, Error, ErrorKind, Migration};
use migrate_review::effect::changes_rows;
use migrate_schema::Schema;

use super::{CycleExtent, CycleResult, CycleSchemas, DataLawDatabase};
use crate::proof::how::RowKind;
use crate::proof::{ProofError, Story, traces};
use crate::rows::{DatabaseRows, RowLoss};

impl DataLawDatabase {
    /// Fills the tables, then goes as far as the laws of the schema hold.
    pub(super) async fn fill_and_go(
        &mut self,
        migration: &Arc<Migration>,
        sight: CycleSchemas<'_>,
        ways: CycleExtent,
        how: &RowKind,
    ) -> Result<Result<(), Story>, ProofError> {
        self.seen = CycleResult::default();
        let before = self.known.of(sight.before);
        match self.filled.fill(migration, &before, sight.after, how).await? {
            Ok(rests) => self.seen.rests = rests,
            Err(error) => return Ok(Err(Story::error("its fixture fails", &error))),
        }
        let before = self.filled.rows.clone();
        self.start = before.clone();
        self.seen.rows = before.count();
        self.around(migration, &before, sight, ways).await
    }

    /// Up, down, up, with a comparison of the rows after each step.
    async fn around(
        &mut self,
        migration: &Arc<Migration>,
        before: &DatabaseRows,
        sight: CycleSchemas<'_>,
        ways: CycleExtent,
    ) -> Result<Result<(), Story>, ProofError> {
        match self.pass(migration, Direction::Up, sight.after).await? {
            Ok(None) => {}
            Ok(Some(story)) => return Ok(Err(story)),
            Err(error) => {
                let story = Story::error("it applies to empty tables, but not if they have rows", &error);
                return Ok(Err(story.of_script(Direction::Up)));
            }
        }
        self.seen.changed = before.losses(&self.filled.rows);
        self.known.learn(sight.after, before, &self.filled.rows);
        if ways == CycleExtent::Up {
            return Ok(Ok(()));
        }
        let kept = before.kept(&self.filled.rows, &self.seen.changed);
        match self.pass(migration, Direction::Down, sight.rolled).await? {
            Ok(None) => {}
            Ok(Some(story)) => return Ok(Err(story)),
            Err(error) => {
                let story = Story::error("it rolls back on empty tables, but not if they have rows", &error);
                return Ok(Err(story.of_script(Direction::Down)));
            }
        }
        self.seen.losses = before.losses(&self.filled.rows);
        if let Some(engine) = &self.engine {
            self.seen.losses.retain(|loss| !(loss.came && engine.fills(&loss.table)));
        }
        self.seen.traces = traces::split(&mut self.seen.losses, migration, sight.before);
        if ways == CycleExtent::UpDown {
            return Ok(Ok(()));
        }
        match self.pass(migration, Direction::Up, sight.after).await? {
            Ok(None) => {}
            Ok(Some(story)) => return Ok(Err(story)),
            // The rows that the rollback left behind are the reason, and they are reported separately.
            Err(_) if migration.lossy().is_none() && self.seen.losses.iter().any(|loss| loss.came) => {
                return Ok(Ok(()));
            }
            Err(error) => {
                return Ok(Err(Story::error("with rows, it cannot be applied again after a rollback", &error)));
            }
        }
        let again = kept.losses(&self.filled.rows).into_iter().filter(|loss| !loss.came);
        let new: Vec<RowLoss> = again.filter(|loss| !self.seen.losses.iter().any(|old| old.same_place(loss))).collect();
        self.seen.losses.extend(new);
        Ok(Ok(()))
    }

    /// Runs one direction and compares the rows afterwards. Returns what is wrong with the rows, or why the
    /// script failed.
    async fn pass(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
        schema: &Schema,
    ) -> Result<Result<Option<Story>, Error>, ProofError> {
        let touched = match self.filled.ground.run(migration, direction).await? {
            Ok(touched) => touched,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(story) = self.look(schema, &touched).await? {
            return Ok(Ok(Some(story)));
        }
        self.note(migration, direction);
        Ok(Ok(if direction == Direction::Up { self.check(migration).await? } else { None }))
    }

    /// Records which statements of the last script changed no rows (a statement that changed rows once does not
    /// count), and which of the used tables have only a few rows.
    fn note(&mut self, migration: &Migration, direction: Direction) {
        self.seen.missed.extend(self.filled.missed());
        let script = if direction == Direction::Up { migration.up_script() } else { migration.down_script() };
        let rehearsal = &self.filled.ground.rehearsal;
        let told = |statement: &str| {
            let line: String = statement.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect();
            (
                direction,
                format!(
                    "a statement of its {direction} script changed no rows, so its effect on rows is not proven: {line}"
                ),
            )
        };
        let idle = script.into_iter().flat_map(|script| rehearsal.idle(script));
        let now: Vec<_> = idle.filter(|statement| changes_rows(statement)).map(told).collect();
        match self.seen.ran.insert(direction) {
            true => self.seen.idle.extend(now),
            false => self.seen.idle.retain(|one| one.0 != direction || now.contains(one)),
        }
    }

    /// Runs the check of the migration, and reports the rows that it returned.
    async fn check(&mut self, migration: &Migration) -> Result<Option<Story>, ProofError> {
        let Some(script) = migration.verify() else { return Ok(None) };
        match self.filled.ground.rehearsal.check(script).await {
            Ok((_, rows)) if rows.is_empty() => Ok(None),
            Ok((columns, rows)) => {
                let text = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
                let shown = rows.into_iter().take(10).map(|row| row.into_iter().map(text).collect());
                let rows = std::iter::once(columns).chain(shown).collect();
                let summary = format!("{} returned rows; each row is an error", script.path().display());
                Ok(Some(Story { rows, ..Story::of(summary) }))
            }
            Err(error) => Ok(Some(Story::error("its check ends with an error", &error))),
        }
    }

    /// Reads the rows that may have changed; or returns why they cannot be read, for example because a script
    /// removed the enum label that they use.
    pub(super) async fn look(
        &mut self,
        schema: &Schema,
        touched: &WrittenTables,
    ) -> Result<Result<(), Story>, ProofError> {
        match self.filled.read(schema, touched).await {
            Err(ProofError::Core(error)) if error.kind() == ErrorKind::Statement => {
                Ok(Err(Story::error("the existing rows can no longer be read", &error)))
            }
            outcome => outcome.map(Ok),
        }
    }
}
