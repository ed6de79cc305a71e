//! Progress reports for long steps: which migration and statement runs, for how long, and the server's own progress.

use std::time::Duration;

use migrate_base::db::SessionProgress;
use migrate_base::ident::QualifiedName;
use tokio::time::Instant;

use crate::runner::options::{Observer, Options, Progress, RunningStep};
use crate::runner::plan::{PlanStep, StepWork};

/// What was sent to the server.
#[derive(Debug, Clone, Copy)]
pub(in crate::runner) struct MessageSteps<'a> {
    /// The steps of the message, in their order; at least one.
    steps: &'a [PlanStep],
    /// The number of the row that the first of them writes, if their rows show which of them runs.
    first: Option<i64>,
    /// The statement that runs, from 1, if there is one message for each.
    statement: Option<usize>,
}

impl<'a> MessageSteps<'a> {
    /// One step, without further information.
    pub(in crate::runner) fn of(step: &'a PlanStep) -> Self {
        Self { steps: std::slice::from_ref(step), first: None, statement: None }
    }

    /// One statement of a step, counted from 0.
    pub(in crate::runner) fn statement(step: &'a PlanStep, at: usize) -> Self {
        Self { statement: Some(at + 1), ..Self::of(step) }
    }

    /// Steps that share a message; the first of them writes this row.
    pub(in crate::runner) fn bundle(steps: &'a [PlanStep], first: i64) -> Self {
        Self { steps, first: Some(first), statement: None }
    }

    /// The ledger, if its rows show which step runs.
    pub(in crate::runner) fn ledger<'o>(&self, options: &'o Options) -> Option<&'o QualifiedName> {
        self.first.map(|_| &options.ledger)
    }

    /// The step that runs, according to the newest row of the ledger; if that could not be read, it is known only for a
    /// single step. Nothing runs any more when all of them have their rows.
    pub(in crate::runner) fn step(&self, newest: Option<i64>) -> Option<&'a PlanStep> {
        if newest.is_none() && self.steps.len() > 1 {
            return None;
        }
        let done = self.first.zip(newest).map_or(0, |(first, newest)| usize::try_from(newest + 1 - first).unwrap_or(0));
        self.steps.get(done)
    }
}

/// The seconds of silence before each report: short at first, then growing.
const PAUSES: [u64; 6] = [2, 3, 5, 20, 30, 60];

/// When the next report is due.
#[derive(Debug)]
pub(in crate::runner) struct ProgressTimer {
    begin: Instant,
    due: Instant,
    told: usize,
    last: Option<String>,
}

impl ProgressTimer {
    /// Starts timing work that begins now.
    pub(in crate::runner) fn start() -> Self {
        let begin = Instant::now();
        Self { begin, due: begin + Duration::from_secs(PAUSES[0]), told: 0, last: None }
    }

    /// Whether it is time to report.
    pub(in crate::runner) fn is_due(&self) -> bool {
        Instant::now() >= self.due
    }

    /// Reports the progress; unknown values are left out.
    pub(in crate::runner) fn report(&mut self, advance: SessionProgress, course: &MessageSteps<'_>, options: &Options) {
        match course.step(advance.newest) {
            Some(step) => self.tell(step, course, advance, options),
            None => self.next(false),
        }
    }

    /// Returns when it is time to report.
    pub(in crate::runner) async fn due(&self) {
        tokio::time::sleep_until(self.due).await;
    }

    /// Reports that it is unknown what runs.
    pub(in crate::runner) fn tell_of_silence(&mut self, observer: &dyn Observer) {
        observer.hear(&Progress::Remark("the server does not answer, neither over this connection nor over a new one"));
        self.next(false);
    }

    /// Reports a seed, for which only the time is known.
    pub(in crate::runner) fn tell_of_seed(&mut self, statements: usize, observer: &dyn Observer) {
        let (statement, elapsed) = ((statements == 1).then_some(1), self.begin.elapsed());
        observer.hear(&Progress::Running(&RunningStep { step: None, statement, statements, elapsed, detail: None }));
        self.next(false);
    }

    /// Sets the time of the next report; a step that is new to the reader is reported again soon.
    fn next(&mut self, is_new: bool) {
        self.told = if is_new { 1 } else { (self.told + 1).min(PAUSES.len() - 1) };
        self.due = Instant::now() + Duration::from_secs(PAUSES[self.told]);
    }

    fn tell(&mut self, step: &PlanStep, course: &MessageSteps<'_>, seen: SessionProgress, options: &Options) {
        let statements = match &step.work {
            StepWork::Sql(script) => script.statements().len(),
            StepWork::Code => 0,
        };
        let statement = course.statement.or((statements == 1).then_some(1));
        // Only the server knows when a step in the middle of a message started.
        let elapsed = seen.elapsed.filter(|_| course.first.is_some()).unwrap_or_else(|| self.begin.elapsed());
        let detail = seen.detail;
        let running = RunningStep { step: Some(step), statement, statements, elapsed, detail };
        options.observer.hear(&Progress::Running(&running));
        let version = step.version.to_string();
        // A step that was not reported yet is new to the reader.
        let is_new = self.last.replace(version.clone()).is_some_and(|last| last != version);
        self.next(is_new);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::Direction;

    #[test]
    fn the_newest_row_of_the_ledger_tells_which_step_runs() {
        let script = || Arc::new(crate::source::Script::recorded("a.sql".into(), "SELECT 1;".into()));
        let step =
            |number: u64| PlanStep::new(Direction::Up, (number.into(), "a".into()), StepWork::Sql(script()), None);
        let steps = [step(1), step(2), step(3)];
        let course = MessageSteps::bundle(&steps, 7);
        for (newest, version) in [(Some(3), 1), (Some(6), 1), (Some(7), 2), (Some(8), 3)] {
            let running = course.step(newest).map(|step| step.version.clone());
            assert_eq!(running, Some(version.into()), "{newest:?}");
        }
        assert!(course.step(Some(9)).is_none(), "all are committed");
        assert!(course.step(None).is_none(), "any of them may run");
        assert!(MessageSteps::bundle(&steps[2..], 9).step(None).is_some(), "no other one can");
        assert_eq!(MessageSteps::of(&steps[1]).step(Some(99)).map(|step| step.version.clone()), Some(2.into()));
    }
}
