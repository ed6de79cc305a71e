//! Which statement of a migration a query suffers from: pure, from names.

use std::collections::BTreeSet;

use migrate_core::finding::Place;
use migrate_core::ident::literal;
use migrate_core::lint::{self, Part};
use migrate_core::schema::{Change, Id, Kind, Object};
use migrate_core::source::Migration;
use migrate_core::sql;

/// A migration, and the statement of it that is meant.
#[derive(Debug, Clone)]
pub(super) struct Culprit {
    /// The statement, or the file where it cannot be told.
    pub(super) place: Place,
    /// Where that is, with the statement in a line.
    pub(super) told: String,
}

/// What a statement is looked for by.
pub(super) struct Sought<'a> {
    /// The text of the query.
    pub(super) query: &'a str,
    /// What the fault is about.
    pub(super) about: &'a dyn Fn(&Id) -> bool,
    /// The label of an enum that the query has, where that is what is gone.
    pub(super) label: Option<&'a str>,
    /// What a constraint asks for, where it is one: its statement need not have its name.
    pub(super) definition: Option<&'a str>,
    /// What is said of the query, which may name what is meant.
    pub(super) message: &'a str,
}

impl Culprit {
    /// The statement that took a label away; else the first one that names most of what changed and the query has: where it can
    /// be told, of what is `about`. What stands in a block is a statement of its own.
    pub(super) fn find(migration: &Migration, change: &Change, sought: &Sought<'_>) -> Self {
        let script = migration.up_script();
        let statements = script.map(|script| lint::statements(script)).unwrap_or_default();
        let label = sought.label.and_then(|label| without_label(&statements, change, sought.about, label));
        let found =
            label.or_else(|| sought.definition.and_then(|text| asking(&statements, change, sought.about, text)));
        let found = found.or_else(|| among(&statements, change, sought, sought.about));
        let found = found.or_else(|| among(&statements, change, sought, &|_| true));
        match (script, found) {
            (Some(script), Some(part)) => {
                let place = Place::within(script.path(), script.text().clone(), part.span.clone());
                let line = place.line_column().map_or(1, |(line, _)| line);
                let told = format!("{}:{line}: {}", script.path().display(), in_a_line(&part.text));
                Self { place, told }
            }
            _ => Self { place: Place::file(migration.path()), told: migration.path().display().to_string() },
        }
    }
}

/// The statement that renames the label, or makes the type without it; else one that gives the type another name or drops it.
fn without_label<'a>(
    statements: &'a [Part],
    change: &Change,
    about: &dyn Fn(&Id) -> bool,
    label: &str,
) -> Option<&'a Part> {
    let quoted = literal(label);
    let types: Vec<&str> = change.objects().map(|(id, ..)| id).filter(|id| about(id)).map(|id| &*id.name).collect();
    let weight = |text: &str| {
        let words = sql::words(text);
        let is = |at: usize, word: &str| words.get(at).is_some_and(|one| one.eq_ignore_ascii_case(word));
        if !is(1, "type") {
            return 0;
        }
        let is_meant = types.iter().any(|name| has(&self::words(text), name));
        let renames = words.windows(3).any(|three| {
            three[0].eq_ignore_ascii_case("rename") && three[1].eq_ignore_ascii_case("value") && three[2] == quoted
        });
        match () {
            () if is(0, "alter") && renames => 4,
            () if is(0, "create") && is_meant && !words.contains(&quoted.as_str()) => 3,
            () if is(0, "drop") && is_meant => 2,
            () if is(0, "alter") && is_meant => 1,
            () => 0,
        }
    };
    best(statements, weight)
}

/// The statement that asks for most of what a constraint does, of those about its table; one with its name is the one. What is
/// asked of a column is asked in a statement with its name.
fn asking<'a>(
    statements: &'a [Part],
    change: &Change,
    about: &dyn Fn(&Id) -> bool,
    definition: &str,
) -> Option<&'a Part> {
    let id = change.objects().map(|(id, ..)| id).find(|id| about(id))?;
    let (asked, is) = (terms(definition), |text: &str, word: &str| words(text).contains(word));
    let weight = |text: &str| {
        let own = names(text);
        let makes = is(text, "create") || is(text, "add") || is(text, "alter");
        let is_about = makes && (has(&own, &id.parent) || id.kind == Kind::Domain && has(&own, &id.name));
        let own = terms(text);
        let shared = asked.iter().filter(|term| own.contains(term.as_str())).count();
        match is_about {
            true if id.kind == Kind::Column && !has(&names(text), &id.name) => 0,
            true if id.kind != Kind::Column && has(&names(text), &id.name) => u32::MAX,
            true => u32::try_from(shared).unwrap_or(u32::MAX),
            false => 0,
        }
    };
    best(statements, weight)
}

