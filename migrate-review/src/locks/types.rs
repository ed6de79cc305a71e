//! Whether a value of one type is stored like a value of another, so that no row has to be rewritten.

use std::collections::BTreeSet;

use super::place::ScriptContext;
use super::scope::Domain;
use crate::tree::ObjectName;

/// A type the way the server writes it, in parts: `character varying`, `[10]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeName {
    name: String,
    numbers: Vec<i64>,
    is_array: bool,
}

/// Who wrote the name of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameOrigin {
    /// The server, which qualifies every type except the built-in ones.
    Server,
    /// The script.
    Script,
}

/// The built-in types: without a schema these names always mean them, whatever the search path contains.
const BUILT_IN: &str = include_str!("types.txt");

/// The other names of types, and the names that the server uses.
const ALIASES: [(&str, &str); 24] = [
    ("varchar", "character varying"),
    ("char varying", "character varying"),
    ("char", "character"),
    ("int", "integer"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("int2", "smallint"),
    ("bool", "boolean"),
    ("float8", "double precision"),
    ("float", "double precision"),
    ("float4", "real"),
    ("decimal", "numeric"),
    ("dec", "numeric"),
    ("varbit", "bit varying"),
    ("timestamp", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
    ("time", "time without time zone"),
    ("timetz", "time with time zone"),
    ("serial", "integer"),
    ("serial4", "integer"),
    ("bigserial", "bigint"),
    ("serial8", "bigint"),
    ("smallserial", "smallint"),
    ("serial2", "smallint"),
];

impl TypeName {
    /// Reads a type as written by people or by the server.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        let is_array = text.ends_with(']') || text.to_ascii_lowercase().contains(" array");
        let (name, rest) = text.split_once('(').unwrap_or((text, ""));
        let (numbers, tail) = rest.split_once(')').unwrap_or((rest, ""));
        let name = format!("{} {}", name.trim(), tail.trim()).trim().trim_end_matches("[]").to_owned();
        let name = match name.contains('"') {
            true => name,
            false => name.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let name = name.strip_prefix("pg_catalog.").map(str::to_owned).unwrap_or(name);
        let own = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, own)| (*own).to_owned());
        let numbers = numbers.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        let mut stored = Self { name: own.unwrap_or(name), numbers, is_array };
        match (stored.name.as_str(), stored.numbers.len()) {
            // Without a length, its length is not limited.
            ("bpchar", _) => stored.name = "character".to_owned(),
            ("character" | "bit", 0) => stored.numbers.push(1),
            ("numeric", 1) => stored.numbers.push(0),
            _ => {}
        }
        stored
    }

    /// A type in the script, with its schema.
    fn of_script(known: &ScriptContext<'_>, text: &str) -> Self {
        let stored = Self::parse(text);
        let name = stored.own_name(NameOrigin::Script).and_then(|name| known.type_name(&name));
        let name = name.map(|name| match name.schema {
            Some(schema) => {
                format!("{}.{}", migrate_base::ident::plain(&schema), migrate_base::ident::plain(&name.name))
            }
            None => name.name,
        });
        Self { name: name.unwrap_or_else(|| stored.name.clone()), ..stored }
    }

    /// Its name, if it can be the name of a type that is not built in.
    fn own_name(&self, by: NameOrigin) -> Option<ObjectName> {
        let name = ObjectName::parse(&self.name)?;
        let is_own = match by {
            NameOrigin::Server => name.schema.is_some(),
            NameOrigin::Script => {
                let is_said = ALIASES.iter().any(|(alias, own)| *alias == self.name || *own == self.name);
                name.schema.is_some() || !is_said && !BUILT_IN.lines().any(|one| one == self.name)
            }
        };
        is_own.then_some(name)
    }

    /// The domain, if it is one.
    fn domain(&self, known: &ScriptContext<'_>, by: NameOrigin) -> Option<Domain> {
        if self.is_array {
            return None;
        }
        known.domain(&self.own_name(by)?)
    }

    /// The type that the server stores for a domain, and whether the domain, or one that it is based on, has
    /// conditions.
    fn base(mut self, known: &ScriptContext<'_>, mut by: NameOrigin) -> (Self, bool) {
        let (mut seen, mut strict) = (BTreeSet::new(), false);
        while let Some(domain) = self.domain(known, by).filter(|_| seen.insert(self.name.clone())) {
            strict |= domain.strict;
            by = if domain.from_catalog { NameOrigin::Server } else { NameOrigin::Script };
            self = Self::parse(&domain.ty);
        }
        (self, strict)
    }
}

/// A type in the script the way the server writes it.
pub(crate) fn as_server(known: &ScriptContext<'_>, text: &str) -> String {
    let TypeName { name, numbers, is_array } = TypeName::of_script(known, text);
    let numbers = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let numbers = if numbers.is_empty() { numbers } else { format!("({numbers})") };
    format!("{name}{numbers}{}", if is_array { "[]" } else { "" })
}

/// The domain of a column in the script.
pub(super) fn domain_of(known: &ScriptContext<'_>, ty: &str) -> Option<Domain> {
    TypeName::parse(ty).domain(known, NameOrigin::Script)
}

/// Whether a domain, or one that it is based on, constrains its values.
pub(super) fn is_strict(known: &ScriptContext<'_>, ty: &str) -> bool {
    TypeName::parse(ty).base(known, NameOrigin::Script).1
}

