//! Collects the names in a script: the tables that block it, and those that it destroys, have these names.
//!
//! It collects too many names rather than too few: every word counts, including those in the body of a function or a
//! block.

use std::collections::BTreeSet;

use migrate_base::ident::{catalog_name, literal};
use migrate_base::sql::{quoted, tokens};

/// Every word of a script as a name: in lower case, or as quoted.
pub(super) fn of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(text, &mut names);
    names
}

fn collect(text: &str, names: &mut BTreeSet<String>) {
    for token in tokens(text) {
        match token.chars().next() {
            Some('$') => {
                if let Some(body) = quoted(token) {
                    collect(&body, names);
                }
            }
            _ => names.extend(catalog_name(token)),
        }
    }
}

/// The names as an SQL array.
pub(super) fn array(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    format!("ARRAY[{}]::text[]", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_server_reads_them() {
        let sql = "DROP TABLE A, \"B\"\"b\"; -- c\nDO $x$ BEGIN EXECUTE 'd'; DELETE FROM s.e; END $x$; SELECT 'f', $1";
        let names = of(sql);
        for name in ["a", "B\"b", "e", "s"] {
            assert!(names.contains(name), "{name} in {names:?}");
        }
        assert!(!["c", "f", "A"].iter().any(|name| names.contains(*name)), "{names:?}");
    }
}
