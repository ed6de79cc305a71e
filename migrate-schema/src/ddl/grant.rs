//! Privileges as statements.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::{first_name, plain};

use super::name::role;
use super::privilege::{self, PrivilegeTarget};
use crate::object::Object;

/// The letters in the catalogs, each with its grant option.
pub(super) type PrivilegeLetters = BTreeMap<char, bool>;

/// The privileges of each grantee.
pub(super) type Grants = BTreeMap<Grantee, PrivilegeLetters>;

/// A grantee, and the grantor: the owner if it is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grantee {
    who: String,
    by: String,
}

/// The name of the owner in a list of privileges, because objects belong to the role that creates them.
const OWNER: &str = "CURRENT_USER";

impl Grantee {
    fn of_owner(who: &str) -> Self {
        Self { who: who.to_owned(), by: String::new() }
    }
}

/// The default privileges on objects of this kind, in a major version.
pub(super) fn first(on: PrivilegeTarget, version: u32) -> Grants {
    let plain =
        |letters: &mut dyn Iterator<Item = char>| letters.map(|letter| (letter, false)).collect::<PrivilegeLetters>();
    let own = plain(&mut on.letters(version));
    let all = plain(&mut on.for_all().iter().copied());
    let both = [(OWNER, own), ("PUBLIC", all)];
    both.into_iter().filter(|(_, letters)| !letters.is_empty()).map(|(who, l)| (Grantee::of_owner(who), l)).collect()
}

/// The same with the name of the owner, for statements that another role runs.
pub(super) fn with_owner(grants: Grants, owner: &str) -> Grants {
    let named = |one: Grantee| if one.who == OWNER { Grantee { who: role(owner), ..one } } else { one };
    grants.into_iter().map(|(one, letters)| (named(one), letters)).collect()
}

/// The privileges of an object whose list is this fact; `None` means the default privileges.
pub(super) fn of_object(fact: Option<&str>, on: PrivilegeTarget, owner: &str, version: u32) -> Grants {
    fact.map_or_else(|| first(on, version), |list| listed(list, owner))
}

/// The privileges in a list.
pub(super) fn listed(list: &str, owner: &str) -> Grants {
    let mut grants = Grants::new();
    for (grantee, letters, grantor) in split(list).iter().filter_map(|text| entry(text)) {
        let is_owner = |name: &str| name == owner && !owner.is_empty();
        let who = if is_owner(&grantee) { OWNER.to_owned() } else { role(&grantee) };
        let by = if is_owner(&grantor) || owner.is_empty() { String::new() } else { grantor };
        let known = grants.entry(Grantee { who, by }).or_default();
        for (letter, option) in letters {
            *known.entry(letter).or_default() |= option;
        }
    }
    grants
}

/// The same on a server of another version: an owner with all privileges has all privileges there, and privileges that
/// the other server does not know are removed.
pub(super) fn adapted(mut grants: Grants, on: PrivilegeTarget, from: u32, to: u32) -> Grants {
    if from == to {
        return grants;
    }
    let owner = Grantee::of_owner(OWNER);
    let everything = |version: u32| on.letters(version).map(|letter| (letter, false)).collect::<PrivilegeLetters>();
    if grants.get(&owner) == Some(&everything(from)) {
        grants.insert(owner, everything(to));
    }
    let known: BTreeSet<char> = on.letters(to).collect();
    grants.values_mut().for_each(|letters| letters.retain(|letter, _| known.contains(letter)));
    grants.retain(|_, letters| !letters.is_empty());
    grants
}

