//! The contents of strings: the body of a function or a `DO`, or a statement that is built at run time.

use std::borrow::Cow;

/// The value of a string literal of any kind; `None` for other tokens.
pub fn quoted(token: &str) -> Option<Cow<'_, str>> {
    if let Some(rest) = token.strip_prefix('$') {
        let tag = rest.find('$')? + 2;
        let body = token.get(tag..)?;
        return Some(body.strip_suffix(&token[..tag]).unwrap_or(body).into());
    }
    let (prefix, rest) = token.split_once('\'')?;
    if !matches!(prefix, "" | "e" | "E" | "n" | "N" | "u&" | "U&") {
        return None;
    }
    let escapes = prefix.eq_ignore_ascii_case("e");
    if !escapes && !rest.trim_end_matches('\'').contains('\'') {
        return Some(rest.strip_suffix('\'').unwrap_or(rest).into());
    }
    Some(value(rest, escapes).into())
}

/// Reads what follows the first quote of a literal, which can continue on other lines.
fn value(rest: &str, escapes: bool) -> String {
    let mut value = String::with_capacity(rest.len());
    let mut letters = rest.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if letters.next_if_eq(&'\'').is_some() => value.push('\''),
            // The end of a part: the text up to the next quote is between the parts.
            '\'' => drop(letters.by_ref().find(|letter| *letter == '\'')),
            '\\' if escapes => match letters.next() {
                Some('n' | 'r' | 't' | 'f' | 'b') => value.push(' '),
                other => value.extend(other),
            },
            letter => value.push(letter),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_literal_has_its_value() {
        for (token, value) in [
            ("$$a'b$$", Some("a'b")),
            ("$x$a$$b$x$", Some("a$$b")),
            ("''", Some("")),
            ("'a'", Some("a")),
            ("'it''s'''", Some("it's'")),
            ("E'it\\'s\\n\\\\'", Some("it's \\")),
            ("e'a' -- b\n 'c'", Some("ac")),
            ("N'a'", Some("a")),
            ("x'1F'", None),
            ("a", None),
            ("\"a\"", None),
        ] {
            assert_eq!(quoted(token).as_deref(), value, "{token}");
        }
    }
}
