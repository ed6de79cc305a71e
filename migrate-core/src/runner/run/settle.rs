//! Finishes or removes what a concurrent statement left behind, so that it can run again.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::db::{SessionFailure, TextRow};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::ident::literal;
use migrate_base::sql::{self, IndexName, StatementClass};
use migrate_base::template::fill;

use super::execute::Executor;
use super::pulse::MessageSteps;
use crate::runner::message::explain;
use crate::runner::message::leftover::{
    LEFT_BEHIND, LeftoverKind, LeftoverObject, NOT_VALID, base, indexes, look, look_since,
};
use crate::runner::message::locate::FailurePart;
use crate::runner::message::stepwise::{self, PATIENTLY};
use crate::runner::options::Progress;
use crate::runner::plan::PlanStep;
use crate::source::Script;

impl Executor<'_> {
    /// Sends statements of ours, then reads what is half done.
    pub(in crate::runner) async fn look_left(
        &mut self,
        step: &PlanStep,
        before: &str,
    ) -> Result<BTreeSet<LeftoverObject>> {
        let message = format!("{before} {}", look());
        let rows = self.ask(step, &message).await?;
        Ok(rows.into_iter().filter_map(LeftoverObject::of).collect())
    }

    /// Like [`Executor::settle`], in a session in which nothing was run yet, for a statement that is to be undone: an
    /// index that it half dropped is rebuilt.
    pub(in crate::runner) async fn settle_apart(
        &mut self,
        step: &PlanStep,
        script: &Script,
        at: usize,
    ) -> Result<Option<bool>> {
        let settings = stepwise::prepare(script, at);
        if !settings.is_empty() {
            self.record(step, &settings).await?;
        }
        let is_done = self.settle(step, script, at).await?;
        let dropping =
            script.statements().get(at).filter(|statement| statement.class == StatementClass::DropIndexConcurrently);
        if let Some(statement) = dropping.filter(|_| is_done == Some(false)) {
            self.rebuild(step, &script.text()[statement.span.clone()]).await?;
        }
        Ok(is_done)
    }

    /// Rebuilds the index that a `DROP INDEX CONCURRENTLY` half dropped; an index that was not valid before stays as it
    /// was.
    async fn rebuild(&mut self, step: &PlanStep, text: &str) -> Result<()> {
        let Some(name) = self.half_built(step, IndexName::of(text)).await? else { return Ok(()) };
        let ours = format!(
            "SELECT i.indrelid::pg_catalog.regclass FROM pg_catalog.pg_index i \
             WHERE i.indexrelid = pg_catalog.to_regclass({}) AND pg_catalog.age(i.xmin) < {}",
            literal(&name),
            base(&self.options.ledger, &step.version)
        );
        let Some(row) = self.ask(step, &ours).await?.into_iter().next() else { return Ok(()) };
        // Copies left by a rebuild that did not finish.
        let copies = self.ask(step, &look_since(&self.options.ledger, &step.version)).await?;
        let is_of_it = |copy: &LeftoverObject| copy.is_copy() && copy.name.starts_with(name.trim_end_matches('"'));
        for copy in copies.into_iter().filter_map(LeftoverObject::of).filter(is_of_it) {
            self.clean(step, &copy).await?;
        }
        let of = row.into_iter().next().flatten().unwrap_or_default();
        let half = LeftoverObject { kind: LeftoverKind::Dropped, oid: String::new(), name, of };
        let still = |error: Error| {
            error.note(format!("{}; nothing was recorded, so {} is still unfinished", half.seen(), step.version))
        };
        self.clean(step, &half).await.map_err(still)?;
        match self.half_built(step, IndexName::of(text)).await? {
            None => Ok(()),
            Some(_) => {
                let finding = Finding::new(codes::HALF_DONE, format!("cannot {}", half.doing().1));
                Err(still(Error::new(ErrorKind::Statement, finding))
                    .help(format!("do it by hand: {};", half.cleaning())))
            }
        }
    }

    /// Finishes or removes what the statement `at` left half done, and returns whether the statement is done then;
    /// `None` means unknown.
    ///
    /// A statement that shares a transaction with its record is not done. For an index or a partition the catalogs show
    /// the state: a half-built index is removed, so that it can be built again. A statement that the server refused is
    /// not done, unless it left something half done or something was created since: an index with that name that
    /// existed before belongs to somebody else.
    pub(in crate::runner) async fn settle(
        &mut self,
        step: &PlanStep,
        script: &Script,
        at: usize,
    ) -> Result<Option<bool>> {
        let Some(statement) = script.statements().get(at) else { return Ok(Some(false)) };
        let text = &script.text()[statement.span.clone()];
        let failed = step.resume.as_ref().and_then(|unfinished| unfinished.failed.as_ref());
        let why = failed.filter(|(failed, _)| *failed == at + 1).map(|(_, why)| why.as_str());
        let refused = why.is_some_and(|why| !why.contains(LEFT_BEHIND));
        match statement.class {
            StatementClass::CreateIndexConcurrently => {
                let is_taken = why.is_some_and(|why| why.ends_with(NOT_VALID));
                self.settle_index(step, text, is_taken).await
            }
            StatementClass::DropIndexConcurrently | StatementClass::DetachConcurrently if refused => Ok(Some(false)),
            StatementClass::DropIndexConcurrently => {
                let Some(index) = IndexName::of(text) else { return Ok(Some(false)) };
                Ok(Some(self.ask(step, &index.query).await?.is_empty()))
            }
            StatementClass::ReindexConcurrently => {
                let since = look_since(&self.options.ledger, &step.version);
                let rows = self.ask(step, &since).await?;
                for copy in rows.into_iter().filter_map(LeftoverObject::of).filter(LeftoverObject::is_copy) {
                    self.clean(step, &copy).await?;
                }
                Ok(Some(false))
            }
            StatementClass::DetachConcurrently => self.settle_partition(step, text).await,
            StatementClass::MayCommit => Ok(None),
            StatementClass::OutsideTransaction | StatementClass::OfSubscription => Ok(failed.map(|_| false)),
            _ => Ok(Some(false)),
        }
    }

    /// The quoted name of the index of a statement, if it exists and is not valid.
    pub(in crate::runner) async fn half_built(
        &mut self,
        step: &PlanStep,
        index: Option<IndexName>,
    ) -> Result<Option<String>> {
        let Some(index) = index else { return Ok(None) };
        let row = self.ask(step, &index.query).await?.into_iter().next().unwrap_or_default();
        let mut row = row.into_iter();
        let is_half = row.next().flatten().is_some_and(|valid| valid != "t");
        Ok(row.next().flatten().filter(|_| is_half))
    }

    /// Settles the index of a `CREATE INDEX CONCURRENTLY`: the one that is new on its table, with its name if it has
    /// one. `is_taken`: it was built before and `IF NOT EXISTS` found it half built, so that it has to be removed too.
    async fn settle_index(&mut self, step: &PlanStep, text: &str, is_taken: bool) -> Result<Option<bool>> {
        let Some(table) = sql::of_table(text) else { return Ok(None) };
        let named = IndexName::of(text);
        // The cast truncates a name that is too long.
        let condition = match &named {
            Some(index) => format!("{table} AND c.relname = {}::pg_catalog.name", literal(&index.name)),
            None => table,
        };
        let rows = self.ask(step, &indexes(&condition, &self.options.ledger, &step.version)).await?;
        let mut is_valid = false;
        for row in rows {
            let mut row = row.into_iter();
            let mut is = || row.next().flatten().as_deref() == Some("t");
            let (valid, new) = (is(), is());
            let Some(name) = row.next().flatten() else { continue };
            is_valid |= valid && new;
            if !valid && (new || is_taken) {
                let half = LeftoverObject { kind: LeftoverKind::Index, oid: String::new(), name, of: String::new() };
                self.clean(step, &half).await?;
            }
        }
        // Somebody else may have created an index on the table as well.
        Ok(if is_valid && named.is_none() { None } else { Some(is_valid) })
    }

    async fn settle_partition(&mut self, step: &PlanStep, text: &str) -> Result<Option<bool>> {
        let Some((parent, partition)) = sql::detached(text) else { return Ok(None) };
        let names = [("parent", literal(&parent)), ("partition", literal(&partition))];
        let query = fill(include_str!("detached.sql"), &names);
        let row = self.ask(step, &query).await?.into_iter().next().unwrap_or_default();
        let mut row = row.into_iter();
        let mut next = || row.next().flatten();
        match (next(), next().as_deref(), next(), next()) {
            // It may have been dropped before or after.
            (None, ..) => Ok(None),
            (Some(_), Some("t"), Some(name), Some(of)) => {
                let half = LeftoverObject { kind: LeftoverKind::Partition, oid: String::new(), name, of };
                self.clean(step, &half).await.map(|()| Some(true))
            }
            (Some(_), pending, ..) => Ok(Some(pending.is_none())),
        }
    }

    /// Removes something half built, or finishes it, waiting for locks without a limit.
    async fn clean(&mut self, step: &PlanStep, half: &LeftoverObject) -> Result<()> {
        let (doing, to_do) = half.doing();
        self.options.observer.hear(&Progress::Remark(&doing));
        self.record(step, PATIENTLY).await?;
        let course = MessageSteps::of(step);
        let cleaned = self.lines.drive(half.cleaning(), &course, self.options, &mut |_| {}).await;
        let back = self.settings.sql();
        let cleaned = cleaned.map_err(|broken| {
            if broken.cancelled {
                return explain::refused(step, FailurePart::Unknown.into(), broken);
            }
            let error = broken.failure.explain(ErrorKind::Statement, codes::HALF_DONE, &to_do);
            error.help(format!("remove the cause, or do it by hand: {};", half.cleaning()))
        });
        let is_lost = cleaned.as_ref().is_err_and(|error| error.kind() == ErrorKind::Connection);
        if is_lost || !self.lines.worker.is_open() {
            return cleaned;
        }
        self.record(step, &back).await?;
        cleaned
    }

    async fn ask(&mut self, step: &PlanStep, query: &str) -> Result<Vec<TextRow>> {
        let rows = tokio::select! {
            biased;
            rows = self.lines.worker.rows(query) => rows,
            () = self.options.cancel.impatient() => Err(explain::no_patience()),
        };
        if matches!(&rows, Err(SessionFailure::Silent(_))) {
            self.lines.worker.cut();
        }
        rows.map_err(|failure| {
            failure.explain(
                ErrorKind::Statement,
                codes::INDEX,
                &format!("see what {} left behind", explain::title(step)),
            )
        })
    }
}
