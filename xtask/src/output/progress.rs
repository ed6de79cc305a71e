//! A run as it happens: a line for each migration, a bar for a long chain, who is in the way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use migrate_core::ledger::Direction;
use migrate_core::runner::{Observer, Progress, Step};

use super::style::{self, DIM, GOOD, WARN};
use super::{clean, printer};

/// From how many steps on a bar is worth its line.
const LONG: usize = 20;

/// A bar for work whose result is shown at its end.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(silent: bool, steps: usize) -> Self {
        Self(if silent { ProgressBar::hidden() } else { drawn(steps) })
    }

    /// One more step is done.
    pub(crate) fn step(&self, what: &str) {
        self.0.set_message(clean::line(what).into_owned());
        self.0.inc(1);
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A bar on standard error; where that is no terminal it draws nothing.
fn drawn(steps: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr_with_hz(10));
    match ProgressStyle::with_template("  {bar:40.green} {pos}/{len}  {elapsed} of about {duration}  {msg}") {
        Ok(form) => bar.with_style(form),
        Err(_) => bar,
    }
}

/// Shows a run on the terminal, or line by line in a pipe.
#[derive(Debug)]
pub(crate) struct Display {
    silent: bool,
    width: usize,
    bar: Mutex<Option<ProgressBar>>,
    said: Mutex<Option<i32>>,
}

impl Display {
    pub(super) fn new(silent: bool, width: usize) -> Self {
        Self { silent, width, bar: Mutex::new(None), said: Mutex::new(None) }
    }

    /// Takes the bar away; what was printed stays.
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

    fn done(&self, step: &Step, elapsed: Duration) {
        let word = match step.direction {
            Direction::Up => style::paint(GOOD, "applied    "),
            Direction::Down => style::paint(WARN, "rolled back"),
        };
        let time = style::time(elapsed);
        let name = clean::line(&step.name);
        let line = format!("  {word}  {}  {name:width$}  {time:>9}", step.version, width = self.width);
        let bar = lock(&self.bar);
        match bar.as_ref() {
            Some(bar) => bar.suspend(|| printer::quoted(&line)),
            None => printer::quoted(&line),
        }
        if let Some(bar) = bar.as_ref() {
            bar.inc(1);
        }
    }

    fn say(&self, text: &str) {
        match lock(&self.bar).as_ref() {
            Some(bar) => bar.suspend(|| printer::err(text)),
            None => printer::err(text),
        }
    }
}

impl Observer for Display {
    fn hear(&self, progress: &Progress<'_>) {
        if self.silent {
            return;
        }
        match progress {
            Progress::Begin(steps) => self.begin(*steps),
            Progress::Done(step, elapsed) => self.done(step, *elapsed),
            // The lock is asked for several times a second; one holder is told once.
            Progress::Waiting(holder) if lock(&self.said).replace(holder.pid) == Some(holder.pid) => {}
            Progress::Waiting(holder) => {
                let holder = holder.to_string();
                self.say(&format!("{} for another run: {}", style::paint(WARN, "waiting"), clean::line(&holder)));
            }
            Progress::Statement(step, at, all) => {
                self.say(&format!("  {}{}_{}: statement {at} of {all}{DIM:#}", DIM, step.version, step.name));
            }
            Progress::Blocked(step, holders) => {
                for holder in *holders {
                    let query = holder.query.as_ref().map(|query| format!(": {query}")).unwrap_or_default();
                    let who = format!("{}_{} waits for a lock of {holder}{query}", step.version, step.name);
                    // A query of several lines, or of somebody who would like it to look like ours, is one line.
                    self.say(&format!("{} {}", style::paint(WARN, "blocked"), clean::line(&who)));
                }
            }
            Progress::Retry(step, attempt, of, pause) => {
                let (version, name) = (&step.version, &step.name);
                let pause = style::time(*pause);
                self.say(&format!(
                    "{} {version}_{name} got no lock; try {attempt} of {of} in {pause}",
                    style::paint(WARN, "retry")
                ));
            }
            Progress::Remark(text) => self.say(text),
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
