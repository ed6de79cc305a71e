//! The messages of a plan in order, each with the ledger row that it commits; without I/O.

use std::collections::BTreeSet;

use migrate_base::ident::QualifiedName;
use migrate_base::sql::{IndexName, StatementClass};

use super::{RunbookContext, names};
use crate::ledger::{Actor, Direction, LedgerEvent, LedgerWriter};
use crate::runner::message::{Message, SessionSettings, needs_fresh_session, outcome, stepwise};
use crate::runner::options::Options;
use crate::runner::plan::{Plan, PlanStep, StepWork};
use crate::runner::run::prepare::creation;
use crate::runner::run::surround;
use crate::source::Script;

/// Everything that is sent, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct RunbookParts {
    pub(super) items: Vec<RunbookItem>,
    /// The rows that are written, in the order of the parts.
    pub(super) rows: Vec<PartRow>,
    pub(super) count: usize,
    /// The number of the newest row at the end.
    pub(super) newest: i64,
    /// The placeholder for actor and host in every row, which are known only when the script is run.
    pub(super) who: String,
    /// Every name in the scripts of the plan.
    pub(super) names: BTreeSet<String>,
    /// The settings with which a session of a run starts.
    pub(super) settings: String,
}

/// A row that a part writes.
#[derive(Debug, Clone)]
pub(super) struct PartRow {
    pub(super) part: usize,
    pub(super) id: i64,
    pub(super) event: LedgerEvent,
    pub(super) version: String,
}

/// Messages that run unless the script was started at a part after `until`; `None` means that they always run.
#[derive(Debug, Clone)]
pub(super) struct RunbookItem {
    pub(super) until: Option<usize>,
    /// What it does; empty if it only prepares the session.
    pub(super) title: String,
    pub(super) advice: Vec<String>,
    pub(super) messages: Vec<String>,
    /// An index that must be valid after it.
    pub(super) index: Option<IndexName>,
    /// What is saved before it, if the user wants that.
    pub(super) save: Option<RollbackSave>,
    /// Whether it opens a new session, with the current default settings.
    pub(super) reconnects: bool,
}

/// The tables of a rollback that may lose data.
#[derive(Debug, Clone)]
pub(super) struct RollbackSave {
    pub(super) version: String,
    pub(super) names: BTreeSet<String>,
    /// Whether it is committed before the rollback starts, because the rollback has no transaction of its own.
    pub(super) commits: bool,
}

struct RunbookBuilder<'a> {
    parts: RunbookParts,
    writer: LedgerWriter,
    options: &'a Options,
    settings: &'a SessionSettings,
    there: &'a RunbookContext,
}

impl RunbookParts {
    /// The parts of a plan whose steps are all SQL.
    pub(super) fn of(plan: &Plan, options: &Options, settings: &SessionSettings, there: &RunbookContext) -> Self {
        let who = unused("who", plan, options);
        let writer = LedgerWriter::with_who(options.ledger.clone(), plan.newest(), &who, &options.actor);
        let parts = Self { who, settings: settings.sql(), ..Self::default() };
        let mut builder = RunbookBuilder { parts, writer, options, settings, there };
        if !plan.has_ledger() {
            builder.create();
        }
        for (at, step) in plan.steps().iter().enumerate() {
            let StepWork::Sql(script) = &step.work else { continue };
            builder.parts.names.extend(names::of(script.text()));
            match step.no_transaction() {
                true => builder.stepwise(step, script),
                false => builder.together(step, script),
            }
            if needs_fresh_session(step) && at + 1 < plan.steps().len() {
                builder.parts.items.push(RunbookItem { reconnects: true, ..RunbookItem::of(None, "", Vec::new()) });
            }
        }
        builder.parts.newest = builder.writer.next_id() - 1;
        builder.parts
    }
}

impl RunbookItem {
    fn of(until: impl Into<Option<usize>>, title: impl Into<String>, messages: Vec<String>) -> Self {
        Self {
            until: until.into(),
            title: title.into(),
            advice: Vec::new(),
            messages,
            index: None,
            save: None,
            reconnects: false,
        }
    }

    fn advice(mut self, advice: &[&str]) -> Self {
        self.advice = advice.iter().map(|line| (*line).to_owned()).collect();
        self
    }
}

const WHOLE: [&str; 1] = ["If it fails, nothing of this part is kept, and nothing needs to be cleaned up."];

