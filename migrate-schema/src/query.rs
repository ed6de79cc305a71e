//! Whether two queries of views, or two lists of statistics, differ only in the order of their columns.
//!
//! The texts are in the form that the server writes: `*` is expanded, and every column whose name differs from that of
//! its expression has an alias. So the columns of a query can be sorted by name, in the same way in each branch of a
//! UNION, and then the texts can be compared. The order of a derived table matters if a whole row is used, which the
//! server writes as `s.*`.

use std::ops::Range;

use migrate_base::sql::lex::words;

/// Whether two queries return the same columns of the same rows, possibly in another order.
pub(super) fn same_but_for_order(one: &str, other: &str) -> bool {
    one == other || canonical(one) == canonical(other)
}

/// Whether two statements create the same statistics. The server lists the columns in the order of the table.
pub(super) fn are_same_statistics(one: &str, other: &str) -> bool {
    one == other || statistics(one) == statistics(other)
}

/// A `CREATE STATISTICS` with its columns and expressions sorted by their texts.
fn statistics(text: &str) -> Vec<Vec<&str>> {
    let tokens: Vec<&str> = words(text).map(|(_, span)| &text[span]).collect();
    let place = |word: &str| tokens.iter().position(|token| is(token, word));
    let (Some(begin), Some(end)) = (place("ON"), tokens.iter().rposition(|token| is(token, "FROM"))) else {
        return vec![tokens];
    };
    let mut depth = 0_usize;
    let mut items = tokens[begin + 1..end]
        .split(|token| {
            match *token {
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && *token == ","
        })
        .map(<[&str]>::to_vec)
        .collect::<Vec<_>>();
    items.sort_unstable();
    items.extend([tokens[..begin].to_vec(), tokens[end..].to_vec()]);
    items
}

/// A query with its columns sorted by name.
fn canonical(text: &str) -> Vec<String> {
    let tokens: Vec<&str> = words(text).map(|(_, span)| &text[span]).filter(|token| *token != ";").collect();
    let uses_whole_row = tokens.windows(2).any(|pair| pair == [".", "*"]);
    ordered(&tokens, !uses_whole_row)
}

/// The words that end the list of columns.
pub(super) const ENDS: [&str; 13] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "FOR",
];

/// The tokens with the columns sorted; if `deep`, those of inner queries as well.
fn ordered(tokens: &[&str], deep: bool) -> Vec<String> {
    let lists = lists(tokens);
    let Some(first) = lists.first() else { return plain(tokens, 0..tokens.len(), deep) };
    let mut places: Vec<usize> = (0..first.len()).collect();
    places.sort_by_key(|at| name(&tokens[first[*at].clone()]));
    // If columns are referred to by number, or if branches do not match, the columns keep their order.
    if names_by_number(tokens) || lists.iter().any(|list| list.len() != first.len()) {
        return plain(tokens, 0..tokens.len(), deep);
    }
    let mut made = Vec::with_capacity(tokens.len());
    let mut at = 0;
    for list in &lists {
        let (Some(begin), Some(end)) = (list.first(), list.last()) else { continue };
        made.extend(plain(tokens, at..begin.start, deep));
        for (n, place) in places.iter().enumerate() {
            made.extend((n > 0).then(|| ",".to_owned()));
            made.extend(plain(tokens, list[*place].clone(), deep));
        }
        at = end.end;
    }
    made.extend(plain(tokens, at..tokens.len(), deep));
    made
}

/// These tokens, in which inner queries are sorted as well if their columns are referred to only by name.
fn plain(tokens: &[&str], range: Range<usize>, deep: bool) -> Vec<String> {
    let mut made = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let close = closing(tokens, at).filter(|close| deep && *close < range.end && is_source(tokens, at, *close));
        match close {
            Some(close) => {
                made.push("(".to_owned());
                made.extend(ordered(&tokens[at + 1..close], deep));
                at = close;
            }
            None => {
                made.push(tokens[at].to_owned());
                at += 1;
            }
        }
    }
    made
}

