//! A notification as a Slack message. See <https://docs.slack.dev/reference/block-kit/blocks>.

use std::time::Duration;

use serde_json::{Value, json};

use super::Notice;
use super::notice::ShortList;
use crate::output::{clean, style};

/// The limits of Slack, in characters: for a header, a field, and the text of a section.
const HEADER: usize = 150;
const FIELD: usize = 2000;
const SECTION: usize = 3000;
/// The maximum number of lines in a list; more would not be read in a channel.
const LINES: usize = 15;

/// The message.
pub(super) fn message(notice: &Notice) -> String {
    let title = title(notice);
    let header = json!({ "type": "header", "text": { "type": "plain_text", "text": clip(&title, HEADER) } });
    let mut blocks = vec![header, json!({ "type": "section", "fields": fields(notice) })];
    if let Some(error) = &notice.error {
        let place = error.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
        blocks.push(section(&format!("*Error* {}{}", error.code, escape(&place))));
    }
    let direction = notice.direction.map(|direction| format!(", {direction}")).unwrap_or_default();
    let (done, not_done) = match notice.event {
        "start" => ("Migrations done", "Migrations to run"),
        _ => ("Migrations", "Migrations not done"),
    };
    blocks.extend(list(&format!("{done}{direction}"), &notice.done, String::clone));
    blocks.extend(list(&format!("{not_done}{direction}"), &notice.not_done, String::clone));
    let of_data = match (notice.keeps_data, notice.event) {
        (true, _) => "Data removed, and kept",
        (false, "start") => "Data that will be lost",
        (false, _) => "Data lost",
    };
    blocks.extend(list(of_data, &notice.losses, String::clone));
    blocks.extend(list("Difference", &notice.difference, String::clone));
    blocks.extend(list("Rows", &notice.rows, |change| {
        let shown =
            |rows: Option<crate::record::TableState>| rows.map_or("none".to_owned(), |rows| rows.rows.to_string());
        format!("{}: {} → {}", change.table, shown(change.before), shown(change.after))
    }));
    if let Some(record) = &notice.record {
        let text = clip(&format!("record: {}", escape(record)), FIELD);
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }));
    }
    json!({ "text": escape(&title), "blocks": blocks }).to_string()
}

/// `✅ rollback of production: done`, for the header and for the notification on a phone.
fn title(notice: &Notice) -> String {
    let (environment, found) = (&notice.environment, notice.difference.len());
    let (sign, what) = match notice.event {
        "start" => ("⏳", "started".to_owned()),
        "success" => ("✅", "done".to_owned()),
        "drift" if found == 0 => ("✅", "resolved".to_owned()),
        "drift" => ("⚠️", style::count(found, "difference")),
        _ => ("❌", "failed".to_owned()),
    };
    format!("{sign} {} of {environment}: {what}{}", notice.command, subject(notice))
}

/// The migrations in question, the first one by name, because many people read only the title.
fn subject(notice: &Notice) -> String {
    let all = if notice.not_done.len() > 0 { &notice.not_done } else { &notice.done };
    let first = all.first.first().map(String::as_str).unwrap_or_default();
    match all.len() {
        0 => String::new(),
        1 => format!(", {first}"),
        many => format!(", {first} and {} more", many - 1),
    }
}

fn fields(notice: &Notice) -> Vec<Value> {
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "empty".to_owned());
    let versions = match notice.event {
        "start" | "drift" => version(&notice.version_before),
        _ => format!("{} → {}", version(&notice.version_before), version(&notice.version_after)),
    };
    let count = match notice.event {
        "start" => Some(format!("{} to run", notice.not_done.len())),
        "drift" => None,
        _ => Some(format!("{} done, {} not", notice.done.len(), notice.not_done.len())),
    };
    let took = notice.milliseconds.map(|ms| style::time(Duration::from_secs_f64((ms / 1000.0).max(0.0))));
    let facts = [
        ("Version", Some(versions)),
        ("Migrations", count),
        ("Database", Some(notice.database.clone())),
        ("Who", Some(notice.actor.clone())),
        ("Reason", notice.reason.clone()),
        ("Duration", took),
    ];
    let field = |(name, value): (&str, Option<String>)| {
        let text = clip(&format!("*{name}*\n{}", escape(&value?)), FIELD);
        Some(json!({ "type": "mrkdwn", "text": text }))
    };
    facts.into_iter().filter_map(field).collect()
}

/// A list as a section; items that do not fit are counted.
fn list<T>(title: &str, items: &ShortList<T>, line: impl Fn(&T) -> String) -> Option<Value> {
    if items.len() == 0 {
        return None;
    }
    let mut text = format!("*{title}*");
    let mut shown = 0;
    for item in items.first.iter().take(LINES) {
        let next = format!("\n• {}", escape(&line(item)));
        // Room for the line with the count.
        if text.chars().count() + next.chars().count() + 40 > SECTION {
            break;
        }
        text.push_str(&next);
        shown += 1;
    }
    if shown < items.len() {
        text.push_str(&format!("\n… and {} more", items.len() - shown));
    }
    Some(section(&text))
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": clip(text, SECTION) } })
}

/// Escapes the three characters with a special meaning in every text, so that it mentions nobody and contains no links.
/// See <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn escape(text: &str) -> String {
    clean::lines(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text, or its beginning if it is too long.
fn clip(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
