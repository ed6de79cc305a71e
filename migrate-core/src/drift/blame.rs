//! Which recorded command a difference comes from.

use super::{Difference, What};
use crate::audit::Record;
use crate::schema::{Id, Kind};

/// The command that brought a difference about, as far as the record tells: the last one about the object itself that
/// is no migration's, else the last one about what it belongs to, or whose text names it.
pub fn who<'a>(difference: &Difference, records: &'a [Record]) -> Option<&'a Record> {
    let id = &*difference.object;
    let foreign = || records.iter().rev().filter(|one| one.migration.is_none() && one.object_type.is_some());
    let about = |name: &str| {
        let name = bare(name);
        move |one: &&Record| one.object.as_deref().is_some_and(|object| bare(object) == name)
    };
    let is_cause = |one: &&Record| match difference.what {
        What::Extra => one.event != "sql_drop" && one.command != "COMMENT",
        What::Missing => one.event == "sql_drop",
        What::Changed => one.event != "sql_drop",
    };
    let makes = |one: &&Record| difference.what != What::Extra || !one.command.starts_with("ALTER");
    let itself = identity(id);
    let own = || foreign().filter(about(&itself)).filter(is_cause);
    let names_it = |one: &&Record| one.statement.as_deref().is_some_and(|text| mentions(text, &id.name));
    let holder = holder(id);
    let of_holder = || holder.iter().flat_map(|holder| foreign().filter(about(holder)));
    own()
        .find(makes)
        .or_else(|| own().next())
        .or_else(|| of_holder().find(names_it))
        .or_else(|| records.iter().rev().find(|one| one.migration.is_none() && names_it(one)))
}

/// An object as the server identifies it in the record.
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

/// What an object belongs to, likewise.
fn holder(id: &Id) -> Option<String> {
    let schema = if id.schema.is_empty() { String::new() } else { format!("{}.", id.schema) };
    (!id.parent.is_empty()).then(|| format!("{schema}{}", id.parent))
}

/// A name without quotes and blanks, which the server sets in its own way.
fn bare(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && *c != '"').collect()
}

/// Whether a text has a name as a word.
pub(crate) fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    !name.is_empty()
        && text
            .match_indices(&name)
            .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}