/// The position of the parenthesis that closes the one at `at`.
fn closing(tokens: &[&str], at: usize) -> Option<usize> {
    (tokens.get(at) == Some(&"(")).then_some(())?;
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match *token {
            "(" => depth += 1,
            ")" if depth == 1 => return Some(place),
            ")" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether the parentheses contain a query of FROM or WITH that has no list of column names.
fn is_source(tokens: &[&str], open: usize, close: usize) -> bool {
    let word = |at: Option<usize>, word: &str| at.and_then(|at| tokens.get(at)).is_some_and(|one| is(one, word));
    let before = |n: usize| open.checked_sub(n);
    let is_query = word(Some(open + 1), "SELECT") || word(Some(open + 1), "WITH");
    let is_derived = ["FROM", "JOIN", "LATERAL"].iter().any(|one| word(before(1), one));
    let named = usize::from(word(Some(close + 1), "AS"));
    let is_listed = word(Some(close + 2 + named), "(");
    let lead = (1..=3).find(|n| word(before(*n), "AS"));
    let is_common = lead.is_some_and(|n| {
        let hints = (1..n).all(|n| word(before(n), "MATERIALIZED") || word(before(n), "NOT"));
        hints && !word(before(n + 1), ")")
    });
    is_query && ((is_derived && !is_listed) || is_common)
}

/// The columns of each SELECT that is not inside parentheses, as ranges of tokens.
fn lists(tokens: &[&str]) -> Vec<Vec<Range<usize>>> {
    let mut lists: Vec<Vec<Range<usize>>> = Vec::new();
    let mut open: Option<usize> = None;
    let mut depth = 0_usize;
    let mut at = 0;
    while at < tokens.len() {
        let token = tokens[at];
        let is_end = depth == 0
            && ENDS.iter().any(|end| is(token, end))
            && !at.checked_sub(1).is_some_and(|before| is(tokens[before], "WITHIN"));
        match (token, open) {
            ("(" | "[", _) => depth += 1,
            (")" | "]", _) => depth = depth.saturating_sub(1),
            (",", Some(begin)) if depth == 0 => {
                close(&mut lists, begin..at);
                open = Some(at + 1);
            }
            (_, Some(begin)) if is_end => {
                close(&mut lists, begin..at);
                open = None;
            }
            (_, None) if depth == 0 && is(token, "SELECT") => {
                at = after_distinct(tokens, at + 1);
                lists.push(Vec::new());
                open = Some(at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(begin) = open {
        close(&mut lists, begin..tokens.len());
    }
    lists.retain(|list| !list.is_empty());
    lists
}

fn close(lists: &mut [Vec<Range<usize>>], column: Range<usize>) {
    if let Some(list) = lists.last_mut()
        && !column.is_empty()
    {
        list.push(column);
    }
}

/// The first token after `ALL`, `DISTINCT` and `DISTINCT ON (…)`.
fn after_distinct(tokens: &[&str], at: usize) -> usize {
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|one| is(one, word));
    match (word(at, "DISTINCT"), word(at + 1, "ON")) {
        (true, true) => closing(tokens, at + 2).map_or(at + 2, |close| close + 1),
        (true, false) => at + 1,
        (false, _) => at + usize::from(word(at, "ALL")),
    }
}

/// The name of a column: its alias, or the last part of its own name.
fn name<'a>(column: &[&'a str]) -> &'a str {
    column.last().copied().unwrap_or_default()
}

/// Whether a query orders or groups by the number of a column.
fn names_by_number(tokens: &[&str]) -> bool {
    let mut is_list = false;
    let mut before = "";
    let mut depth = 0_usize;
    for token in tokens {
        match *token {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            one if is(one, "BY") => is_list = is(before, "ORDER") || is(before, "GROUP"),
            one if ENDS.iter().any(|end| is(one, end)) => is_list = false,
            one if is_list && (is(before, "BY") || before == ",") && one.bytes().all(|byte| byte.is_ascii_digit()) => {
                return true;
            }
            _ => {}
        }
        before = token;
    }
    false
}

fn is(token: &str, word: &str) -> bool {
    token.eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, expected: bool) {
        assert_eq!(same_but_for_order(one, other), expected, "{one}\n{other}");
        assert_eq!(same_but_for_order(other, one), expected, "{other}\n{one}");
    }

    #[test]
    fn statistics_are_about_columns_in_any_order() {
        let text = |list: &str| format!("CREATE STATISTICS s.x (mcv) ON {list} FROM s.t");
        let same = |one: &str, other: &str| are_same_statistics(&text(one), &text(other));
        assert!(same("a, b", "b, a"));
        assert!(same("a, (b + f(a, b))", "(b + f(a, b)), a"));
        assert!(!same("a, b", "a, c"));
        assert!(!same("(f(a, b)), c", "(f(b, a)), c"));
        assert!(!are_same_statistics(&text("a, b"), "CREATE STATISTICS s.x ON a, b FROM s.t"));
    }

    #[test]
    fn only_the_order_of_columns_is_free() {
        check(" SELECT t.id,\n    t.a,\n    t.b\n   FROM t;", " SELECT t.id,\n    t.b,\n    t.a\n   FROM t;", true);
        check("SELECT t.id, t.a FROM t", "SELECT t.id, t.b FROM t", false);
        check("SELECT t.id, t.a FROM t", "SELECT t.a, t.id FROM t WHERE (t.id > 0)", false);
        check("SELECT t.id AS a, t.a AS id FROM t", "SELECT t.id, t.a FROM t", false);
        check("SELECT f(t.a, t.b) AS x, t.c FROM t", "SELECT t.c, f(t.b, t.a) AS x FROM t", false);
        check("SELECT DISTINCT ON (t.a, t.b) t.c, t.d FROM t", "SELECT DISTINCT ON (t.a, t.b) t.d, t.c FROM t", true);
        check("SELECT DISTINCT ON (t.a, t.b) t.c FROM t", "SELECT DISTINCT ON (t.b, t.a) t.c FROM t", false);
        check(
            "SELECT p(0.5) WITHIN GROUP (ORDER BY t.a) AS m, t.b FROM t GROUP BY t.b",
            "SELECT t.b, p(0.5) WITHIN GROUP (ORDER BY t.a) AS m FROM t GROUP BY t.b",
            true,
        );
        check("SELECT 1 AS \"select\", ',' AS c", "SELECT ',' AS c, 1 AS \"select\"", true);
    }

    #[test]
    fn branches_of_a_union_go_together() {
        check(
            "SELECT t.a, t.b FROM t UNION ALL SELECT u.x, u.y FROM u",
            "SELECT t.b, t.a FROM t UNION ALL SELECT u.y, u.x FROM u",
            true,
        );
        check(
            "SELECT t.a, t.b FROM t UNION ALL SELECT u.x, u.y FROM u",
            "SELECT t.b, t.a FROM t UNION ALL SELECT u.x, u.y FROM u",
            false,
        );
        check(
            "SELECT t.a, t.b FROM t UNION SELECT u.a, u.b FROM u ORDER BY 1",
            "SELECT t.b, t.a FROM t UNION SELECT u.b, u.a FROM u ORDER BY 1",
            false,
        );
    }

    #[test]
    fn queries_inside_count_where_their_columns_are_numbered() {
        check("SELECT s.a FROM ( SELECT t.a, t.b FROM t) s", "SELECT s.a FROM ( SELECT t.b, t.a FROM t) s", true);
        check(
            "WITH s AS ( SELECT t.a, t.b FROM t) SELECT s.a FROM s",
            "WITH s AS ( SELECT t.b, t.a FROM t) SELECT s.a FROM s",
            true,
        );
        check(
            "WITH s(x, y) AS ( SELECT t.a, t.b FROM t) SELECT s.x FROM s",
            "WITH s(x, y) AS ( SELECT t.b, t.a FROM t) SELECT s.x FROM s",
            false,
        );
        check(
            "SELECT s.x FROM ( SELECT t.a, t.b FROM t) s(x, y)",
            "SELECT s.x FROM ( SELECT t.b, t.a FROM t) s(x, y)",
            false,
        );
        check(
            "SELECT t.a FROM t WHERE ((t.a, t.b) IN ( SELECT u.a, u.b FROM u))",
            "SELECT t.a FROM t WHERE ((t.a, t.b) IN ( SELECT u.b, u.a FROM u))",
            false,
        );
    }
    #[test]
    fn a_whole_row_depends_on_the_order_of_its_columns() {
        for (one, other) in [
            (
                "SELECT row_to_json(s.*) AS j FROM ( SELECT t.a, t.b FROM t) s",
                "SELECT row_to_json(s.*) AS j FROM ( SELECT t.b, t.a FROM t) s",
            ),
            (
                "WITH s AS ( SELECT t.a, t.b FROM t) SELECT (s.*)::text AS s FROM s",
                "WITH s AS ( SELECT t.b, t.a FROM t) SELECT (s.*)::text AS s FROM s",
            ),
            (
                "SELECT count(DISTINCT s.*) AS n FROM ( SELECT t.a, t.b FROM t) s",
                "SELECT count(DISTINCT s.*) AS n FROM ( SELECT t.b, t.a FROM t) s",
            ),
            (
                "SELECT x.j FROM ( SELECT ( SELECT to_json(s.*) AS j) AS j FROM ( SELECT t.a, t.b FROM t) s) x",
                "SELECT x.j FROM ( SELECT ( SELECT to_json(s.*) AS j) AS j FROM ( SELECT t.b, t.a FROM t) s) x",
            ),
        ] {
            check(one, other, false);
        }
        check("SELECT row_to_json(t.*) AS j, t.a FROM t", "SELECT t.a, row_to_json(t.*) AS j FROM t", true);
    }
}