/// The letters in a list that have no word, or no word in this version, each with the word if there is one.
pub(super) fn unknown(list: &str, on: PrivilegeTarget, owner: &str, from: u32, to: u32) -> BTreeSet<String> {
    let known: BTreeSet<char> = on.letters(to).collect();
    let everything: PrivilegeLetters = on.letters(from).map(|letter| (letter, false)).collect();
    let all = listed(list, owner);
    let of_others = all.iter().filter(|(grantee, letters)| grantee.who != OWNER || **letters != everything);
    let letters = of_others.flat_map(|(_, letters)| letters.keys()).filter(|letter| !known.contains(letter));
    letters.map(|letter| privilege::word(*letter).map_or_else(|| letter.to_string(), str::to_owned)).collect()
}

/// The part of a list that a version knows; `None` if that is the default.
pub(super) fn known(list: &str, on: PrivilegeTarget, owner: &str, [from, to]: [u32; 2]) -> Option<String> {
    let kept = fitted(list, on, to)?;
    (adapted(listed(&kept, owner), on, from, to) != first(on, to)).then_some(kept)
}

/// The part of a list that a version knows; `None` if the version knows none of the privileges on this kind of object.
pub(super) fn fitted(list: &str, on: PrivilegeTarget, version: u32) -> Option<String> {
    let letters: BTreeSet<char> = on.letters(version).collect();
    if letters.is_empty() {
        return None;
    }
    let known = |text: &String| {
        let (who, rest) = text.rsplit_once('=')?;
        let (all, by) = rest.split_once('/')?;
        let (mut kept, mut stays) = (String::new(), false);
        for c in all.chars() {
            // A star belongs to the letter before it.
            stays = if c == '*' { stays } else { letters.contains(&c) };
            kept.extend(stays.then_some(c));
        }
        (!kept.is_empty()).then(|| format!("{who}={kept}/{by}"))
    };
    let kept: Vec<String> = split(list).iter().filter_map(known).collect();
    Some(if kept.is_empty() { "none".to_owned() } else { kept.join(", ") })
}

/// The number of other roles between the owner and the grantor of a grant.
fn depth(grants: &Grants, grantee: &Grantee) -> usize {
    let mut by = &grantee.by;
    for depth in 0..grants.len() {
        if by.is_empty() {
            return depth;
        }
        let Some(above) = grants.keys().find(|one| one.who == role(by)) else { return depth + 1 };
        by = &above.by;
    }
    grants.len()
}

/// The statements that lead from some privileges on an object to others. `column` is the parenthesized name of a
/// column, or empty. Dependent grants are revoked first and granted last.
pub(super) fn statements(was: &Grants, now: &Grants, on: &str, column: &str) -> Vec<String> {
    let mut everybody: Vec<&Grantee> = was.keys().chain(now.keys()).collect::<BTreeSet<_>>().into_iter().collect();
    everybody.sort_by_key(|one| std::cmp::Reverse(depth(was, one)));
    let mut all: Vec<String> = everybody.iter().flat_map(|who| taken(was, now, who, on, column)).collect();
    everybody.sort_by_key(|one| depth(now, one));
    all.extend(everybody.iter().flat_map(|who| given(was, now, who, on, column)));
    all
}

/// The words for the letters whose old and new state pass a test.
fn pick(
    old: &PrivilegeLetters,
    new: &PrivilegeLetters,
    column: &str,
    test: impl Fn(Option<&bool>, Option<&bool>) -> bool,
) -> String {
    let chosen = privilege::words().filter(|(letter, _)| test(old.get(letter), new.get(letter)));
    chosen.map(|(_, word)| format!("{word}{column}")).collect::<Vec<_>>().join(", ")
}

/// What is revoked from a grantee.
fn taken(was: &Grants, now: &Grants, grantee: &Grantee, on: &str, column: &str) -> Vec<String> {
    let (old, new) = pair(was, now, grantee);
    let who = &grantee.who;
    let gone = pick(old, new, column, |old, new| old.is_some() && new.is_none());
    let option = pick(old, new, column, |old, new| old == Some(&true) && new == Some(&false));
    let gone = (!gone.is_empty()).then(|| format!("REVOKE {gone} ON {on} FROM {who}"));
    let option = (!option.is_empty()).then(|| format!("REVOKE GRANT OPTION FOR {option} ON {on} FROM {who}"));
    said_by(grantee, gone.into_iter().chain(option).collect())
}

