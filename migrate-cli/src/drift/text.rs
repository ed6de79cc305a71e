//! Drift for the terminal.

use migrate_core::Version;
use migrate_core::drift::ChangePeriod;

use super::{DriftChain, DriftComparison, TracedDifference};
use crate::output::style::{self, BOLD, DIM, WARN, paint};

/// How many characters of a statement are shown at most.
const WIDTH: usize = 160;

/// A paragraph for each difference: what differs, who made the object, since when, and who changed it.
pub(crate) fn lines(look: &DriftComparison, chain: &DriftChain) -> Vec<String> {
    let mut lines = Vec::new();
    for found in &look.found {
        lines.extend(found.difference.sentences.iter().map(|sentence| format!("  {BOLD}{sentence}{BOLD:#}")));
        let story = [origin(found, chain), since(found, look), by(found, look)];
        lines.extend(story.into_iter().flatten().map(|line| format!("      {line}")));
    }
    lines.extend(look.notes.iter().map(|note| paint(DIM, format!("  {note}, which is not drift"))));
    let due = look.due.iter().map(|one| format!("  {one} has to run again, and what it makes was not compared"));
    lines.extend(due.map(|line| paint(DIM, line)));
    lines
}

fn origin(found: &TracedDifference, chain: &DriftChain) -> Option<String> {
    let name = |version: &Version| {
        let migration = chain.applied.iter().find(|one| one.version() == version);
        migration.map_or(version.to_string(), |one| version.title(one.name()))
    };
    let parts = [
        ("made by", &found.origin.made),
        ("last altered by", &found.origin.altered),
        ("dropped by", &found.origin.dropped),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter_map(|(word, version)| Some(format!("{word} {}", name(version.as_ref()?)))).collect();
    (!parts.is_empty()).then(|| paint(DIM, parts.join(", ")))
}

/// When the difference came about. If there is an audit record, only what runs saw is worth a line.
fn since(found: &TracedDifference, look: &DriftComparison) -> Option<String> {
    let ChangePeriod { after, before, .. } = &found.bounds;
    let moment = |at: &String| style::moment(at);
    let text = match (after, before, &look.changed_since) {
        (Some(after), Some(before), _) => {
            format!(
                "after {} and before {}: one run saw the schema without it, a later run with it",
                moment(after),
                moment(before)
            )
        }
        (Some(after), None, _) => format!("after {}, when a run saw the schema without it", moment(after)),
        (None, Some(before), _) => format!("before {}, when a run saw the schema with it", moment(before)),
        (None, None, _) if found.record.is_some() => return None,
        (None, None, Some(last)) => {
            format!("time unknown; the schema changed after {}, when the last run ended", moment(last))
        }
        (None, None, None) => "time unknown: no run left a fingerprint that shows it".to_owned(),
    };
    Some(paint(DIM, text))
}

fn by(found: &TracedDifference, look: &DriftComparison) -> Option<String> {
    let Some(record) = &found.record else {
        let is_on = look.recording.on && look.recording.has_records;
        return is_on.then(|| paint(DIM, "no audit record: it was done before recording started, or bypassed it"));
    };
    let statement = record.statement.as_deref().unwrap_or("text not recorded, because it may contain a password");
    let flat = one_line(statement);
    let short: String = flat.chars().take(WIDTH).collect();
    let more = if short.len() < flat.len() { " …" } else { "" };
    Some(format!("{} at {}, {}: {short}{more}", paint(WARN, record.by()), style::moment(&record.at), record.command))
}

/// A statement on one line.
pub(super) fn one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}
