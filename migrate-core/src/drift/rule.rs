//! Rules for objects to ignore: `table public.tmp_*`.

use std::str::FromStr;

use migrate_base::suggest;
use migrate_schema::{Id, Kind, Object};

/// Objects that do not count as drift: a kind, or any kind, and a name with its schema, in which `*` stands for any
/// characters.
///
/// A table includes everything that belongs to it; the objects in a schema are named by `schema_name.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    kind: Option<Kind>,
    pattern: String,
}

/// A text that is not a rule, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotARule(pub String);

impl FromStr for IgnoreRule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let text = text.trim();
        let after =
            |word: &'static str| text.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with(' '));
        // No shorter kind is a prefix of `text search parser` today, but one may be added.
        let kind = Kind::words().filter(|word| after(word).is_some()).max_by_key(|word| word.len());
        let pattern = kind.and_then(after).unwrap_or(text).trim();
        if pattern.is_empty() {
            return Err(NotARule(
                "a rule must name objects: \"table public.tmp_*\", \"schema audit\", \"audit.*\"".to_owned(),
            ));
        }
        // A quoted name may contain a space; an unquoted word before a name should be a kind.
        match pattern.split_once(' ').filter(|(word, _)| kind.is_none() && !word.contains('"')) {
            Some((word, _)) => {
                let near = suggest::nearest(word, Kind::words()).map(|near| format!(", did you mean `{near}`?"));
                Err(NotARule(format!("`{word}` is not a kind of object{}", near.unwrap_or_default())))
            }
            None => Ok(Self { kind: kind.and_then(Kind::parse), pattern: pattern.to_owned() }),
        }
    }
}

impl IgnoreRule {
    /// Whether the rule matches this object or its parent; `exists` tells which objects exist.
    pub fn matches(&self, object: &Object, exists: &dyn Fn(&Id) -> bool) -> bool {
        let id = &*object.id;
        let holder = |kind| {
            let (schema, name) = (id.schema.clone(), id.parent.clone());
            let holder = Id { kind, schema, parent: "".into(), name, signature: "".into() };
            !id.parent.is_empty() && self.fits(&holder) && exists(&holder)
        };
        self.fits(id) || HOLDERS.into_iter().any(holder) || self.fits_owner(object)
    }

    fn fits(&self, id: &Id) -> bool {
        let name = id.to_string();
        let name = name.strip_prefix(id.kind.as_str()).unwrap_or(&name).trim_start();
        let without_arguments = name.split_once('(').map_or(name, |(name, _)| name);
        self.kind.is_none_or(|kind| kind == id.kind)
            && (glob(&self.pattern, name) || glob(&self.pattern, without_arguments))
    }

    /// Whether it matches the table whose column owns a sequence.
    fn fits_owner(&self, object: &Object) -> bool {
        let column = object.fact("owned by").map(|owner| owner.trim_start_matches("identity of "));
        let table = column.filter(|_| object.id.kind == Kind::Sequence).and_then(|column| column.rsplit_once('.'));
        table.is_some_and(|(table, _)| self.kind.is_none_or(|kind| kind == Kind::Table) && glob(&self.pattern, table))
    }
}

/// The kinds of objects that can have parts.
const HOLDERS: [Kind; 7] =
    [Kind::Table, Kind::ForeignTable, Kind::View, Kind::MaterializedView, Kind::Type, Kind::Domain, Kind::Server];

/// Whether a text matches a pattern in which `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(begin) else { return false };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.into_iter().any(|at| glob(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: Kind, parent: &str, name: &str) -> Object {
        let id = Id { kind, schema: "public".into(), parent: parent.into(), name: name.into(), signature: "".into() };
        Object { id: id.into(), facts: Vec::new(), position: None }
    }

    #[track_caller]
    fn check(rule: &str, object: &Object, matches: bool) {
        assert_eq!(
            rule.parse::<IgnoreRule>().unwrap().matches(object, &|id| id.kind == Kind::Table),
            matches,
            "{rule}: {}",
            object.id
        );
    }

    #[test]
    fn a_rule_means_objects_and_what_belongs_to_them() {
        let (table, column) = (object(Kind::Table, "", "tmp_a"), object(Kind::Column, "tmp_a", "id"));
        for one in [&table, &column] {
            check("table public.tmp_*", one, true);
            check("public.tmp_*", one, true);
            check("public.*", one, true);
            check("schema public", one, false);
            check("table public.tmp", one, false);
            check("view public.tmp_a", one, false);
        }
        check("column *.id", &column, true);
        check("column *.id", &table, false);
        check("function public.touch", &object(Kind::Function, "", "touch"), true);
        check("materialized view public.m", &object(Kind::MaterializedView, "", "m"), true);
        check("table public.\"A b\"", &object(Kind::Table, "", "A b"), true);
    }

    #[test]
    fn what_is_no_rule_is_explained() {
        let wrong = |text: &str| text.parse::<IgnoreRule>().unwrap_err().0;
        assert_eq!(wrong("tabel public.foo"), "`tabel` is not a kind of object, did you mean `table`?");
        assert!(
            wrong("table").starts_with("a rule must name objects")
                && wrong(" ").starts_with("a rule must name objects")
        );
    }
}
