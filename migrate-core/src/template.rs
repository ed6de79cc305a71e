//! SQL and pages with names in braces, which stand in files of their own.
//!
//! A value is never looked into: a ledger, a column or a migration may be called `{lock}`.

/// The text with its names in braces replaced. What has no value stays as it is.
pub(crate) fn fill(template: &str, names: &[(&str, String)]) -> String {
    let mut pieces = template.split('{');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let known = piece.split_once('}').and_then(|(name, rest)| {
            let (_, value) = names.iter().find(|(known, _)| *known == name)?;
            Some((value, rest))
        });
        match known {
            Some((value, rest)) => text.extend([value, rest]),
            None => text.extend(["{", piece]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_filled_in_again() {
        let names = [("a", "{b}".to_owned()), ("b", "{a}".to_owned())];
        assert_eq!(fill("{a} {b}{a} {c} {} '{\"k\": 1}' {", &names), "{b} {a}{b} {c} {} '{\"k\": 1}' {");
    }
}
