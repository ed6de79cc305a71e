//! What constraints prove about the rows of a table, so that the server need not read the rows.

use migrate_base::ident::plain;
use migrate_base::sql::{lex, tokens};
use migrate_schema::{Kind, Object};

use super::place::{ScriptContext, columns, full, is_key, refers_to};
use crate::tree::ObjectName;

/// Whether a constraint is true for all rows: it is validated and enforced.
pub(super) fn is_valid(definition: &str) -> bool {
    !definition.ends_with(" NOT VALID") && !definition.ends_with(" NOT ENFORCED")
}

/// Whether a constraint is a check that is true for all rows.
pub(super) fn is_valid_check(definition: &str) -> bool {
    definition.starts_with("CHECK") && is_valid(definition)
}

/// Whether the server knows that a column is never NULL.
pub(crate) fn is_filled(known: &ScriptContext<'_>, table: &Object, column: &str) -> bool {
    let name = full(&table.id);
    let is_lost = |constraint: &str| {
        constraint.ends_with(" not valid") || known.is_dropped(&name, constraint.trim_end_matches(" no inherit"))
    };
    let declared = known
        .column(table, column)
        .is_some_and(|one| one.fact("not null").is_some() && !one.fact("not null constraint").is_some_and(is_lost));
    declared && !known.is_nullable(&name, column) || checks(known, table).iter().any(|text| asks_for(text, column))
}

/// What valid foreign keys on a single column prove: the tables and columns that contain its values.
pub(crate) fn refers(known: &ScriptContext<'_>, table: &Object, column: &str) -> Vec<(ObjectName, String)> {
    let keys = known.constraints(table).into_iter().filter(|one| one.fact("definition").is_some_and(is_valid));
    let target = |key: &Object| {
        let (own, other) = key.fact("definition")?.split_once(" REFERENCES ")?;
        let list = |text: &str| text.split_once('(').map(|(_, list)| columns(list)).unwrap_or_default();
        let [other] = <[String; 1]>::try_from(list(other)).ok()?;
        (list(own) == [column]).then_some((refers_to(key)?, other))
    };
    keys.filter_map(target).collect()
}

/// The definitions of the checks that are true for all rows of a table.
fn checks<'a>(known: &ScriptContext<'a>, table: &Object) -> Vec<&'a str> {
    let all = known.constraints(table).into_iter().filter_map(|one| one.fact("definition"));
    all.filter(|text| is_valid_check(text)).collect()
}

impl ScriptContext<'_> {
    /// Whether a partition is known to fit: its checks mention the columns of the partition key, which are never NULL,
    /// and it has the indexes of its table. Whether a check implies the bound is for the server to decide.
    pub(super) fn implies_bound(&self, table: &ObjectName, partition: &ObjectName, bound: &str) -> bool {
        let Some((table, partition)) = self.table(table).zip(self.table(partition)) else { return false };
        let takes_null = tokens(bound).iter().any(|word| word.eq_ignore_ascii_case("null"));
        let is_hash = table.fact("partition key").is_some_and(|key| key.starts_with("HASH"));
        let of_key = self.key_columns(table);
        let filled = is_hash || takes_null || of_key.iter().all(|column| is_filled(self, partition, column));
        let lists = |of: &Object| {
            let keys = self.constraints(of).into_iter().filter_map(|one| one.fact("definition"));
            let keys: Vec<&str> = keys
                .filter(|text| is_key(text))
                .filter_map(|text| text.split_once('('))
                .map(|(_, list)| list)
                .collect();
            let indexes = self.parts(of, Kind::Index).into_iter().filter_map(|one| one.fact("definition"));
            let lists = indexes.filter_map(|text| text.split_once(" USING ")?.1.split_once('(')).map(|(_, list)| list);
            lists.chain(keys).map(columns).collect::<Vec<_>>()
        };
        let there = lists(partition);
        filled && self.is_checked(partition, &of_key) && lists(table).iter().all(|list| there.contains(list))
    }

    /// Whether the checks of a default partition mention the columns of the partition key.
    pub(super) fn excludes_others(&self, table: &ObjectName, default: &ObjectName) -> bool {
        let both = self.table(table).zip(self.table(default));
        both.is_some_and(|(table, default)| self.is_checked(default, &self.key_columns(table)))
    }

    /// Whether valid checks of a table mention each of these columns.
    fn is_checked(&self, table: &Object, columns: &[String]) -> bool {
        let checks = checks(self, table);
        let mentioned = |column: &String| {
            checks.iter().any(|text| tokens(text).iter().any(|word| word.trim_matches('"') == column))
        };
        !columns.is_empty() && columns.iter().all(mentioned)
    }

    /// The columns of the partition key of a table.
    fn key_columns(&self, table: &Object) -> Vec<String> {
        let words = tokens(table.fact("partition key").unwrap_or_default());
        let columns = self.parts(table, Kind::Column).into_iter().map(|one| one.id.name.to_string());
        columns.filter(|name| words.iter().any(|word| word.trim_matches('"') == name)).collect()
    }
}

/// Whether a check proves that a column is NOT NULL: alone, or as one of several conditions joined by AND.
fn asks_for(check: &str, column: &str) -> bool {
    let wanted = format!("{} IS NOT NULL", plain(column));
    let Some(text) = check.strip_prefix("CHECK ") else { return false };
    conditions(text).contains(&wanted.as_str())
}
/// The conditions that AND joins, without the parentheses around each.
fn conditions(text: &str) -> Vec<&str> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'))
        && depths(inner).all(|(_, depth)| depth >= 0)
    {
        return conditions(inner);
    }
    let cut = depths(text).find(|(span, depth)| *depth == 0 && text[span.clone()].eq_ignore_ascii_case("AND"));
    match cut {
        Some((span, _)) => [conditions(&text[..span.start]), conditions(&text[span.end..])].concat(),
        None => vec![text],
    }
}

/// The words of a text, each with the number of parentheses that are open after it.
fn depths(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, i32)> + '_ {
    lex::words(text).scan(0, |depth, (_, span)| {
        match &text[span.clone()] {
            "(" => *depth += 1,
            ")" => *depth -= 1,
            _ => {}
        }
        Some((span, *depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_asks_for_a_value_where_all_of_it_holds() {
        assert!(asks_for("CHECK ((a IS NOT NULL))", "a"));
        assert!(asks_for("CHECK (((b > 0) AND (a IS NOT NULL)))", "a"));
        assert!(asks_for("CHECK (((a IS NOT NULL) AND (b > 0) AND (c > 0)))", "a"));
        assert!(!asks_for("CHECK (((b > 0) OR (a IS NOT NULL)))", "a"));
        assert!(!asks_for("CHECK ((ba IS NOT NULL))", "a"));
        assert!(asks_for("CHECK ((\"A b\" IS NOT NULL))", "A b"));
    }
}
