//! Whether a value of one type is stored like that of another one, so that no row has to be rewritten.

use crate::lint::Named;

use super::place::Known;

/// A type as the server writes it, in parts: `character varying`, `[10]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    name: String,
    numbers: Vec<i64>,
    is_array: bool,
}

/// The other names of types, and the server's own.
const ALIASES: [(&str, &str); 22] = [
    ("varchar", "character varying"),
    ("char varying", "character varying"),
    ("char", "character"),
    ("bpchar", "character"),
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
    ("bigserial", "bigint"),
    ("smallserial", "smallint"),
];

impl Stored {
    /// Reads a type, as people or the server write it.
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
        if stored.name == "character" && stored.numbers.is_empty() {
            stored.numbers.push(1);
        }
        stored
    }

    /// The type that a domain is of; `None` where the domain has conditions, which each row has to meet.
    fn behind(&self, known: &Known<'_>, strict: bool) -> Option<Self> {
        if self.is_array {
            return Some(self.clone());
        }
        let name = Named::parse(&self.name);
        if strict && name.as_ref().is_some_and(|name| known.domains.iter().any(|one| one.name == name.name)) {
            return None;
        }
        let domain = name.and_then(|name| known.domain(&name));
        let Some((schema, domain)) = domain else { return Some(self.clone()) };
        if strict && has_conditions(schema, domain) {
            return None;
        }
        Self::parse(domain.fact("type")?).behind(known, strict)
    }
}

/// Whether a domain, or one that it is of, asks something of its values.
pub(super) fn is_strict(known: &Known<'_>, ty: &str) -> bool {
    Stored::parse(ty).behind(known, true).is_none()
}

fn has_conditions(schema: &crate::schema::Schema, domain: &crate::schema::Object) -> bool {
    domain.fact("not null").is_some() || schema.children(&domain.id, crate::schema::Kind::Constraint).next().is_some()
}

/// Whether a column keeps its rows as they are when its type changes. `utc` is whether the session's time zone is UTC.
pub(super) fn keeps_rows(known: &Known<'_>, old: &str, new: &str, utc: bool) -> bool {
    if Stored::parse(old) == Stored::parse(new) {
        return true;
    }
    let (Some(old), Some(new)) = (Stored::parse(old).behind(known, false), Stored::parse(new).behind(known, true))
    else {
        return false;
    };
    if old == new {
        return true;
    }
    if old.is_array || new.is_array {
        return false;
    }
    let (from, to) = (old.name.as_str(), new.name.as_str());
    let longer = new.numbers.is_empty() || old.numbers.first().is_some_and(|old| *old <= new.numbers[0]);
    match (from, to) {
        ("character varying" | "text" | "xml", "text") => true,
        ("text" | "xml", "character varying") => new.numbers.is_empty(),
        ("character varying", "character varying") | ("bit varying", "bit varying") => longer,
        ("bit", "bit varying") => longer,
        ("cidr", "inet") | ("integer", "oid") | ("oid", "integer") | ("regclass", "oid" | "integer") => true,
        ("numeric", "numeric") => {
            new.numbers.is_empty()
                || old.numbers.len() == 2
                    && new.numbers.len() == 2
                    && old.numbers[0] <= new.numbers[0]
                    && old.numbers[1] == new.numbers[1]
        }
        ("timestamp without time zone", "timestamp with time zone")
        | ("timestamp with time zone", "timestamp without time zone") => utc && is_finer(&old, &new),
        _ if from == to && is_time(from) => is_finer(&old, &new),
        _ => false,
    }
}

fn is_time(name: &str) -> bool {
    name.starts_with("time") || name == "interval"
}

/// Whether no digit of a second goes; 6 is what is kept where nothing is said.
fn is_finer(old: &Stored, new: &Stored) -> bool {
    let digits = |of: &Stored| of.numbers.first().copied().unwrap_or(6);
    digits(old) <= digits(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_however_they_are_written() {
        let known = Known::default();
        let keeps = |old: &str, new: &str| keeps_rows(&known, old, new, false);
        for (old, new) in [
            ("int", "integer"),
            ("character varying(10)", "VARCHAR(20)"),
            ("character varying(10)", "text"),
            ("numeric(10,2)", "decimal(12, 2)"),
            ("timestamp(3) without time zone", "timestamp"),
            ("interval", "interval(6)"),
            ("text[]", "text[]"),
        ] {
            assert!(keeps(old, new), "{old} {new}");
        }
        for (old, new) in [
            ("integer", "bigint"),
            ("character varying(10)", "varchar(5)"),
            ("numeric(10,2)", "numeric(12, 3)"),
            ("timestamp without time zone", "timestamptz"),
            ("text", "text[]"),
            ("character varying(10)[]", "text[]"),
        ] {
            assert!(!keeps(old, new), "{old} {new}");
        }
        assert!(keeps_rows(&known, "timestamp without time zone", "timestamptz", true));
    }
}
