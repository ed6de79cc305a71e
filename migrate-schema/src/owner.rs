//! Differences in the owners of objects between two schemas: only a note, because the statements do not change owners.

use std::collections::BTreeMap;

use migrate_base::ident::plain;

use super::read::SchemaDescription;

/// A sentence for each pair of roles that own the same objects, one in each schema. The role that runs migrations can
/// differ between the two sides without being a difference.
pub fn owner_notes(from: &SchemaDescription, to: &SchemaDescription) -> Vec<String> {
    let mut pairs: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    for (id, old) in &from.schema.objects {
        let Some(new) = to.schema.get(id) else { continue };
        let roles = [role(from, old.fact("owner")), role(to, new.fact("owner"))];
        let [Some(was), Some(is)] = roles else { continue };
        if was != is {
            pairs.entry((was, is)).or_insert_with(|| (0, id.to_string())).0 += 1;
        }
    }
    let note = |((was, is), (count, first)): ((String, String), (usize, String))| match count {
        1 => format!("{first} belongs to {was} in one schema and to {is} in the other; owners are not changed"),
        n => format!(
            "{first} and {} more belong to {was} in one schema and to {is} in the other; owners are not changed",
            n - 1
        ),
    };
    pairs.into_iter().map(note).collect()
}

/// The name of an owner.
fn role(of: &SchemaDescription, owner: Option<&str>) -> Option<String> {
    owner.map(|owner| if of.is_of_another(owner) { plain(owner) } else { "the role that runs migrations".to_owned() })
}
