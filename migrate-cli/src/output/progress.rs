//! The progress of a run: a line for each migration, a bar for a long chain, and the sessions that block it.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use migrate_core::{Direction, Migration, MigrationSet, Observer, PlanStep, Progress, RunningStep};

use super::event::ProgressEvent;
use super::style::{self, DIM, GOOD, WARN};
use super::{clean, printer};
use crate::invocation::spoken;

/// The number of steps from which a bar is shown.
const LONG: usize = 20;

/// The maximum padding of names, in characters; longer names stick out.
const WIDEST: usize = 60;

/// A bar for work whose result is shown at the end.
#[derive(Debug)]
pub(crate) struct StepBar {
    bar: ProgressBar,
    /// When the last line was printed, if no bar is visible; `None` if nothing is to be printed.
    said: Option<Mutex<Instant>>,
}

/// How often long work is reported if there is no terminal.
pub(super) const OFTEN: Duration = Duration::from_secs(5);

impl StepBar {
    pub(super) fn new(silent: bool, steps: usize) -> Self {
        let bar = if silent { ProgressBar::hidden() } else { drawn(steps) };
        let said = (!silent && bar.is_hidden()).then(|| Mutex::new(Instant::now()));
        Self { bar, said }
    }

    /// Records one more completed step.
    pub(crate) fn step(&self, what: &str) {
        self.bar.set_message(clean::line(what).into_owned());
        self.bar.inc(1);
        let Some(said) = &self.said else { return };
        let mut said = lock(said);
        if said.elapsed() >= OFTEN {
            *said = Instant::now();
            let (at, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            printer::quoted_err(&style::paint(DIM, format!("  {at} of {all}  {}", clean::line(what))));
        }
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A bar on standard error; if that is not a terminal, nothing is drawn.
fn drawn(steps: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr_with_hz(10));
    match ProgressStyle::with_template("  {bar:40.green} {pos}/{len}  {elapsed} of about {duration}  {msg}") {
        Ok(form) => bar.with_style(form),
        Err(_) => bar,
    }
}

/// How the progress of a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgressMode {
    Silent,
    Text,
    /// A JSON line for whatever takes long; the result follows at the end.
    Json,
}

/// Shows a run on the terminal, or line by line in a pipe.
#[derive(Debug)]
pub(crate) struct RunDisplay {
    voice: ProgressMode,
    /// The widths of the longest version and of the longest name, once the migrations are known.
    width: OnceLock<(usize, usize)>,
    bar: Mutex<Option<ProgressBar>>,
    said: Mutex<Option<i32>>,
}

impl RunDisplay {
    pub(super) fn new(voice: ProgressMode) -> Self {
        Self { voice, width: OnceLock::new(), bar: Mutex::new(None), said: Mutex::new(None) }
    }

    /// Pads versions and names of migrations to the longest of these, so that the columns line up.
    pub(crate) fn line_up(&self, set: &MigrationSet) {
        let all = set.up_to(None);
        let longest = |of: &dyn Fn(&Migration) -> usize| all.iter().map(|one| of(one)).max().unwrap_or(0).min(WIDEST);
        let version = longest(&|one| one.version().as_str().chars().count());
        self.width.get_or_init(|| (version, longest(&|one| one.name().chars().count())));
    }

    /// Removes the bar; printed lines stay.
    pub(crate) fn end(&self) {
        if let Some(bar) = lock(&self.bar).take() {
            bar.finish_and_clear();
        }
    }

    fn begin(&self, steps: usize) {
        if steps < LONG {
            return;
        }
        *lock(&self.bar) = Some(drawn(steps));
    }

