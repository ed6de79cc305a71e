//! Templates: SQL and pages in their own files, with names in braces.
//!
//! Values are never expanded again: a ledger, a column or a migration may be called `{lock}`.

/// Replaces the names in braces with their values. A name without a value stays as it is.
pub fn fill(template: &str, names: &[(&str, String)]) -> String {
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
