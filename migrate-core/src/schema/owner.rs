//! To whom objects belong in two schemas: a note, for statements leave owners alone.

use std::collections::BTreeMap;

use super::read::Described;
use crate::ident::plain;

/// A sentence for each pair of roles to whom the same objects belong, in one schema and in the other. The role that runs
/// migrations may be another one on each side, and is no difference.
pub fn owner_notes(from: &Described, to: &Described) -> Vec<String> {
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
        1 => format!("{first} belongs to {was}, and to {is}; owners are left alone"),
        n => format!("{first} and {} more belong to {was}, and to {is}; owners are left alone", n - 1),
    };
    pairs.into_iter().map(note).collect()
}

/// How an owner is called.
fn role(of: &Described, owner: Option<&str>) -> Option<String> {
    owner.map(|owner| if of.is_of_another(owner) { plain(owner) } else { "the role that runs migrations".to_owned() })
}