/// The words and literals of a text in lower case, without what the server adds when it writes a definition.
fn terms(text: &str) -> BTreeSet<String> {
    let words = sql::words(text).into_iter().map(|word| word.trim_matches('"').to_lowercase());
    words
        .filter(|word| {
            word.chars().any(char::is_alphanumeric) || matches!(word.as_str(), "<" | ">" | "<=" | ">=" | "=" | "<>")
        })
        .collect()
}

/// Something that changed.
struct Changed<'a> {
    id: &'a Id,
    /// How much of it the query and what is said of it have.
    shared: u32,
    /// Words of which a statement that does this has one.
    by: &'static [&'static str],
}

impl<'a> Changed<'a> {
    fn new(
        query: &BTreeSet<String>,
        message: &BTreeSet<String>,
        change: (&'a Id, Option<&Object>, Option<&Object>),
    ) -> Self {
        let (id, before, after) = change;
        let of = |one: Option<&Object>| one.and_then(|one| one.fact("type")).map(str::to_owned);
        let retyped = of(before).zip(of(after)).filter(|(old, new)| old != new);
        let is_said = has(message, &id.name) || retyped.as_ref().is_some_and(|(_, new)| has(message, new));
        let is_asked = [has(query, &id.name), !id.parent.is_empty() && has(query, &id.parent)];
        let asked: u32 = is_asked.into_iter().map(u32::from).sum();
        let by: &[&str] = match (before, after) {
            _ if retyped.is_some() => &["type"],
            (Some(_), None) => &["drop", "rename"],
            _ => &[],
        };
        Self { id, shared: asked + 2 * u32::from(is_said), by }
    }

    /// How likely a statement with these names did this.
    fn weight(&self, own: &BTreeSet<String>) -> u32 {
        let Self { id, shared, by } = self;
        let (name, parent) = (has(own, &id.name), id.parent.is_empty() || has(own, &id.parent));
        match (name, parent) {
            (true, true) => 4 + 2 * shared + u32::from(by.iter().any(|word| own.contains(*word))),
            (_, true) => 1 + shared,
            // An index or a trigger has a name of its own, and is dropped without that of its table.
            (true, false) if matches!(id.kind, Kind::Index | Kind::Constraint | Kind::Trigger) => 3 + shared,
            _ => 0,
        }
    }
}

/// The first statement that names most of what changed, and that the query or what is said of it have.
fn among<'a>(
    statements: &'a [Part],
    change: &Change,
    sought: &Sought<'_>,
    about: &dyn Fn(&Id) -> bool,
) -> Option<&'a Part> {
    let (query, message) = (names(sought.query), words(sought.message));
    let changed = change.objects().filter(|(id, ..)| about(id)).map(|one| Changed::new(&query, &message, one));
    let changed: Vec<Changed<'_>> = changed.collect();
    best(statements, |text| {
        let own = names(text);
        let weights = changed.iter().filter(|_| !changes_rows(text)).map(|one| one.weight(&own));
        weights.max().unwrap_or(0)
    })
}

/// Whether a statement changes rows alone: no query fails because of that.
fn changes_rows(statement: &str) -> bool {
    let first = sql::words(statement).first().map(|word| word.to_ascii_lowercase());
    matches!(
        first.as_deref(),
        Some("update" | "insert" | "delete" | "merge" | "truncate" | "copy" | "with" | "comment")
    )
}

/// The first of the heaviest statements.
fn best(statements: &[Part], weight: impl Fn(&str) -> u32) -> Option<&Part> {
    let weighed = statements.iter().map(|part| (part, weight(&part.text)));
    let best = weighed.rev().max_by_key(|(_, weight)| *weight).filter(|(_, weight)| *weight > 0);
    best.map(|(part, _)| part)
}

/// The names in a statement: what stands in literals and comments is none. A text that is run is read as it is.
fn names(statement: &str) -> BTreeSet<String> {
    let all = sql::words(statement);
    match all.first().map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("execute" | "do" | "create" | "for") => words(statement),
        _ => all.iter().filter(|word| !word.contains('\'')).flat_map(|word| words(word)).collect(),
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