impl RunbookBuilder<'_> {
    /// A part that creates the ledger.
    fn create(&mut self) {
        let ledger: &QualifiedName = &self.options.ledger;
        let message = creation(ledger, &self.writer, self.there.has_schema);
        self.parts.count += 1;
        self.parts.items.push(RunbookItem::of(self.parts.count, "create the ledger", vec![message]).advice(&WHOLE));
    }

    /// A part for a migration with its row in one transaction.
    fn together(&mut self, step: &PlanStep, script: &Script) {
        let record = outcome(step, script, self.options);
        let event = record.event;
        let record = self.writer.insert(&record);
        let around = surround::around(self.options, &self.there.kept, step);
        let mut message = Message::default();
        message.push(script, &around, &self.settings.isolate(), &record);
        self.row(step, event);
        let item = RunbookItem::of(self.parts.count, title(step), vec![message.sql]).advice(&WHOLE);
        self.parts.items.push(RunbookItem { save: self.save(step, script, false), ..item });
    }

    /// What can be saved before a step. With `--keep-data`, the data that it destroys is copied in any case.
    fn save(&self, step: &PlanStep, script: &Script, commits: bool) -> Option<RollbackSave> {
        let is_wanted = step.direction == Direction::Down && !self.options.keep_data;
        let (version, names) = (step.version.to_string(), names::of(script.text()));
        is_wanted.then_some(RollbackSave { version, names, commits })
    }

    /// Parts for a migration whose statements commit one by one.
    fn stepwise(&mut self, step: &PlanStep, script: &Script) {
        let statements = script.statements().len();
        let last = self.parts.count + statements + 2;
        let started = self.writer.next_id();
        let around = surround::around(self.options, &self.there.kept, step);
        let record = stepwise::started(&mut self.writer, step, script, self.options, &around);
        self.row(step, LedgerEvent::Started);
        let begin = RunbookItem::of(self.parts.count, format!("{}: begin", title(step)), vec![record]);
        let save = self.save(step, script, true);
        let begin = RunbookItem { save, ..begin };
        self.parts.items.push(begin.advice(&["It does not run in a transaction: its statements commit one by one."]));
        let prepare = stepwise::prepare(script, 0);
        if !prepare.is_empty() {
            self.parts.items.push(RunbookItem::of(last, "", vec![prepare]));
        }
        for at in 0..statements {
            self.statement(step, script, at, last);
        }
        let ended = stepwise::ended(&mut self.writer, step, script, self.options, self.settings, started, &around);
        self.row(step, outcome(step, script, self.options).event);
        self.parts.items.push(RunbookItem::of(self.parts.count, format!("{}: end", title(step)), vec![ended]));
    }

    fn statement(&mut self, step: &PlanStep, script: &Script, at: usize, last: usize) {
        let class = script.statements()[at].class;
        let (message, _) = stepwise::statement(&mut self.writer, step, script, at);
        let title = format!("{}: statement {} of {}", title(step), at + 1, script.statements().len());
        if class == StatementClass::Plain {
            self.row(step, LedgerEvent::Progress);
            self.parts.items.push(RunbookItem::of(self.parts.count, title, vec![message]).advice(&WHOLE));
            return;
        }
        let record = stepwise::progress(&mut self.writer, step, at);
        self.row(step, LedgerEvent::Progress);
        if class == StatementClass::Session {
            // A session setting does not outlive the session, so a script that is started further down needs it as
            // well.
            self.parts.items.push(RunbookItem::of(last, "", vec![message]));
            return self.parts.items.push(RunbookItem::of(self.parts.count, title, vec![record]));
        }
        let mut messages = vec![message];
        if stepwise::is_patient(script, at) {
            messages.insert(0, stepwise::PATIENTLY.to_owned());
            messages.push(format!("{} {}", self.settings.sql(), stepwise::prepare(script, at + 1)));
        }
        let index = IndexName::of(&script.text()[script.statements()[at].span.clone()])
            .filter(|_| class == StatementClass::CreateIndexConcurrently);
        messages.push(record);
        let advice: &[&str] = match class {
            StatementClass::CreateIndexConcurrently => {
                &["If it fails, the index may exist but not be valid: drop it with DROP INDEX CONCURRENTLY before you \
                   run this part again."]
            }
            StatementClass::DropIndexConcurrently => {
                &["If it fails, the index may exist but not be valid: you can run this part again."]
            }
            StatementClass::ReindexConcurrently => {
                &["If it fails, indexes whose names end in _ccnew or _ccold may be left: drop them with DROP INDEX \
                   CONCURRENTLY before you run this part again."]
            }
            StatementClass::DetachConcurrently => {
                &["If it fails halfway, finish it with ALTER TABLE … DETACH PARTITION … FINALIZE; then continue with \
                   the next part."]
            }
            _ => &["If it fails, check what it has done before you run this part again: it did not run in a \
                    transaction."],
        };
        self.parts
            .items
            .push(RunbookItem { index, ..RunbookItem::of(self.parts.count, title, messages).advice(advice) });
    }

    /// Counts a part, with the last row that was written.
    fn row(&mut self, step: &PlanStep, event: LedgerEvent) {
        self.parts.count += 1;
        let (part, id, version) = (self.parts.count, self.writer.next_id() - 1, step.version.to_string());
        self.parts.rows.push(PartRow { part, id, event, version });
    }
}

fn title(step: &PlanStep) -> String {
    let verb = if step.direction == Direction::Up { "apply" } else { "roll back" };
    format!("{verb} {}", step.version.title(&step.name))
}

/// A placeholder in braces that occurs in no text of the plan.
fn unused(word: &str, plan: &Plan, options: &Options) -> String {
    let Actor { commit, tool, .. } = &options.actor;
    let mut texts: Vec<&str> =
        [commit.as_deref(), options.reason.as_deref(), Some(tool), Some(options.ledger.schema())]
            .into_iter()
            .flatten()
            .collect();
    texts.push(options.ledger.name());
    for step in plan.steps() {
        texts.push(&step.name);
        if let StepWork::Sql(script) = &step.work {
            texts.push(script.text());
        }
        texts.extend(step.migration.as_ref().and_then(|one| one.down_script()).map(|down| &**down.text()));
    }
    let is_free = |candidate: &String| !texts.iter().any(|text| text.contains(&**candidate));
    let candidates = (0u32..).map(|n| format!("{{{word}{}}}", if n == 0 { String::new() } else { n.to_string() }));
    candidates.into_iter().find(is_free).unwrap_or_default()
}
