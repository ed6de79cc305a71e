//! The content of a notification: plain data about a run, without rows, values or secrets, and short enough to be
//! accepted.

use migrate_core::Actor;
use migrate_core::source::title;
use migrate_review::config::HookEvent;
use serde::Serialize;

use crate::record::{RowsChange, RunRecord};

/// The version of the format; it changes when a field is removed or changes its meaning.
const FORMAT: u32 = 1;
/// The maximum length of a list; the rest is counted.
const MOST: usize = 100;
/// The maximum length of a text, in characters.
const LONGEST: usize = 500;

/// A run at a moment. The format is stable: see docs/FORMATS.md.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Notice {
    format: u32,
    /// `start`, `success`, `failure` or `drift`.
    pub(crate) event: &'static str,
    pub(crate) command: &'static str,
    /// `up` or `down`, if it is about migrations.
    pub(crate) direction: Option<&'static str>,
    pub(crate) environment: String,
    pub(crate) database: String,
    pub(crate) version_before: Option<String>,
    pub(crate) version_after: Option<String>,
    pub(crate) actor: String,
    pub(crate) reason: Option<String>,
    pub(crate) milliseconds: Option<f64>,
    /// The committed migrations; none at the start.
    pub(crate) done: ShortList<String>,
    pub(crate) not_done: ShortList<String>,
    /// Whether the data that the run destroys is kept.
    pub(crate) keeps_data: bool,
    /// The data that the run destroys, in sentences with numbers of rows; at the end, only by the committed migrations.
    pub(crate) losses: ShortList<String>,
    /// The differences of the schema, in sentences.
    pub(crate) difference: ShortList<String>,
    pub(crate) rows: ShortList<RowsChange>,
    pub(crate) error: Option<ErrorNotice>,
    /// The folder of the run record, on the host of the run.
    pub(crate) record: Option<String>,
}

/// A list, or the beginning of one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShortList<T> {
    pub(crate) first: Vec<T>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// What went wrong. The message of the server is not included, because it may repeat values.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorNotice {
    pub(crate) code: &'static str,
    pub(crate) place: Option<String>,
}

impl Notice {
    /// The notification for a run record at a moment.
    pub(crate) fn of(record: &RunRecord, moment: HookEvent, folder: Option<&std::path::Path>) -> Self {
        let steps = &record.plan.steps;
        let named = |version: &String| {
            let name = steps.iter().find(|step| &step.version == version).map(|step| step.name.as_str());
            clip(&title(version, name.unwrap_or_default()))
        };
        let who = record.actor.user.as_deref().unwrap_or("unknown");
        let host = record.actor.host.as_deref().unwrap_or("an unknown host");
        let is_taken = |version: &String| moment == HookEvent::Start || record.done.contains(version);
        let losses = record.plan.losses.iter().filter(|loss| is_taken(&loss.version));
        let error = record.error.as_ref().and_then(|findings| findings.first());
        Self {
            format: FORMAT,
            event: moment.as_str(),
            command: record.command,
            direction: steps.first().map(|step| step.direction),
            environment: record.environment.clone(),
            database: record.database.clone(),
            version_before: record.version_before.clone(),
            version_after: record.version_after.clone(),
            actor: clip(&format!("{who}@{host}")),
            reason: record.reason.as_deref().map(clip),
            milliseconds: record.milliseconds,
            done: ShortList::of(record.done.iter().map(named)),
            not_done: ShortList::of(record.not_done.iter().map(named)),
            keeps_data: record.keeps_data,
            losses: ShortList::of(losses.map(|loss| clip(&loss.sentence()))),
            difference: ShortList::of(record.difference.iter().map(|line| clip(line))),
            rows: ShortList::of(record.rows.iter().cloned()),
            error: error.map(|finding| ErrorNotice { code: finding.code(), place: finding.place() }),
            record: folder.map(|folder| folder.display().to_string()),
        }
    }

    /// A test notification.
    pub(crate) fn of_nothing(environment: &str, database: &str) -> Self {
        let reason = Some("this is a test message; nothing was changed".to_owned());
        Self { reason, ..Self::blank(HookEvent::Success, "notify test", environment, database) }
    }

    /// The drift in sentences; empty if it is resolved.
    pub(crate) fn of_drift(environment: &str, database: &str, version: Option<String>, found: &[String]) -> Self {
        Self {
            version_before: version.clone(),
            version_after: version,
            difference: ShortList::of(found.iter().map(|line| clip(line))),
            ..Self::blank(HookEvent::Drift, "drift", environment, database)
        }
    }

    fn blank(moment: HookEvent, command: &'static str, environment: &str, database: &str) -> Self {
        let actor = Actor::from_environment("roundtrip");
        let (who, host) = (actor.user.as_deref(), actor.host.as_deref());
        Self {
            format: FORMAT,
            event: moment.as_str(),
            command,
            direction: None,
            environment: environment.to_owned(),
            database: database.to_owned(),
            version_before: None,
            version_after: None,
            actor: clip(&format!("{}@{}", who.unwrap_or("unknown"), host.unwrap_or("an unknown host"))),
            reason: None,
            milliseconds: None,
            done: ShortList::default(),
            not_done: ShortList::default(),
            keeps_data: false,
            losses: ShortList::default(),
            difference: ShortList::default(),
            rows: ShortList::default(),
            error: None,
            record: None,
        }
    }

    /// The notification as JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<T> Default for ShortList<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: 0 }
    }
}

impl<T> ShortList<T> {
    fn of(all: impl Iterator<Item = T>) -> Self {
        let mut first: Vec<T> = all.collect();
        let more = first.len().saturating_sub(MOST);
        first.truncate(MOST);
        Self { first, more }
    }

    /// The total number of items.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.more
    }
}

/// A text, or its beginning.
pub(crate) fn clip(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
