//! The observer of a run: it shows the progress, and writes the run record as it grows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use migrate_core::{MigrationSet, Observer, Progress};

use super::{RecordFolder, RunRecord};
use crate::output::RunDisplay;

/// The minimum interval between two writes of a run record during a run. A record that takes long to write is written
/// less often, so that the run spends at most a tenth of its time on it.
const OFTEN: Duration = Duration::from_millis(200);
const SHARE: u32 = 10;

/// Shows a run, and keeps its run record if there is one.
#[derive(Debug)]
pub(crate) struct Keeper {
    display: Arc<RunDisplay>,
    open: Mutex<Option<OpenRecord>>,
}

#[derive(Debug)]
struct OpenRecord {
    record: RunRecord,
    folder: Option<RecordFolder>,
    written: Instant,
    /// How long the last write took.
    took: Duration,
}

impl Keeper {
    /// Creates one without a run record.
    pub(crate) fn new(display: Arc<RunDisplay>) -> Self {
        Self { display, open: Mutex::new(None) }
    }

    /// Aligns the lines of these migrations.
    pub(crate) fn line_up(&self, set: &MigrationSet) {
        self.display.line_up(set);
    }

    /// Removes the progress bar.
    pub(crate) fn end_display(&self) {
        self.display.end();
    }

    /// From here on, the run record is kept, and written if there is a folder for it.
    pub(crate) fn keep(&self, record: RunRecord, folder: Option<RecordFolder>) {
        *self.lock() = Some(OpenRecord { record, folder, written: Instant::now(), took: Duration::ZERO });
    }

    /// Takes the record at the end of the run, to complete it. If there is a folder, the caller has to close it.
    pub(crate) fn take(&self) -> Option<(RunRecord, Option<RecordFolder>)> {
        self.lock().take().map(|open| (open.record, open.folder))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<OpenRecord>> {
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
            // If this fails, writing the final record fails too and reports the error.
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
