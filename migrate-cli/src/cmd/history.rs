//! `history`: who did what, when, from which commit, on which host, and how long it took.

use std::time::Duration;

use migrate_core::source::title;
use migrate_core::{CodeMigrations, HistoryEntry};
use serde::Serialize;

use crate::cli::HistoryArgs;
use crate::context::{Context, MigratorOptions};
use crate::exit::{Exit, Result};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN};
use crate::output::{DocumentJson, TextTable};

#[derive(Serialize)]
struct HistoryJson {
    events: Vec<HistoryEventJson>,
}

#[derive(Serialize)]
struct HistoryEventJson {
    id: i64,
    event: String,
    direction: Option<String>,
    version: Option<String>,
    name: Option<String>,
    statement: Option<usize>,
    batch: i64,
    at: String,
    milliseconds: Option<f64>,
    role: String,
    actor: Option<String>,
    host: Option<String>,
    application: Option<String>,
    commit: Option<String>,
    tool: String,
    up_checksum: Option<String>,
    down_checksum: Option<String>,
    fingerprint: Option<String>,
    note: Option<String>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &HistoryArgs) -> Result<Exit> {
    let mut migrator = context.migrator(code, MigratorOptions::reading()).await?;
    let mut events = migrator.history().await?;
    migrator.close().await;
    let output = context.output;
    if !output.verbose && !output.is_json() {
        events.retain(|event| event.event != "observed");
    }
    if let Some(count) = options.count {
        events.drain(..events.len().saturating_sub(count));
    }
    if events.is_empty() {
        output.line(format!("no events are recorded in {}", context.name));
    }
    output.lines(&table(&events).lines());
    let events = events.into_iter().map(HistoryEventJson::from).collect();
    output.document(&DocumentJson::new("history", &context.name, HistoryJson { events }));
    Ok(Exit::Done)
}

/// The table of events, one row for each.
fn table(events: &[HistoryEntry]) -> TextTable {
    let mut table = TextTable::default();
    let plain = style::PLAIN;
    for event in events {
        let style = match event.event.as_str() {
            "applied" | "baselined" | "repeated" => GOOD,
            "rolled_back" => WARN,
            "failed" => BAD,
            _ => DIM,
        };
        let what = match (&event.version, &event.name) {
            (Some(version), Some(name)) => title(version, name),
            _ => event.fingerprint.clone().unwrap_or_default().chars().take(24).collect(),
        };
        let word = match event.statement {
            Some(statement) => format!("{} {statement}", event.event),
            None => event.event.replace('_', " "),
        };
        let who = event.actor.as_ref().map_or(event.role.clone(), |actor| format!("{actor} (role {})", event.role));
        let time = event.milliseconds.map(|ms| style::time(Duration::from_secs_f64((ms / 1000.0).max(0.0))));
        let commit = event.commit.as_deref().map(short).unwrap_or_default();
        let mut row = vec![
            (DIM, style::moment(&event.at)),
            (style, word),
            (BOLD, what),
            (plain, time.unwrap_or_default()),
            (plain, who),
            (DIM, event.host.clone().unwrap_or_default()),
            (DIM, commit),
        ];
        row.extend(event.note.clone().map(|note| (DIM, note)));
        table.row(row);
    }
    table
}

/// The first digits of a commit, and whether the checkout had uncommitted changes.
fn short(commit: &str) -> String {
    let dirty = if commit.ends_with("-dirty") { "-dirty" } else { "" };
    format!("{}{dirty}", commit.chars().take(9).collect::<String>().trim_end_matches("-dirty"))
}

impl From<HistoryEntry> for HistoryEventJson {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            id: entry.id,
            event: entry.event,
            direction: entry.direction,
            version: entry.version,
            name: entry.name,
            statement: entry.statement,
            batch: entry.batch,
            at: entry.at,
            milliseconds: entry.milliseconds,
            role: entry.role,
            actor: entry.actor,
            host: entry.host,
            application: entry.application,
            commit: entry.commit,
            tool: entry.tool,
            up_checksum: entry.up_checksum,
            down_checksum: entry.down_checksum,
            fingerprint: entry.fingerprint,
            note: entry.note,
        }
    }
}