/// What a change of its type means for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeChangeEffect {
    /// All rows are rewritten.
    Rewrites,
    /// The rows stay, but the indexes are for values of another type.
    NewIndexes,
    /// Nothing changes.
    Keeps,
}

/// What happens to a column when its type changes. `utc` tells whether the time zone of the session is UTC.
pub(super) fn change(known: &ScriptContext<'_>, old: &str, new: &str, utc: bool) -> TypeChangeEffect {
    let (old, new) = (TypeName::parse(old), TypeName::of_script(known, new));
    if old == new {
        return TypeChangeEffect::Keeps;
    }
    let is_plain = old.own_name(NameOrigin::Server).is_none_or(|name| known.domain(&name).is_none());
    let ((old, _), (new, strict)) = (old.base(known, NameOrigin::Server), new.base(known, NameOrigin::Script));
    if strict {
        return TypeChangeEffect::Rewrites;
    }
    // The cast ignores the length in a domain.
    if old == new && (is_plain || old.numbers.is_empty()) {
        // In an index, polymorphic operators are shared by all types of the kind.
        let is_general = old.is_array || old.name.contains('.') || old.name.ends_with("range");
        return if is_general { TypeChangeEffect::NewIndexes } else { TypeChangeEffect::Keeps };
    }
    match !old.is_array && !new.is_array && keeps(&old, &new, is_plain, utc) {
        false => TypeChangeEffect::Rewrites,
        true if old.name == new.name || shares_operators(&old.name) && shares_operators(&new.name) => {
            TypeChangeEffect::Keeps
        }
        true => TypeChangeEffect::NewIndexes,
    }
}

/// Whether the index operators of this type are also used for other types that are stored like it.
fn shares_operators(name: &str) -> bool {
    matches!(name, "text" | "character varying" | "cidr" | "inet" | "bit varying") || is_interval(name)
}

/// Whether rows stay as they are. A cast ignores the length that a domain or another type specifies; `is_plain` tells
/// whether the old type is not a domain.
fn keeps(old: &TypeName, new: &TypeName, is_plain: bool, utc: bool) -> bool {
    let is_citext = |name: &str| name.rsplit('.').next() == Some("citext");
    let (from, to) = (old.name.as_str(), new.name.as_str());
    let first = is_plain.then(|| old.numbers.first()).flatten();
    let longer = new.numbers.is_empty() || first.zip(new.numbers.first()).is_some_and(|(old, new)| old <= new);
    match (from, to) {
        ("character varying" | "text", to) if is_citext(to) => true,
        (from, "text" | "character varying") if is_citext(from) => new.numbers.is_empty(),
        ("character varying" | "text" | "xml", "text") => true,
        ("text" | "xml", "character varying") | ("bit", "bit varying") => new.numbers.is_empty(),
        ("text" | "character varying" | "character", "character") => new.numbers.is_empty(),
        ("character varying", "character varying") | ("bit varying", "bit varying") => longer,
        ("cidr", "inet") | ("integer", "oid") | ("oid", "integer") | ("regclass", "oid" | "integer") => true,
        ("numeric", "numeric") => {
            let is_wider = match (&*old.numbers, &*new.numbers) {
                ([all, scale], [more, same]) => all <= more && scale == same,
                _ => false,
            };
            new.numbers.is_empty() || is_plain && is_wider
        }
        ("timestamp without time zone", "timestamp with time zone")
        | ("timestamp with time zone", "timestamp without time zone") => utc && digits(new) == MOST,
        _ if from == to && from.starts_with("time") || is_interval(from) && is_interval(to) => {
            digits(new) == MOST || is_plain && digits(old) <= digits(new)
        }
        _ => false,
    }
}

/// An interval type that includes seconds.
fn is_interval(name: &str) -> bool {
    name == "interval" || name.starts_with("interval ") && name.ends_with("second")
}

/// How many fractional digits of a second are kept by default.
const MOST: i64 = 6;

fn digits(of: &TypeName) -> i64 {
    of.numbers.first().copied().unwrap_or(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_however_they_are_written() {
        let known = ScriptContext::default();
        let keeps = |old: &str, new: &str| change(&known, old, new, false) != TypeChangeEffect::Rewrites;
        for (old, new) in [
            ("int", "integer"),
            ("character varying(10)", "VARCHAR(20)"),
            ("character varying(10)", "text"),
            ("numeric(10,2)", "decimal(12, 2)"),
            ("numeric(10)", "numeric(12,0)"),
            ("timestamp(3) without time zone", "timestamp"),
            ("interval", "interval(6)"),
            ("text", "citext"),
            ("public.citext", "text"),
            ("text[]", "text[]"),
        ] {
            assert!(keeps(old, new), "{old} {new}");
        }
        for (old, new) in [
            ("integer", "bigint"),
            ("character varying(10)", "varchar(5)"),
            ("numeric(10,2)", "numeric(12, 3)"),
            ("bit(5)", "varbit(10)"),
            ("timestamp without time zone", "timestamptz"),
            ("text", "text[]"),
            ("character varying(10)[]", "text[]"),
        ] {
            assert!(!keeps(old, new), "{old} {new}");
        }
        assert_eq!(change(&known, "timestamp without time zone", "timestamptz", true), TypeChangeEffect::NewIndexes);
    }
}
