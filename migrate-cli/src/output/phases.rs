//! Work in several phases of unknown duration: a spinner on a terminal, events for programs, and lines in a pipe if it
//! takes long.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::event::ProgressEvent;
use super::progress::{OFTEN, ProgressMode, lock};
use super::style::{self, DIM};
use super::{clean, printer};

/// How often the spinner on a terminal moves.
const TICK: Duration = Duration::from_millis(200);

/// The current phase, and since when it runs.
#[derive(Debug)]
pub(crate) struct Phases {
    voice: ProgressMode,
    bar: ProgressBar,
    began: Instant,
    now: Mutex<(String, Instant)>,
}

impl Phases {
    pub(super) fn new(voice: ProgressMode) -> Self {
        let target = match voice {
            ProgressMode::Text => ProgressDrawTarget::stderr_with_hz(10),
            ProgressMode::Silent | ProgressMode::Json => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is a valid constant.
        if let Ok(style) = ProgressStyle::with_template("  {spinner:.green} {msg}") {
            bar.set_style(style);
        }
        Self { voice, bar, began: Instant::now(), now: Mutex::new((String::new(), Instant::now())) }
    }

    /// Begins the next phase.
    pub(crate) fn begin(&self, what: &str) {
        *lock(&self.now) = (clean::line(what).into_owned(), Instant::now());
        self.say();
    }

    /// Does work, and repeatedly reports the current phase.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let pause = if self.bar.is_hidden() { OFTEN } else { TICK };
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = tokio::time::sleep(pause) => self.say(),
            }
        };
        self.bar.finish_and_clear();
        outcome
    }

    fn say(&self) {
        let (what, since) = lock(&self.now).clone();
        if what.is_empty() {
            return;
        }
        let elapsed = since.elapsed();
        let text = match elapsed < Duration::from_secs(1) {
            true => what,
            false => format!("{what} ({})", style::time(elapsed)),
        };
        match self.voice {
            ProgressMode::Silent => {}
            ProgressMode::Json => ProgressEvent::of("working", None, Some(text)).print(),
            ProgressMode::Text if self.bar.is_hidden() && self.began.elapsed() < OFTEN => {}
            ProgressMode::Text if self.bar.is_hidden() => printer::err(&style::paint(DIM, format!("  {text}"))),
            ProgressMode::Text => {
                self.bar.set_message(text);
                self.bar.tick();
            }
        }
    }
}
