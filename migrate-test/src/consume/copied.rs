//! `COPY`: the server does not check the names in it when it is prepared, so a query with the same names is
//! checked instead.

use std::borrow::Cow;

use migrate_base::sql;

/// The query that is checked for a text: for `COPY t (a, b) FROM` an INSERT into the same columns, for
/// `COPY … TO` a SELECT. Any other text is checked as it is.
pub(super) fn asked_as(text: &str) -> Cow<'_, str> {
    copied(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn copied(text: &str) -> Option<String> {
    let words = sql::tokens(text);
    let is = |at: usize, word: &str| words.get(at).is_some_and(|one| one.eq_ignore_ascii_case(word));
    if !is(0, "copy") {
        return None;
    }
    if is(1, "(") {
        let end = closing(&words, 1)?;
        return Some(words[2..end].join(" "));
    }
    let list = words.iter().position(|word| *word == "(");
    let way = words.iter().position(|word| word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("to"))?;
    let list = list.filter(|at| *at < way);
    let table = words[1..list.unwrap_or(way)].concat();
    let columns = match list {
        Some(at) => words[at + 1..closing(&words, at)?].join(" "),
        None => "*".to_owned(),
    };
    Some(match words[way].eq_ignore_ascii_case("from") && list.is_some() {
        true => format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}"),
        false => format!("SELECT {columns} FROM {table}"),
    })
}

/// The position of the matching closing parenthesis.
fn closing(words: &[&str], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, word) in words.iter().enumerate().skip(open) {
        match *word {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_asked_about_as_a_query() {
        for (text, expected) in [
            ("COPY t (a, b) FROM STDIN", "INSERT INTO t (a , b) SELECT a , b FROM t"),
            ("copy public.t from stdin with (format csv)", "SELECT * FROM public.t"),
            ("COPY t(a) TO STDOUT", "SELECT a FROM t"),
            ("COPY (SELECT a FROM t WHERE (b)) TO STDOUT", "SELECT a FROM t WHERE ( b )"),
            ("SELECT 1", "SELECT 1"),
        ] {
            assert_eq!(asked_as(text), expected);
        }
    }
}