/// What is granted to a grantee.
fn given(was: &Grants, now: &Grants, grantee: &Grantee, on: &str, column: &str) -> Vec<String> {
    let (old, new) = pair(was, now, grantee);
    let who = &grantee.who;
    let plain = pick(old, new, column, |old, new| old.is_none() && new == Some(&false));
    let option = pick(old, new, column, |old, new| old != Some(&true) && new == Some(&true));
    let plain = (!plain.is_empty()).then(|| format!("GRANT {plain} ON {on} TO {who}"));
    let option = (!option.is_empty()).then(|| format!("GRANT {option} ON {on} TO {who} WITH GRANT OPTION"));
    said_by(grantee, plain.into_iter().chain(option).collect())
}

static NOTHING: PrivilegeLetters = PrivilegeLetters::new();

fn pair<'a>(was: &'a Grants, now: &'a Grants, grantee: &Grantee) -> (&'a PrivilegeLetters, &'a PrivilegeLetters) {
    (was.get(grantee).unwrap_or(&NOTHING), now.get(grantee).unwrap_or(&NOTHING))
}

/// A grant made by a role other than the owner can only be repeated by that role: a role can only name itself as the
/// grantor. It is one text, because its parts make no sense separately.
fn said_by(grantee: &Grantee, texts: Vec<String>) -> Vec<String> {
    if grantee.by.is_empty() || texts.is_empty() {
        return texts;
    }
    let role = format!("SET LOCAL ROLE {}", plain(&grantee.by));
    vec![format!("{KEEP_ROLE};\n{role};\n{};\n{RESTORE_ROLE}", texts.join(";\n"))]
}

/// The role that a script runs as need not be the role of the session: the script may have run `SET ROLE` itself.
const KEEP_ROLE: &str = "SELECT pg_catalog.set_config('roundtrip.role', pg_catalog.current_setting('role'), true)";
const RESTORE_ROLE: &str = "SELECT pg_catalog.set_config('role', pg_catalog.current_setting('roundtrip.role'), true)";

/// The statements for an object that starts with at least `least` and at most `most`: unwanted privileges are revoked,
/// and wanted ones are granted even if they may exist already.
pub(super) fn from_nothing(least: &Grants, most: &Grants, now: &Grants, on: &str) -> Vec<String> {
    let everybody = |side: &Grants| side.keys().chain(now.keys()).cloned().collect::<BTreeSet<_>>();
    let taken = everybody(most).into_iter().flat_map(|who| taken(most, now, &who, on, ""));
    let mut all: Vec<String> = taken.collect();
    let mut givers: Vec<Grantee> = everybody(least).into_iter().collect();
    givers.sort_by_key(|one| depth(now, one));
    all.extend(givers.iter().flat_map(|who| given(least, now, who, on, "")));
    all
}

/// The statements that lead from some privileges on an object of an extension or of the system to others, on a server
/// of this version.
pub(super) fn of_foreign(object: &Object, was: Option<&str>, now: Option<&str>, version: u32) -> Vec<String> {
    let owner = object.fact("owner").unwrap_or_default();
    let fitted = |list: &str| fitted(list, PrivilegeTarget::of_foreign(&object.id.name), version);
    let list = |fact: Option<&str>| fact.and_then(fitted).map(|list| listed(&list, owner)).unwrap_or_default();
    let id = &object.id;
    let column = if id.signature.is_empty() { String::new() } else { format!(" ({})", id.signature) };
    statements(&list(was), &list(now), &kind_first(&id.name), &column)
}

/// The name of an object with its kind in capitals.
fn kind_first(name: &str) -> String {
    let kinds = ["foreign data wrapper", "foreign server"].into_iter().find(|kind| name.starts_with(kind));
    let kind = kinds.or_else(|| name.split(' ').next()).unwrap_or_default();
    format!("{}{}", kind.to_uppercase(), &name[kind.len()..])
}

