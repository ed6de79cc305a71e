//! What happens while a run is under way, for programs: a JSON object in a line of its own on standard error.
//!
//! Its form is a promise: see docs/FORMATS.md.

use std::time::Duration;

use migrate_core::Database;
use migrate_core::runner::{Running, Step};
use serde::Serialize;

use super::json::FORMAT;
use super::{printer, style};

/// One thing that happens.
#[derive(Debug, Default, Serialize)]
pub(super) struct Event {
    format: u32,
    progress: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statements: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Event {
    /// Something runs for longer.
    pub(super) fn running(running: &Running<'_>) -> Self {
        let seed = Self::of("running", None, running.detail.clone());
        let event = running.step.map_or(seed, |step| Self::of("running", Some(step), running.detail.clone()));
        Self {
            statement: running.statement,
            statements: Some(running.statements),
            milliseconds: Some(style::milliseconds(running.elapsed)),
            ..event
        }
    }

    /// A server is not there yet; the time is what is left.
    pub(super) fn waits(database: &Database, why: &str, left: Duration) -> Self {
        let detail = Some(format!("{database}: {why}"));
        Self { milliseconds: Some(style::milliseconds(left)), ..Self::of("unreachable", None, detail) }
    }

    /// Anything else that is told of a step, or of a run.
    pub(super) fn of(progress: &'static str, step: Option<&Step>, detail: Option<String>) -> Self {
        Self {
            format: FORMAT,
            progress,
            direction: step.map(|step| step.direction.as_str()),
            version: step.map(|step| step.version.to_string()),
            name: step.map(|step| step.name.clone()),
            detail,
            ..Self::default()
        }
    }

    /// Writes it.
    pub(super) fn print(&self) {
        // Texts and numbers always become JSON.
        if let Ok(line) = serde_json::to_string(self) {
            printer::event(&line);
        }
    }
}
