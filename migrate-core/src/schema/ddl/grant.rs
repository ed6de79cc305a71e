//! Privileges as statements.

use std::collections::{BTreeMap, BTreeSet};

use super::name::role;
use crate::ident::{first_name, plain};
use crate::schema::object::Kind;

/// Who has which privileges: the letters of the catalogs, each with whether it may be given on.
pub(super) type Grants = BTreeMap<String, BTreeMap<char, bool>>;

/// The words for the letters of the catalogs.
///
/// See <https://www.postgresql.org/docs/current/ddl-priv.html>.
const WORDS: [(char, &str); 11] = [
    ('r', "SELECT"),
    ('a', "INSERT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('m', "MAINTAIN"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
];

/// What the owner is called in a list of privileges, for objects belong to whoever makes them.
const OWNER: &str = "CURRENT_USER";

/// The letters that the owner of an object has from the beginning, and those that everybody has.
fn first(kind: Kind) -> (&'static str, &'static str) {
    use Kind::{Aggregate, Domain, ForeignDataWrapper, Function, Language, Procedure, Schema, Sequence, Server, Type};
    match kind {
        Sequence => ("rwU", ""),
        Function | Procedure | Aggregate => ("X", "X"),
        Type | Domain | Language => ("U", "U"),
        Schema => ("UC", ""),
        ForeignDataWrapper | Server => ("U", ""),
        _ => ("arwdDxt", ""),
    }
}

/// What an object has whose list is this fact; `None` is what every object of its kind begins with.
pub(super) fn of_object(fact: Option<&str>, kind: Kind, owner: &str) -> Grants {
    let Some(list) = fact else {
        let (own, all) = first(kind);
        let plain = |letters: &str| letters.chars().map(|letter| (letter, false)).collect::<BTreeMap<_, _>>();
        let both = [(OWNER, plain(own)), ("PUBLIC", plain(all))];
        return both
            .into_iter()
            .filter(|(_, letters)| !letters.is_empty())
            .map(|(who, l)| (who.to_owned(), l))
            .collect();
    };
    listed(list, owner)
}

/// What a list says.
pub(super) fn listed(list: &str, owner: &str) -> Grants {
    let mut grants = Grants::new();
    for (grantee, letters) in split(list).iter().filter_map(|text| entry(text)) {
        let mut letters = letters;
        if grantee == owner {
            // A privilege that only newer servers know, and that their owners have from the beginning.
            letters.remove(&'m');
        }
        let who = if grantee == owner && !owner.is_empty() { OWNER.to_owned() } else { role(&grantee) };
        grants.entry(who).or_default().extend(letters);
    }
    grants
}

/// The statements that lead from some privileges on an object to others. `column` is the list of
/// a column, in brackets, or nothing.
pub(super) fn statements(was: &Grants, now: &Grants, on: &str, column: &str) -> Vec<String> {
    let none = BTreeMap::new();
    let everybody: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let mut all = Vec::new();
    for who in everybody {
        let (old, new) = (was.get(who).unwrap_or(&none), now.get(who).unwrap_or(&none));
        let pick = |test: &dyn Fn(Option<&bool>, Option<&bool>) -> bool| {
            let chosen = WORDS.iter().filter(|(letter, _)| test(old.get(letter), new.get(letter)));
            chosen.map(|(_, word)| format!("{word}{column}")).collect::<Vec<_>>().join(", ")
        };
        let mut say = |words: String, text: &dyn Fn(&str) -> String| {
            if !words.is_empty() {
                all.push(text(&words));
            }
        };
        say(pick(&|old, new| old.is_some() && new.is_none()), &|words| format!("REVOKE {words} ON {on} FROM {who}"));
        say(pick(&|old, new| old == Some(&true) && new == Some(&false)), &|words| {
            format!("REVOKE GRANT OPTION FOR {words} ON {on} FROM {who}")
        });
        say(pick(&|old, new| old.is_none() && new == Some(&false)), &|words| format!("GRANT {words} ON {on} TO {who}"));
        say(pick(&|old, new| old != Some(&true) && new == Some(&true)), &|words| {
            format!("GRANT {words} ON {on} TO {who} WITH GRANT OPTION")
        });
    }
    all
}

/// The statements for an object that begins with `was` and may have been `given` more by default:
/// whatever is not wanted is taken, and whatever is wanted is given, also where it is there already.
pub(super) fn anew(was: &Grants, given: &Grants, now: &Grants, on: &str) -> Vec<String> {
    let mut most = was.clone();
    for (who, letters) in given {
        most.entry(who.clone()).or_default().extend(letters);
    }
    let taken = statements(&most, now, on, "").into_iter().filter(|text| text.starts_with("REVOKE"));
    taken.chain(statements(was, now, on, "").into_iter().filter(|text| text.starts_with("GRANT"))).collect()
}

/// A list without the owner's name and without who gave what: the same for another owner.
pub(super) fn unowned(list: &str, owner: &str) -> String {
    let letters = |letters: BTreeMap<char, bool>| {
        letters.iter().map(|(letter, on)| format!("{letter}{}", if *on { "*" } else { "" })).collect::<String>()
    };
    let entries = listed(list, owner).into_iter().map(|(who, list)| format!("{who}={}", letters(list)));
    let text = entries.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

/// The roles that a list names, other than the owner and everybody.
pub(super) fn roles(list: &str, owner: &str) -> Vec<String> {
    let names = split(list).into_iter().filter_map(|text| entry(&text).map(|(name, _)| name));
    names.filter(|name| !name.is_empty() && name != owner).collect()
}

/// The list of a column in a statement.
pub(super) fn column(name: &str) -> String {
    format!(" ({})", plain(name))
}

/// The entries of a fact; a name in them may be quoted.
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

/// One entry: `=r/owner`, `"some one"=arw*/owner`.
fn entry(text: &str) -> Option<(String, BTreeMap<char, bool>)> {
    let (grantee, rest) = match text.strip_prefix('"') {
        Some(_) => first_name(text)?,
        None => text.split_once('=').map(|(name, _)| (name.to_owned(), &text[name.len()..]))?,
    };
    let (letters, _) = rest.strip_prefix('=')?.split_once('/')?;
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
    Some((grantee, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_said() {
        let was = of_object(None, Kind::Table, "me");
        let now = of_object(Some("\"some one\"=r*w/me, =r/me, me=arwdDxt/me"), Kind::Table, "me");
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
        assert_eq!(unowned("x=r*/me, me=U/me", "me"), unowned("you=U/you, x=r*/you", "you"));
    }
}
