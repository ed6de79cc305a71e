//! The statement of a migration that breaks a query, found by names alone, without a server.

use std::collections::BTreeSet;

use migrate_base::finding::Place;
use migrate_base::ident::literal;
use migrate_base::sql;
use migrate_core::Migration;
use migrate_review::lint::{self, PlacedStatement};
use migrate_schema::{Id, Kind, Object, SchemaChange};

/// The statement of a migration that causes a fault.
#[derive(Debug, Clone)]
pub(super) struct Culprit {
    /// The statement, or the file if the statement is unknown.
    pub(super) place: Place,
    /// The place, with the statement on one line.
    pub(super) told: String,
}

/// The criteria for the statement to find.
pub(super) struct CulpritCriteria<'a> {
    /// The text of the query.
    pub(super) query: &'a str,
    /// The objects that the fault is about.
    pub(super) about: &'a dyn Fn(&Id) -> bool,
    /// The enum label in the query, if the label was removed.
    pub(super) label: Option<&'a str>,
    /// The definition of the constraint, if it is one: its statement need not contain its name.
    pub(super) definition: Option<&'a str>,
    /// The message of the fault, which may name the object.
    pub(super) message: &'a str,
}

impl Culprit {
    /// The statement that removed a label; else the first one that names most of what changed and occurs in the query,
    /// if possible among the objects that `about` accepts. A statement inside a block counts as a statement of its own.
    pub(super) fn find(migration: &Migration, change: &SchemaChange, sought: &CulpritCriteria<'_>) -> Self {
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

/// The statement that renames the label, or creates the type without it; else one that renames or drops the type.
fn without_label<'a>(
    statements: &'a [PlacedStatement],
    change: &SchemaChange,
    about: &dyn Fn(&Id) -> bool,
    label: &str,
) -> Option<&'a PlacedStatement> {
    let quoted = literal(label);
    let types: Vec<&str> = change.objects().map(|(id, ..)| id).filter(|id| about(id)).map(|id| &*id.name).collect();
    let weight = |text: &str| {
        let words = sql::tokens(text);
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

/// Of the statements about the table of a constraint, the one that shares most terms with its definition; one with the
/// name of the constraint wins. A constraint of a column needs a statement with the name of the column.
fn asking<'a>(
    statements: &'a [PlacedStatement],
    change: &SchemaChange,
    about: &dyn Fn(&Id) -> bool,
    definition: &str,
) -> Option<&'a PlacedStatement> {
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

/// The words and literals of a text in lower case, without what the server adds when it prints a definition.
fn terms(text: &str) -> BTreeSet<String> {
    let words = sql::tokens(text).into_iter().map(|word| word.trim_matches('"').to_lowercase());
    words
        .filter(|word| {
            word.chars().any(char::is_alphanumeric) || matches!(word.as_str(), "<" | ">" | "<=" | ">=" | "=" | "<>")
        })
        .collect()
}

/// An object that changed.
struct ChangedObject<'a> {
    id: &'a Id,
    /// How many of its names occur in the query and in the message.
    shared: u32,
    /// Words; a statement that makes this change contains one of them.
    by: &'static [&'static str],
}

impl<'a> ChangedObject<'a> {
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

    /// How likely it is that a statement with these names made this change.
    fn weight(&self, own: &BTreeSet<String>) -> u32 {
        let Self { id, shared, by } = self;
        let (name, parent) = (has(own, &id.name), id.parent.is_empty() || has(own, &id.parent));
        match (name, parent) {
            (true, true) => 4 + 2 * shared + u32::from(by.iter().any(|word| own.contains(*word))),
            (_, true) => 1 + shared,
            // An index or trigger has its own name, and is dropped without the name of its table.
            (true, false) if matches!(id.kind, Kind::Index | Kind::Constraint | Kind::Trigger) => 3 + shared,
            _ => 0,
        }
    }
}

/// The first statement that names most of the changed objects that occur in the query or the message.
fn among<'a>(
    statements: &'a [PlacedStatement],
    change: &SchemaChange,
    sought: &CulpritCriteria<'_>,
    about: &dyn Fn(&Id) -> bool,
) -> Option<&'a PlacedStatement> {
    let (query, message) = (names(sought.query), words(sought.message));
    let changed = change.objects().filter(|(id, ..)| about(id)).map(|one| ChangedObject::new(&query, &message, one));
    let changed: Vec<ChangedObject<'_>> = changed.collect();
    best(statements, |text| {
        let own = names(text);
        let weights = changed.iter().filter(|_| !changes_rows(text)).map(|one| one.weight(&own));
        weights.max().unwrap_or(0)
    })
}

/// Whether a statement changes only rows, which makes no query fail.
fn changes_rows(statement: &str) -> bool {
    let first = sql::tokens(statement).first().map(|word| word.to_ascii_lowercase());
    matches!(
        first.as_deref(),
        Some("update" | "insert" | "delete" | "merge" | "truncate" | "copy" | "with" | "comment")
    )
}

/// The first of the statements with the highest weight.
fn best(statements: &[PlacedStatement], weight: impl Fn(&str) -> u32) -> Option<&PlacedStatement> {
    let weighed = statements.iter().map(|part| (part, weight(&part.text)));
    let best = weighed.rev().max_by_key(|(_, weight)| *weight).filter(|(_, weight)| *weight > 0);
    best.map(|(part, _)| part)
}

/// The names in a statement, without literals and comments. Dynamic SQL and function bodies are read as they are.
fn names(statement: &str) -> BTreeSet<String> {
    let all = sql::tokens(statement);
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

/// A statement on one line, shortened to the length of a line.
fn in_a_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(90) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
