//! Whoever hears a run: shows it, and writes the record as it grows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use migrate_core::MigrationSet;
use migrate_core::runner::{Observer, Progress};

use super::{Folder, Record};
use crate::output::Display;

/// How often a record is written at most while a run is in progress; one that takes long to write is written less often, so
/// that the run does not wait for its record more than a tenth of its time.
const OFTEN: Duration = Duration::from_millis(200);
const SHARE: u32 = 10;

/// Shows a run, and keeps its record where there is one.
#[derive(Debug)]
pub(crate) struct Keeper {
    display: Arc<Display>,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    record: Record,
    folder: Option<Folder>,
    written: Instant,
    /// How long it took to write it last.
    took: Duration,
}

impl Keeper {
    /// One that only shows.
    pub(crate) fn new(display: Arc<Display>) -> Self {
        Self { display, open: Mutex::new(None) }
    }

    /// Lets the lines of these migrations line up.
    pub(crate) fn line_up(&self, set: &MigrationSet) {
        self.display.line_up(set);
    }

    /// Takes the bar away.
    pub(crate) fn end_display(&self) {
        self.display.end();
    }

    /// From here on the record is kept, and written where there is a folder for it.
    pub(crate) fn keep(&self, record: Record, folder: Option<Folder>) {
        *self.lock() = Some(Open { record, folder, written: Instant::now(), took: Duration::ZERO });
    }

    /// The record of the run that ended, for its last words; where a folder is, it is to be closed.
    pub(crate) fn take(&self) -> Option<(Record, Option<Folder>)> {
        self.lock().take().map(|open| (open.record, open.folder))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step_done(&self, version: &str) {
        let mut guard = self.lock();
        let Some(open) = guard.as_mut() else { return };
        open.record.step_done(version);
        if open.written.elapsed() < OFTEN.max(open.took.saturating_mul(SHARE)) {
            return;
        }
        if let Some(folder) = &open.folder {
            let begin = Instant::now();
            // Where this fails the end will fail too, and say so.
            let _ = folder.write(&open.record);
            open.took = begin.elapsed();
        }
        open.written = Instant::now();
    }
}

impl Observer for Keeper {
    fn hear(&self, progress: &Progress<'_>) {
        self.display.hear(progress);
        if let Progress::Done(step, _) = progress {
            self.step_done(step.version.as_str());
        }
    }
}
