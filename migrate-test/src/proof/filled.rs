//! A database with rows, and what kind of rows are tried where the first ones are in the way.
//! What is done on it is left to others.

use std::sync::Arc;

use migrate_core::runner::Touched;
use migrate_core::schema::Schema;
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Error};
use proptest::test_runner::TestRunner;

use super::stage::Ground;
use super::{ProofError, Rests};
use crate::generate::{self, Required};
use crate::rows::Rows;

/// A database with rows.
pub(crate) struct Filled {
    /// Where the rows come from.
    runner: TestRunner,
    pub(crate) ground: Ground,
    pub(crate) rows: Rows,
}

/// What kind of rows are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct How {
    /// Extreme values among them.
    awkward: bool,
    /// None that breaks a key or a check which the migration adds.
    pub(crate) fitting: bool,
}

impl Default for How {
    fn default() -> Self {
        Self { awkward: true, fitting: false }
    }
}

impl How {
    /// What to try after a failure that may say more about the rows than about the migration: a
    /// value that no calculation can take (class 22; 0A000 for infinity as an integer), or rows that were wrong already and are now
    /// found to be (23503 foreign key, 23505 unique, 23514 check, 23P01 exclusion).
    pub(crate) fn after(self, sqlstate: &str) -> Option<Self> {
        match sqlstate {
            "23503" | "23505" | "23514" | "23P01" if !self.fitting => Some(Self { fitting: true, ..self }),
            code if (code.starts_with("22") || code == "0A000") && self.awkward => {
                Some(Self { awkward: false, ..self })
            }
            _ => None,
        }
    }

    /// What a migration that fails on the first rows, and not on these, is told of.
    pub(crate) fn note(self, why: &str) -> String {
        let rows = if self.fitting { "rows that do not fit what it requires" } else { "extreme values" };
        format!("it fails on {rows}, and not on others: {why}")
    }
}

impl Filled {
    /// A database at which the first migrations are applied. The same seed draws the same rows.
    pub(crate) async fn at(prefix: &[Arc<Migration>], code: &CodeMigrations, seed: u64) -> Result<Self, ProofError> {
        let ground = Ground::at(prefix, code, true).await?;
        Ok(Self { runner: super::runner(seed), ground, rows: Rows::default() })
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
        if let Some(script) = migration.fixture() {
            match self.ground.rehearsal.fixture(migration, script).await {
                Ok(touched) => self.read(before, &touched).await?,
                Err(error) => return Ok(Err(error)),
            }
        }
        let Self { runner, ground, rows } = self;
        let rehearsal = &mut ground.rehearsal;
        let unfilled = if how.fitting {
            let required = Required::put(rehearsal, before, after).await?;
            let unfilled = generate::fill(rehearsal, &required.schema, rows, runner, how.awkward).await?;
            required.remove(rehearsal).await?;
            unfilled
        } else {
            generate::fill(rehearsal, before, rows, runner, how.awkward).await?
        };
        Ok(Ok(Rests::on(before, &self.rows, &unfilled)))
    }

    /// Reads again what may have changed; `schema` is the present one.
    pub(crate) async fn read(&mut self, schema: &Schema, touched: &Touched) -> Result<(), ProofError> {
        self.rows.refresh(&mut self.ground.rehearsal, schema, touched).await?;
        Ok(())
    }

    /// Goes on with another database, and returns the one before.
    pub(crate) fn replace(&mut self, fresh: Ground) -> Ground {
        self.rows = Rows::default();
        std::mem::replace(&mut self.ground, fresh)
    }
}
