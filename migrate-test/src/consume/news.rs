//! The new rules that a change sets for rows that are written. Pure functions.

use std::collections::BTreeSet;

use migrate_base::ident::catalog_name;
use migrate_base::sql;
use migrate_schema::{Id, Kind, Object, SchemaChange};

/// The constraints and unique indexes with a new rule, each with that rule. If a constraint was renamed,
/// validated or commented, its rule is the same as before, and so is that of a unique index that becomes a
/// constraint.
pub fn rules(change: &SchemaChange) -> Vec<(&Id, &Object, String)> {
    let of = |id: &Id, rule: String| (id.schema.clone(), id.parent.clone(), rule);
    let known: BTreeSet<_> =
        change.objects().filter_map(|(id, before, _)| Some(of(id, before.and_then(rule)?))).collect();
    let came = change.objects().filter_map(|(id, _, after)| Some((id, after?, after.and_then(rule)?)));
    came.filter(|(id, _, rule)| !known.contains(&of(id, rule.clone()))).collect()
}

/// The rule that a constraint or a unique index sets for rows, whatever its name and however it was created.
fn rule(object: &Object) -> Option<String> {
    let text = object.fact("definition").filter(|_| matches!(object.id.kind, Kind::Constraint | Kind::Index))?;
    if object.id.kind == Kind::Index && !text.starts_with("CREATE UNIQUE INDEX ") || text.ends_with(" NOT ENFORCED") {
        return None;
    }
    if let Some(columns) = key(object) {
        let nulls = if text.contains(" NULLS NOT DISTINCT") { " NULLS NOT DISTINCT" } else { "" };
        return Some(format!("UNIQUE{nulls} ({})", columns.into_iter().collect::<Vec<_>>().join(", ")));
    }
    if object.id.kind == Kind::Index {
        return Some(text.split_once(" USING ")?.1.to_owned());
    }
    let text = text.trim_end_matches(" NOT VALID");
    // The action when a referenced row is removed is not a rule for those who write rows.
    let actions = [" ON UPDATE ", " ON DELETE "].iter().filter_map(|word| text.find(word)).min();
    let is_key = text.starts_with("FOREIGN KEY");
    Some(text[..actions.filter(|_| is_key).unwrap_or(text.len())].to_owned())
}

/// The columns whose combined values must be unique, if that is all that a key requires.
pub(super) fn key(object: &Object) -> Option<BTreeSet<String>> {
    let definition = object.fact("definition")?;
    let is_any = |starts: &[&str]| starts.iter().any(|start| definition.starts_with(start));
    let list = match object.id.kind {
        // Only equality makes it a key.
        Kind::Constraint if is_any(&["UNIQUE ", "PRIMARY KEY ", "EXCLUDE "]) => definition,
        Kind::Index if is_any(&["CREATE UNIQUE INDEX "]) => definition.split_once(" USING ")?.1,
        _ => return None,
    };
    let is_partial = sql::tokens(list).iter().any(|word| word.eq_ignore_ascii_case("where"));
    let (_, rest) = list.split_once('(').filter(|_| !is_partial)?;
    let words = sql::tokens(rest);
    let end = words.iter().position(|word| *word == ")").filter(|end| !words[..*end].contains(&"("))?;
    let column = |words: &[&str]| {
        let with = words.iter().position(|word| word.eq_ignore_ascii_case("with"));
        let is_equal = with.is_none_or(|at| words.get(at + 1) == Some(&"="));
        catalog_name(words.first()?).filter(|_| is_equal)
    };
    words[..end].split(|word| *word == ",").map(column).collect()
}