    fn done(&self, step: &PlanStep, elapsed: Duration) {
        let word = match step.direction {
            Direction::Up => style::paint(GOOD, "applied    "),
            Direction::Down => style::paint(WARN, "rolled back"),
        };
        let time = style::time(elapsed);
        let name = clean::line(&step.name);
        let (of_version, of_name) = self.width.get().copied().unwrap_or_default();
        let line = format!("  {word}  {:of_version$}  {name:of_name$}  {time:>9}", step.version);
        let bar = lock(&self.bar);
        match bar.as_ref() {
            Some(bar) => bar.suspend(|| printer::quoted(&line)),
            None => printer::quoted(&line),
        }
        if let Some(bar) = bar.as_ref() {
            bar.inc(1);
        }
    }

    /// Shows what has been running for a while: in the bar if one is visible, else as a line.
    fn running(&self, running: &RunningStep<'_>) {
        let what = running.step.map_or("the seed".to_owned(), |step| step.version.title(&step.name));
        let statements = match (running.statement, running.statements) {
            (Some(at), all) => format!(": statement {at} of {all}"),
            (None, 0) => String::new(),
            (None, all) => format!(": one of its {all} statements"),
        };
        let detail = running.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        let text = format!("{what}{statements} has been running for {}{detail}", style::time(running.elapsed));
        match lock(&self.bar).as_ref().filter(|bar| !bar.is_hidden()) {
            Some(bar) => bar.set_message(clean::line(&text).into_owned()),
            None => printer::quoted_err(&format!("  {}  {text}", style::paint(DIM, "running"))),
        }
    }

    /// The same for programs.
    fn tell(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Waiting(holder) if lock(&self.said).replace(holder.pid) != Some(holder.pid) => {
                ProgressEvent::of("waiting", None, Some(holder.to_string())).print();
            }
            Progress::Blocked(step, holders) => {
                let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
                ProgressEvent::of("blocked", Some(step), Some(holders.join("; "))).print();
            }
            Progress::Retry(step, attempt, of, _) => {
                ProgressEvent::of("retry", Some(step), Some(format!("attempt {attempt} of {of}"))).print();
            }
            Progress::Running(running) => ProgressEvent::running(running).print(),
            _ => {}
        }
    }

    fn say(&self, text: &str) {
        match lock(&self.bar).as_ref() {
            Some(bar) => bar.suspend(|| printer::quoted_err(text)),
            None => printer::quoted_err(text),
        }
    }
}

impl Observer for RunDisplay {
    fn hear(&self, progress: &Progress<'_>) {
        match self.voice {
            ProgressMode::Silent => return,
            ProgressMode::Json => return self.tell(progress),
            ProgressMode::Text => {}
        }
        match progress {
            Progress::Begin(steps) => self.begin(*steps),
            Progress::Done(step, elapsed) => self.done(step, *elapsed),
            // The lock is tried several times a second; a holder is reported only once.
            Progress::Waiting(holder) if lock(&self.said).replace(holder.pid) == Some(holder.pid) => {}
            Progress::Waiting(holder) => {
                let holder = holder.to_string();
                self.say(&format!("{} for another run: {}", style::paint(WARN, "waiting"), clean::line(&holder)));
            }
            Progress::Statement(step, at, all) => {
                self.say(&format!("  {DIM}{}: statement {at} of {all}{DIM:#}", step.version.title(&step.name)));
            }
            Progress::Blocked(step, holders) => {
                for holder in *holders {
                    let query = holder.query.as_ref().map(|query| format!(": {query}")).unwrap_or_default();
                    let who = format!("{} waits for a lock held by {holder}{query}", step.version.title(&step.name));
                    // A query of several lines, or one that imitates our output, becomes one line.
                    self.say(&format!("{} {}", style::paint(WARN, "blocked"), clean::line(&who)));
                }
            }
            Progress::Retry(step, attempt, of, pause) => {
                let title = step.version.title(&step.name);
                let pause = style::time(*pause);
                self.say(&format!(
                    "{} {title} did not get the lock; attempt {attempt} of {of} in {pause}",
                    style::paint(WARN, "retry")
                ));
            }
            Progress::Running(running) => self.running(running),
            Progress::Remark(text) => self.say(&spoken(text)),
            _ => {}
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
