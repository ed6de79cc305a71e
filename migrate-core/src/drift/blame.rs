//! Finds the recorded command that caused a difference.

use migrate_schema::{Id, Kind};

use super::{DriftDifference, DriftKind};
use crate::audit::DdlRecord;

/// The command that caused a difference, if the audit shows it for certain: a command about the object itself, a
/// command about its parent whose text mentions it, or a command that changed a name or privileges. Commands of
/// migrations do not cause drift.
pub fn who<'a>(difference: &DriftDifference, records: &'a [DdlRecord]) -> Option<&'a DdlRecord> {
    let id = &*difference.object;
    let (itself, holder) = (bare(&identity(id)), holder(id).map(|name| bare(&name)));
    let says = |one: &DdlRecord, word: &str| one.statement.as_deref().is_some_and(|text| mentions(text, word));
    let is_about = |one: &DdlRecord, name: &String| one.object.as_deref().is_some_and(|object| bare(object) == *name);
    let about_holder = |one: &DdlRecord| holder.as_ref().is_some_and(|holder| is_about(one, holder));
    let is_drop = |one: &DdlRecord| one.event == "sql_drop";
    let moves = |one: &DdlRecord| {
        one.command.starts_with("ALTER") && says(one, &id.name) && (says(one, "rename") || says(one, "schema"))
    };
    let grants = |one: &DdlRecord| matches!(one.command.as_str(), "GRANT" | "REVOKE") && says(one, &id.name);
    let adds = |one: &DdlRecord| one.statement.as_deref().is_some_and(|text| adds(text, &id.name));
    let of_grants = difference.sentences.iter().any(|sentence| sentence.contains(": grants "));
    let fits = |one: &DdlRecord| match difference.what {
        DriftKind::Extra => {
            let makes = is_about(one, &itself)
                && !is_drop(one)
                && !one.command.starts_with("ALTER")
                && one.command != "COMMENT";
            makes || (about_holder(one) && adds(one)) || moves(one)
        }
        DriftKind::Missing => (is_about(one, &itself) && is_drop(one)) || moves(one),
        DriftKind::Changed if of_grants => grants(one),
        DriftKind::Changed => {
            !is_drop(one) && (is_about(one, &itself) || (about_holder(one) && says(one, &id.name)) || moves(one))
        }
    };
    records.iter().rev().find(|one| one.migration.is_none() && fits(one))
}

/// Whether a text adds a column or constraint with this name: `ADD COLUMN IF NOT EXISTS name`.
pub(crate) fn adds(text: &str, name: &str) -> bool {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let between = |word: &String| matches!(word.as_str(), "column" | "constraint" | "if" | "not" | "exists");
    let added = |at: usize| words[at + 1..].iter().find(|word| !between(word));
    let name = name.to_lowercase();
    (0..words.len()).any(|at| words[at] == "add" && added(at) == Some(&name))
}

/// The identity of an object as the server writes it in the audit.
pub(crate) fn identity(id: &Id) -> String {
    let schema = |name: &str| if id.schema.is_empty() { name.to_owned() } else { format!("{}.{name}", id.schema) };
    match id.kind {
        Kind::Column | Kind::Attribute => schema(&format!("{}.{}", id.parent, id.name)),
        Kind::Constraint | Kind::Trigger | Kind::Rule | Kind::Policy => {
            format!("{} on {}", id.name, schema(&id.parent))
        }
        Kind::Function | Kind::Procedure | Kind::Aggregate => schema(&format!("{}({})", id.name, id.signature)),
        _ => schema(&id.name),
    }
}

/// The parent of an object, in the same form.
fn holder(id: &Id) -> Option<String> {
    let schema = if id.schema.is_empty() { String::new() } else { format!("{}.", id.schema) };
    (!id.parent.is_empty()).then(|| format!("{schema}{}", id.parent))
}

/// A name without quotes and blanks, whose use by the server differs.
fn bare(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && *c != '"').collect()
}

/// Whether a text contains a name as a word.
pub(crate) fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    !name.is_empty()
        && text
            .match_indices(&name)
            .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}

#[cfg(test)]
mod tests {
    use super::adds;

    #[test]
    fn a_text_adds_what_stands_behind_the_word() {
        assert!(
            adds("ALTER TABLE a ADD note text", "note")
                && adds("alter table a add column if not exists \"Note\" int", "Note")
        );
        assert!(adds("ALTER TABLE a ADD b int, ADD CONSTRAINT fine CHECK (b > 0)", "fine"));
        assert!(
            !adds("ALTER TABLE a ADD CONSTRAINT fine CHECK (note <> '')", "note")
                && !adds("ALTER TABLE a ALTER note SET NOT NULL", "note")
        );
    }
}