/// The intersection and the union of the two.
pub(super) fn bounds(one: &Grants, other: &Grants) -> (Grants, Grants) {
    let (mut least, mut most) = (one.clone(), one.clone());
    for (who, letters) in other {
        let known = most.entry(who.clone()).or_default();
        letters.iter().for_each(|(letter, option)| *known.entry(*letter).or_default() |= option);
    }
    least.retain(|who, letters| {
        let other = other.get(who).unwrap_or(&NOTHING);
        letters.retain(|letter, option| other.get(letter) == Some(option));
        !letters.is_empty()
    });
    (least, most)
}

/// A list without the owner's name: the same for another owner.
pub(super) fn unowned(list: &str, owner: &str, on: PrivilegeTarget, version: u32) -> String {
    let everything: PrivilegeLetters = on.letters(version).map(|letter| (letter, false)).collect();
    let letters = |who: &str, letters: &PrivilegeLetters| match who == OWNER && *letters == everything {
        // Newer versions have more letters for it.
        true => "all".to_owned(),
        false => letters.iter().map(|(letter, on)| format!("{letter}{}", if *on { "*" } else { "" })).collect(),
    };
    let by = |by: &str| if by.is_empty() { String::new() } else { format!(" by {by}") };
    let entries = listed(list, owner);
    let entries = entries.iter().map(|(one, list)| format!("{}={}{}", one.who, letters(&one.who, list), by(&one.by)));
    let text = entries.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

/// The roles that a list names, except the owner and PUBLIC.
pub(super) fn roles(list: &str, owner: &str) -> Vec<String> {
    let names = split(list).into_iter().filter_map(|text| entry(&text));
    let names = names.flat_map(|(grantee, _, grantor)| [grantee, grantor]);
    names.filter(|name| !name.is_empty() && name != owner).collect()
}

/// The column list in a statement.
pub(super) fn column(name: &str) -> String {
    format!(" ({})", plain(name))
}

/// The entries of a fact; names in them may be quoted.
fn split(grants: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut quoted = false;
    for c in grants.chars().filter(|c| *c != '\n') {
        match c {
            ',' if !quoted => entries.push(String::new()),
            c => {
                quoted ^= c == '"';
                entries.last_mut().into_iter().for_each(|last| last.push(c));
            }
        }
    }
    entries.iter().map(|entry| entry.trim().to_owned()).collect()
}

/// One entry: `=r/owner`, `"some one"=arw*/owner`; the grantee, the privileges, and the grantor.
fn entry(text: &str) -> Option<(String, PrivilegeLetters, String)> {
    let (grantee, rest) = match text.strip_prefix('"') {
        Some(_) => first_name(text)?,
        None => text.split_once('=').map(|(name, _)| (name.to_owned(), &text[name.len()..]))?,
    };
    let (letters, by) = rest.strip_prefix('=')?.split_once('/')?;
    let by = match by.strip_prefix('"') {
        Some(_) => first_name(by)?.0,
        None => by.to_owned(),
    };
    let mut found = BTreeMap::new();
    let mut last = None;
    for c in letters.chars() {
        match (c, last) {
            ('*', Some(letter)) => drop(found.insert(letter, true)),
            (letter, _) => {
                found.insert(letter, false);
                last = Some(letter);
            }
        }
    }
    Some((grantee, found, by))
}

#[cfg(test)]
mod tests {
    use super::super::name::named;
    use super::*;
    use crate::object::{Fact, Kind};

    fn table(fact: Option<&str>) -> Grants {
        of_object(fact, PrivilegeTarget::Table, "me", 15)
    }

    #[test]
    fn only_what_differs_is_said() {
        let was = table(None);
        let now = table(Some("\"some one\"=r*w/me, =r/me, me=arwdDxt/me"));
        assert_eq!(
            statements(&was, &now, "TABLE a.b", ""),
            [
                "GRANT UPDATE ON TABLE a.b TO \"some one\"",
                "GRANT SELECT ON TABLE a.b TO \"some one\" WITH GRANT OPTION",
                "GRANT SELECT ON TABLE a.b TO PUBLIC"
            ]
        );
        assert_eq!(statements(&now, &now, "TABLE a.b", ""), Vec::<String>::new());
        assert_eq!(
            statements(&listed("x=r*/me", "me"), &listed("x=r/me", "me"), "TABLE a.b", ""),
            ["REVOKE GRANT OPTION FOR SELECT ON TABLE a.b FROM x"]
        );
        let plain = |list: &str, owner: &str| unowned(list, owner, PrivilegeTarget::Table, 15);
        assert_eq!(plain("x=r*/me, me=U/me", "me"), plain("you=U/you, x=r*/you", "you"));
    }

    #[test]
    fn what_a_version_does_not_know_is_not_said_of_a_member_either() {
        let fact = |name: &str, value: &str| Fact { name: name.into(), value: value.into() };
        let facts = vec![fact("owner", "me"), fact("first grants", "me=arwdDxtm/me"), fact("grants", "a=rm/me")];
        let id = named(Kind::Privileges, "", "table public.t");
        let object = Object { id: id.into(), facts, position: None };
        let said = |version| of_foreign(&object, object.fact("first grants"), object.fact("grants"), version);
        assert_eq!(said(17)[1], "GRANT SELECT, MAINTAIN ON TABLE public.t TO a");
        assert_eq!(said(15)[1], "GRANT SELECT ON TABLE public.t TO a");
        assert!(!said(15)[0].contains("MAINTAIN"));
    }

    #[test]
    fn what_was_given_on_is_taken_first_and_given_last() {
        let (none, chain) = (table(None), table(Some("me=arwdDxt/me, b=r*/me, a=r/b")));
        assert_eq!(
            statements(&none, &chain, "TABLE t", ""),
            [
                "GRANT SELECT ON TABLE t TO b WITH GRANT OPTION".to_owned(),
                format!("{KEEP_ROLE};\nSET LOCAL ROLE b;\nGRANT SELECT ON TABLE t TO a;\n{RESTORE_ROLE}"),
            ]
        );
        assert_eq!(
            statements(&chain, &none, "TABLE t", ""),
            [
                format!("{KEEP_ROLE};\nSET LOCAL ROLE b;\nREVOKE SELECT ON TABLE t FROM a;\n{RESTORE_ROLE}"),
                "REVOKE SELECT ON TABLE t FROM b".to_owned(),
            ]
        );
    }

    #[test]
    fn an_owner_who_has_everything_has_it_in_every_version() {
        let list = "me=arwdDxtm/me, x=m/me";
        assert_eq!(adapted(listed(list, "me"), PrivilegeTarget::Table, 17, 15), table(Some("me=arwdDxt/me")));
        assert_eq!(unknown(list, PrivilegeTarget::Table, "me", 17, 15), BTreeSet::from(["MAINTAIN".to_owned()]));
        assert_eq!(unknown("x=rz/me", PrivilegeTarget::Table, "me", 15, 15), BTreeSet::from(["z".to_owned()]));
        let full = |list: &str, version| unowned(list, "me", PrivilegeTarget::Table, version);
        assert_eq!(full("me=arwdDxtm/me", 17), full("me=arwdDxt/me", 15));
        assert_ne!(full("me=arwdDxt/me", 17), full("me=arwdDxt/me", 15));
    }

    #[test]
    fn a_letter_is_known_from_its_version_on() {
        assert!(
            !PrivilegeTarget::Table.letters(16).any(|letter| letter == 'm')
                && PrivilegeTarget::Table.letters(17).any(|letter| letter == 'm')
        );
    }
}
