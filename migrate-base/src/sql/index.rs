//! The object that a CONCURRENTLY statement is about, from the words of the statement.

use super::words::tokens;
use crate::ident::{catalog_name, ident, literal};

/// The index of a `CREATE` or `DROP INDEX CONCURRENTLY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexName {
    /// Its name in the catalog, without a schema.
    pub name: String,
    /// The query that finds it: returns one row with `indisvalid` and the quoted name, or no row.
    pub query: String,
}

impl IndexName {
    /// Reads it from a statement; `None` if the server chooses the name, or the statement drops several indexes.
    pub fn of(statement: &str) -> Option<Self> {
        let words = tokens(statement);
        let at = after_concurrently(&words)?;
        if is(&words, 0, "drop") {
            let until = end(&words, at, &["cascade", "restrict"]);
            let written = words.get(at..until).filter(|name| !name.is_empty() && !name.contains(&","))?;
            let name = name(written.last()?)?;
            let condition = format!("i.indexrelid = pg_catalog.to_regclass({})", literal(&path(written)?));
            return Some(Self { name, query: query(&condition) });
        }
        let name = words.get(at).filter(|word| !word.eq_ignore_ascii_case("on")).and_then(|word| name(word))?;
        // The cast cuts a name that is too long.
        let condition = format!("{} AND c.relname = {}::pg_catalog.name", of_table(statement)?, literal(&name));
        Some(Self { name, query: query(&condition) })
    }
}

/// The condition on `pg_index i` for the table of a `CREATE INDEX CONCURRENTLY`.
pub fn of_table(statement: &str) -> Option<String> {
    let words = tokens(statement);
    let at = after_concurrently(&words)?;
    let on = at + usize::from(!is(&words, at, "on"));
    let table = on + 1 + usize::from(is(&words, on + 1, "only"));
    let until = end(&words, table, &["(", "using"]);
    let written = words.get(table..until).filter(|_| is(&words, on, "on"))?;
    Some(format!("i.indrelid = pg_catalog.to_regclass({})", literal(&path(written)?)))
}

/// The partitioned table and the partition of an `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`, for `to_regclass`.
pub fn detached(statement: &str) -> Option<(String, String)> {
    let words = tokens(statement);
    let mut at = if is(&words, 2, "if") { 4 } else { 2 };
    at += usize::from(is(&words, at, "only"));
    let detach = (at..words.len()).find(|at| is(&words, *at, "detach") && is(&words, *at + 1, "partition"))?;
    let parent = words.get(at..detach)?.strip_suffix(&["*"]).unwrap_or(words.get(at..detach)?);
    let partition = words.get(detach + 2..end(&words, detach + 2, &["concurrently"]))?;
    Some((path(parent)?, path(partition)?))
}

fn is(words: &[&str], at: usize, word: &str) -> bool {
    words.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word))
}

/// The index of the word after `CONCURRENTLY [IF [NOT] EXISTS]`.
fn after_concurrently(words: &[&str]) -> Option<usize> {
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("concurrently"))? + 1;
    Some(match is(words, at, "if") {
        true if is(words, at + 1, "not") => at + 3,
        true => at + 2,
        false => at,
    })
}

/// The index of the first of these words, or the index after the last word.
fn end(words: &[&str], from: usize, stops: &[&str]) -> usize {
    let stop = |word: &&str| stops.iter().any(|stop| word.eq_ignore_ascii_case(stop));
    words[from.min(words.len())..].iter().position(stop).map_or(words.len(), |n| from + n)
}

/// A name with its schema, in the form that the server reads from a text.
fn path(words: &[&str]) -> Option<String> {
    let is_path = words.len() % 2 == 1 && words.iter().skip(1).step_by(2).all(|word| *word == ".");
    let names = words.iter().step_by(2).map(|word| name(word).map(|name| ident(&name)));
    is_path.then(|| names.collect::<Option<Vec<_>>>())?.map(|names| names.join("."))
}

/// A name in any spelling, as stored in the catalog.
fn name(written: &str) -> Option<String> {
    let Some(quoted) = written.strip_prefix("U&").or_else(|| written.strip_prefix("u&")) else {
        return catalog_name(written);
    };
    let mut name = String::new();
    let quoted = catalog_name(quoted)?;
    let mut rest = &*quoted;
    while let Some((before, after)) = rest.split_once('\\') {
        name.push_str(before);
        rest = match (after.strip_prefix('\\'), after.strip_prefix('+')) {
            (Some(after), _) => {
                name.push('\\');
                after
            }
            (_, long) => {
                let (digits, length) = (long.unwrap_or(after), if long.is_some() { 6 } else { 4 });
                let number = u32::from_str_radix(digits.get(..length)?, 16).ok()?;
                name.push(char::from_u32(number)?);
                &digits[length..]
            }
        };
    }
    Some(name + rest)
}

fn query(condition: &str) -> String {
    format!(
        "SELECT i.indisvalid AND i.indisready AND i.indislive, \
         pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {condition}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(statement: &str, name: &str, condition: &str) {
        let found = IndexName::of(statement).unwrap();
        assert_eq!(found.name, name);
        assert!(found.query.ends_with(condition), "{}", found.query);
    }

    #[test]
    fn the_index_and_its_table_are_found() {
        let table = "i.indrelid = pg_catalog.to_regclass('\"shop\".\"orders\"') AND c.relname = 'a'::pg_catalog.name";
        check("create unique index concurrently if not exists A on only shop . Orders (x)", "a", table);
        let quoted = "i.indrelid = pg_catalog.to_regclass('\"T\"') AND c.relname = 'My Ix'::pg_catalog.name";
        check("create index concurrently \"My Ix\" on \"T\" using gin (x)", "My Ix", quoted);
        let escaped = "to_regclass('\"Ä.b\"') AND c.relname = 'é😀'::pg_catalog.name";
        check("create index concurrently U&\"\\00e9\\+01F600\" on u&\"\\00C4.b\" (x)", "é😀", escaped);
        check("drop index concurrently if exists shop.a cascade", "a", "to_regclass('\"shop\".\"a\"')");
    }

    #[test]
    fn a_name_of_the_servers_choosing_is_not_known() {
        assert_eq!(IndexName::of("create index concurrently on t (x)"), None);
        assert_eq!(IndexName::of("drop index concurrently a, b"), None);
        let table = Some("i.indrelid = pg_catalog.to_regclass('\"s\".\"t\"')".to_owned());
        assert_eq!(of_table("create unique index concurrently on only s.t (x)"), table);
        assert_eq!(of_table("create unique index concurrently if not exists i on s.t using btree (x)"), table);
    }

    #[test]
    fn a_partition_and_its_table_are_found() {
        let found = |parent: &str, partition: &str| Some((parent.to_owned(), partition.to_owned()));
        assert_eq!(detached("ALTER TABLE p DETACH PARTITION s.c CONCURRENTLY"), found("\"p\"", "\"s\".\"c\""));
        let spelled = "alter table if exists only \"P q\" detach /* */ partition C concurrently";
        assert_eq!(detached(spelled), found("\"P q\"", "\"c\""));
        assert_eq!(detached("alter table p detach"), None);
    }
}
