//! After a cycle: the database with rows on which the next migration is checked.

use std::collections::BTreeSet;

use migrate_core::ErrorKind;
use migrate_core::ledger::Direction;
use migrate_core::runner::WrittenTables;

use super::{CycleSchemas, DataLawDatabase};
use crate::generate::AddedConstraints;
use crate::proof::refused::RefusingMigration;
use crate::proof::stage::ChainDatabase;
use crate::proof::{MigrationProof, ProofError, Prover, again};
use crate::rows::{RowLoss, TableName};

impl DataLawDatabase {
    /// Continues with a fresh database on which this migration is applied to the rows that were there before
    /// it. If it refuses them, it is applied to those rows that fit, or finally to none.
    pub(super) async fn go_on(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: CycleSchemas<'_>,
        passes: bool,
        proven: Option<&mut MigrationProof>,
    ) -> Result<(), ProofError> {
        let (chain, start) = (&prover.chain, std::mem::take(&mut self.start));
        let counters = again::SequenceCounters::read(&mut self.filled.ground.rehearsal).await?;
        let fresh = ChainDatabase::at(&chain[..at], prover.code, false).await?;
        let old = self.filled.replace(fresh);
        match proven {
            Some(proven) => prover.abandon(old, &mut proven.kept).await?,
            None => old.end().await?,
        }
        let rehearsal = &mut self.filled.ground.rehearsal;
        let put = match passes {
            true => again::exactly(rehearsal, sight.before, &start, &counters).await.map(|()| BTreeSet::new()),
            false => {
                let required = AddedConstraints::put(rehearsal, sight.before, sight.after).await?;
                let put = again::that_fit(rehearsal, sight.before, &start, &|_| true).await;
                required.remove(rehearsal).await?;
                again::without_nulls(rehearsal, sight.before, sight.after).await?;
                let emptied = again::required(sight.before, sight.after).into_iter().map(|(table, _)| table);
                put.map(|refused| refused.into_iter().chain(emptied).collect())
            }
        };
        let applied = match put {
            Ok(refused) => {
                self.filled.impoverish(|table| refused.contains(table));
                self.filled.ground.run(&chain[at], Direction::Up).await?.is_ok()
            }
            Err(error) if error.kind() == ErrorKind::Statement => false,
            Err(error) => return Err(error.into()),
        };
        if applied && self.look(sight.after, &WrittenTables::Unknown).await?.is_ok() {
            return Ok(());
        }
        let fresh = ChainDatabase::at(&chain[..=at], prover.code, false).await?;
        self.filled.replace(fresh).end().await?;
        self.filled.impoverish(|_| true);
        self.unsure.extend(RefusingMigration::of(&chain[at]));
        Ok(())
    }

    /// Draws new rows for the tables that a migration changed, so that the next migration sees the same rows as
    /// if it were checked alone.
    pub(super) fn wear(&mut self, sight: CycleSchemas<'_>, changed: &[RowLoss]) {
        let freed = again::freed(sight.up, sight.after);
        let changed: BTreeSet<&str> =
            changed.iter().filter(|loss| !loss.came).map(|loss| loss.table.as_str()).collect();
        let is_changed = |(schema, name): &TableName| changed.contains(format!("{schema}.{name}").as_str());
        self.filled.impoverish(|table| freed.contains(table) || is_changed(table));
    }
}
