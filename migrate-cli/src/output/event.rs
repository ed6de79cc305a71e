//! Progress events for programs: one JSON object per line on standard error.
//!
//! The format is stable: see docs/FORMATS.md.

use std::time::Duration;

use migrate_core::{Database, PlanStep, RunningStep};
use serde::Serialize;

use super::json::FORMAT;
use super::{printer, style};

/// A progress event.
#[derive(Debug, Default, Serialize)]
pub(super) struct ProgressEvent {
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

impl ProgressEvent {
    /// A statement or script has been running for a while.
    pub(super) fn running(running: &RunningStep<'_>) -> Self {
        let seed = Self::of("running", None, running.detail.clone());
        let event = running.step.map_or(seed, |step| Self::of("running", Some(step), running.detail.clone()));
        Self {
            statement: running.statement,
            statements: Some(running.statements),
            milliseconds: Some(style::milliseconds(running.elapsed)),
            ..event
        }
    }

    /// The server is not reachable yet; the time is the remaining wait.
    pub(super) fn waits(database: &Database, why: &str, left: Duration) -> Self {
        let detail = Some(format!("{database}: {why}"));
        Self { milliseconds: Some(style::milliseconds(left)), ..Self::of("unreachable", None, detail) }
    }

    /// Any other event about a step or a run.
    pub(super) fn of(progress: &'static str, step: Option<&PlanStep>, detail: Option<String>) -> Self {
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

    /// Prints the event.
    pub(super) fn print(&self) {
        // Strings and numbers can always be serialized.
        if let Ok(line) = serde_json::to_string(self) {
            printer::event(&line);
        }
    }
}
