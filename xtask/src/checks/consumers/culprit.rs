//! Which statement of a migration a query suffers from: pure, from names.

use std::collections::BTreeSet;

use migrate_core::finding::Place;
use migrate_core::schema::{Change, Id, Kind};
use migrate_core::source::Migration;

/// A migration, and the statement of it that is meant.
#[derive(Debug, Clone)]
pub(super) struct Culprit {
    /// The statement, or the file where it cannot be told.
    pub(super) place: Place,
    /// Where that is, with the statement in a line.
    pub(super) told: String,
}

impl Culprit {
    /// The first statement that names most of what changed and the query has; where it can be told, of what is `about`.
    pub(super) fn find(migration: &Migration, change: &Change, query: &str, about: &dyn Fn(&Id) -> bool) -> Self {
        let found = Self::among(migration, change, query, about);
        found.or_else(|| Self::among(migration, change, query, &|_| true)).unwrap_or_else(|| Self {
            place: Place::file(migration.path()),
            told: migration.path().display().to_string(),
        })
    }

    fn among(migration: &Migration, change: &Change, query: &str, about: &dyn Fn(&Id) -> bool) -> Option<Self> {
        let script = migration.up_script()?;
        let query = words(query);
        let named: Vec<(&Id, u32)> = change
            .objects()
            .map(|(id, ..)| id)
            .filter(|id| about(id))
            .map(|id| {
                (id, u32::from(has(&query, &id.name)) + u32::from(!id.parent.is_empty() && has(&query, &id.parent)))
            })
            .collect();
        let weight = |text: &str| {
            let own = words(text);
            let of = |(id, shared): &(&Id, u32)| {
                let (name, parent) = (has(&own, &id.name), id.parent.is_empty() || has(&own, &id.parent));
                match (name, parent) {
                    (true, true) => 4 + 2 * shared,
                    (_, true) => 1 + shared,
                    // An index or a trigger has a name of its own, and is dropped without that of its table.
                    (true, false) if matches!(id.kind, Kind::Index | Kind::Constraint | Kind::Trigger) => 3 + shared,
                    _ => 0,
                }
            };
            named.iter().map(of).max().unwrap_or(0)
        };
        let statements =
            script.statements().iter().map(|one| (one.span.clone(), weight(&script.text()[one.span.clone()])));
        let best = statements.rev().max_by_key(|(_, weight)| *weight).filter(|(_, weight)| *weight > 0);
        let (span, _) = best?;
        let place = Place::within(script.path(), script.text().clone(), span.clone());
        let line = place.line_column().map_or(1, |(line, _)| line);
        let told = format!("{}:{line}: {}", script.path().display(), in_a_line(&script.text()[span]));
        Some(Self { place, told })
    }
}

/// The words of a text in lower case.
fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn has(own: &BTreeSet<String>, name: &str) -> bool {
    words(name).iter().all(|word| own.contains(word))
}

/// A statement without the breaks in it, as long as a line.
fn in_a_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(90) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
