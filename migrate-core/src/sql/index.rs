//! Which index a `CREATE` or `DROP INDEX CONCURRENTLY` is about.

use super::words::tokens;
use crate::ident::{catalog_name, literal};

/// The index of a concurrent statement, so that the catalogs can be asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexName {
    /// As it stands in the catalog, without a schema.
    pub(crate) name: String,
    /// The query that finds it: one row with `indisvalid` and its quoted name, or none.
    pub(crate) query: String,
}

impl IndexName {
    /// Reads it out of a statement; `None` where the server chooses the name, or drops several.
    pub(crate) fn of(statement: &str) -> Option<Self> {
        let words = tokens(statement);
        let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
        let mut at = words.iter().position(|word| word.eq_ignore_ascii_case("concurrently"))? + 1;
        if is(at, "if") {
            at += if is(at + 1, "not") { 3 } else { 2 };
        }
        let end = |from: usize, stops: &[&str]| {
            let stop = |word: &&str| stops.iter().any(|stop| word.eq_ignore_ascii_case(stop));
            words[from.min(words.len())..].iter().position(stop).map_or(words.len(), |n| from + n)
        };
        if is(0, "drop") {
            let until = end(at, &["cascade", "restrict"]);
            let written = words.get(at..until).filter(|name| !name.is_empty() && !name.contains(&","))?;
            let name = catalog_name(written.last()?)?;
            let condition = format!("i.indexrelid = pg_catalog.to_regclass({})", literal(&written.concat()));
            return Some(Self { name, query: query(&condition) });
        }
        let name = words.get(at).filter(|word| !word.eq_ignore_ascii_case("on"))?;
        let table = at + 2 + usize::from(is(at + 2, "only"));
        let until = end(table, &["(", "using"]);
        let condition = format!(
            "i.indrelid = pg_catalog.to_regclass({}) AND c.relname = {}",
            literal(&words.get(table..until)?.concat()),
            literal(&catalog_name(name)?)
        );
        Some(Self { name: catalog_name(name)?, query: query(&condition) })
    }
}

fn query(condition: &str) -> String {
    format!(
        "SELECT i.indisvalid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) \
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
        let table = "i.indrelid = pg_catalog.to_regclass('shop.orders') AND c.relname = 'a'";
        check("create unique index concurrently if not exists A on only shop . orders (x)", "a", table);
        let quoted = "i.indrelid = pg_catalog.to_regclass('\"T\"') AND c.relname = 'My Ix'";
        check("create index concurrently \"My Ix\" on \"T\" using gin (x)", "My Ix", quoted);
        check("drop index concurrently if exists shop.a cascade", "a", "to_regclass('shop.a')");
    }

    #[test]
    fn a_name_of_the_servers_choosing_is_not_known() {
        assert_eq!(IndexName::of("create index concurrently on t (x)"), None);
        assert_eq!(IndexName::of("drop index concurrently a, b"), None);
    }
}
