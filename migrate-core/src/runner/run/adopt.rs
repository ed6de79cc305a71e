//! Starts the ledger of a database that already has its schema: existing migrations are recorded, and nothing is run.

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::ident::QualifiedName;

use crate::foreign::{self, ForeignLedger, ForeignTool, SearchBy};
use crate::ledger::{Direction, LedgerEvent, LedgerRow};
use crate::runner::plan::{obstacle, others};
use crate::runner::run::open;
use crate::runner::{Adoption, AppliedMigration, LedgerState, Migrator};
use crate::source::{Migration, Version};

impl Migrator {
    /// Records every migration up to this version as applied, under the lock, and runs nothing. The caller must know
    /// that the database really is at that version.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] when the ledger already has an applied or unfinished migration, or there is no such
    /// migration; [`ErrorKind::Ledger`] when it cannot be written.
    pub async fn adopt(&mut self, upto: &Version, why: &str) -> Result<usize> {
        let state = self.state().await?;
        if let Some(version) = state.version().or(state.unfinished().map(|one| &one.version)) {
            let finding =
                Finding::new(codes::ALREADY_APPLIED, format!("this ledger already has migrations: {version}")).help(
                    "`cargo xtask status` shows the state of the chain; `cargo xtask migrate` applies what is pending",
                );
            return Err(Error::new(ErrorKind::Plan, finding));
        }
        if self.set.get(upto).is_none() {
            return Err(Error::new(ErrorKind::Plan, obstacle::no_such_version(&self.set, upto)));
        }
        let migrations = self.set.up_to(Some(upto));
        self.baselined(&state, migrations.iter().map(|one| (&**one, why)), &[], None).await
    }

    /// The ledgers of other tools in this database, except those of other applications. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ledger`] if they cannot be looked for.
    pub async fn ledgers_of_others(&mut self) -> Result<Vec<ForeignLedger>> {
        let others = self.options.other_ledgers.clone();
        let found = foreign::ledgers(self.session().await?, &others, SearchBy::NameOrColumns).await;
        found.map_err(open::not_looked)
    }

    /// The ledger of a tool in a table with a name of its own. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ledger`] if it cannot be looked for.
    pub async fn ledger_of_other(
        &mut self,
        tool: &'static ForeignTool,
        table: &QualifiedName,
    ) -> Result<Option<ForeignLedger>> {
        let found = foreign::ledger_of(self.session().await?, tool, table).await;
        found.map_err(open::not_looked)
    }

    /// Records what another tool applied, under the lock, and runs nothing. The caller must know that the database
    /// really has what these migrations create. `state` is the one that the adoption was planned for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stale`] when one of the two ledgers has changed since then; [`ErrorKind::Ledger`] when ours cannot
    /// be written.
    pub async fn take_over(&mut self, adoption: &Adoption, state: &LedgerState) -> Result<usize> {
        let taken = adoption.taken.iter().map(|one| (&*one.migration, &*one.note));
        let names = adoption.given_back.iter().filter_map(|version| state.get(version));
        self.baselined(state, taken, &names.collect::<Vec<_>>(), Some(&adoption.ledger)).await
    }

    /// Records pending migrations as applied, under the lock, and runs nothing. The caller must know that the database
    /// really has what they create.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] when one of them is not a pending migration, or a migration is unfinished;
    /// [`ErrorKind::Ledger`] when it cannot be written.
    pub async fn mark(&mut self, versions: &[Version], why: &str) -> Result<usize> {
        let state = self.state().await?;
        if let Some(unfinished) = state.unfinished() {
            return Err(Error::new(ErrorKind::Plan, obstacle::unfinished(&self.set, unfinished)));
        }
        let pending = |version: &Version| match self.set.get(version) {
            None => Err(obstacle::no_such_version(&self.set, version)),
            Some(_) if state.get(version).is_some() => {
                Err(Finding::new(codes::NOT_PENDING, format!("migration {version} is already applied"))
                    .help("`cargo xtask status` shows what is pending"))
            }
            Some(migration) => Ok(migration.clone()),
        };
        let migrations: std::result::Result<Vec<_>, Finding> = versions.iter().map(pending).collect();
        let migrations = migrations.map_err(|finding| Error::new(ErrorKind::Plan, finding))?;
        self.baselined(&state, migrations.iter().map(|one| (&**one, why)), &[], None).await
    }

    /// Records migrations as applied, each for its reason, and others as rolled back by another tool.
    async fn baselined(
        &mut self,
        state: &LedgerState,
        migrations: impl ExactSizeIterator<Item = (&Migration, &str)>,
        reverted: &[&AppliedMigration],
        planned_for: Option<&ForeignLedger>,
    ) -> Result<usize> {
        let count = migrations.len();
        let mut executor = self.prepare(state.newest(), state.has_ledger()).await?;
        if let Some(planned) = planned_for {
            let now = foreign::ledger_of(&mut executor.lines.worker, planned.tool, &planned.table).await;
            if !now.is_ok_and(|now| now.as_ref() == Some(planned)) {
                let _ = executor.finish(false).await;
                return Err(Error::new(ErrorKind::Stale, others::stale(planned)));
            }
        }
        let mut sql = String::from("BEGIN;");
        for one in reverted {
            let record = LedgerRow::of(LedgerEvent::RolledBack, Direction::Down, one.version.as_str(), &one.name);
            sql += &executor.writer.insert(&LedgerRow { note: Some(foreign::GIVEN_BACK), ..record });
        }
        for (migration, why) in migrations {
            let record = LedgerRow::with_files(LedgerEvent::Baselined, Direction::Up, migration);
            sql += &executor.writer.insert(&LedgerRow { note: Some(why), ..record });
        }
        let sent = executor.lines.worker.send(&(sql + "COMMIT;")).await;
        let (_, released) = executor.finish(false).await;
        sent.map_err(|failure| failure.explain(ErrorKind::Ledger, codes::LEDGER_UNWRITABLE, "record the baseline"))?;
        released.map(|()| count)
    }
}
