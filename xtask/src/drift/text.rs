//! Drift for people.

use migrate_core::Version;
use migrate_core::drift::Bounds;

use super::{Chain, Found, Look};
use crate::output::style::{self, BOLD, DIM, WARN, paint};

/// How much of a statement is shown.
const WIDTH: usize = 160;

/// A paragraph for each difference: what, who made the object, since when, and who did it.
pub(crate) fn lines(look: &Look, chain: &Chain) -> Vec<String> {
    let mut lines = Vec::new();
    for found in &look.found {
        lines.extend(found.difference.sentences.iter().map(|sentence| format!("  {BOLD}{sentence}{BOLD:#}")));
        let story = [origin(found, chain), since(found, look), by(found, look)];
        lines.extend(story.into_iter().flatten().map(|line| format!("      {line}")));
    }
    lines.extend(look.notes.iter().map(|note| paint(DIM, format!("  {note}, which is no drift"))));
    lines
}

fn origin(found: &Found, chain: &Chain) -> Option<String> {
    let name = |version: &Version| {
        let migration = chain.applied.iter().find(|one| one.version() == version);
        migration.map_or(version.to_string(), |one| format!("{version}_{}", one.name()))
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

/// When it came about; where the record tells, only what a run saw is worth a line.
fn since(found: &Found, look: &Look) -> Option<String> {
    let Bounds { after, before } = &found.bounds;
    let moment = |at: &String| style::moment(at);
    let text = match (after, before, &look.changed_since) {
        (Some(after), Some(before), _) => {
            format!(
                "after {}, and before {}: runs saw the schema without it, then with it",
                moment(after),
                moment(before)
            )
        }
        (Some(after), None, _) => format!("after {}, when a run saw the schema without it", moment(after)),
        (None, Some(before), _) => format!("before {}, when a run saw the schema with it", moment(before)),
        (None, None, _) if found.record.is_some() => return None,
        (None, None, Some(last)) => {
            format!(
                "since when is not known; something in the schema changed after {}, when the last run ended",
                moment(last)
            )
        }
        (None, None, None) => "since when is not known: no run left a fingerprint that tells".to_owned(),
    };
    Some(paint(DIM, text))
}

fn by(found: &Found, look: &Look) -> Option<String> {
    let Some(record) = &found.record else {
        let is_on = look.recording.on && look.recording.has_records;
        return is_on.then(|| paint(DIM, "nobody is on record for it: it was done before the recording, or past it"));
    };
    let statement = record.statement.as_deref().unwrap_or("its text is not recorded, for it may hold a password");
    let flat = one_line(statement);
    let short: String = flat.chars().take(WIDTH).collect();
    let more = if short.len() < flat.len() { " …" } else { "" };
    Some(format!("{} at {}, {}: {short}{more}", paint(WARN, record.by()), style::moment(&record.at), record.command))
}

/// A statement on one line.
pub(super) fn one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}
