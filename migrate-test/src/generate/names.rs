//! Names as the server writes them in definitions.

use migrate_base::ident::first_name;
use migrate_schema::{Id, Kind, Object, Schema};
use squawk_syntax::SyntaxNode;

/// Names separated by commas, up to a closing parenthesis, and the text after that.
pub(super) fn list(mut text: &str) -> Option<(Vec<String>, &str)> {
    let mut names = Vec::new();
    loop {
        let (name, rest) = first_name(text.trim_start())?;
        names.push(name);
        match rest.trim_start().split_at_checked(1)? {
            (",", rest) => text = rest,
            (")", rest) => return Some((names, rest)),
            _ => return None,
        }
    }
}

/// The names in a text, wherever they occur.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find(|c: char| c.is_alphanumeric() || c == '_' || c == '"')?;
            match first_name(&rest[at..]) {
                Some((name, after)) => {
                    rest = after;
                    return Some(name);
                }
                None => rest = rest[at..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '"'),
            }
        }
    })
}

/// The last name in a node: that of the table in `shop.users`.
pub(super) fn last(node: &SyntaxNode) -> Option<String> {
    words(&node.text().to_string()).last()
}

/// The name of a type without its schema, brackets and modifiers.
pub(crate) fn of_type(text: &str) -> Option<String> {
    let (first, rest) = first_name(text.trim())?;
    Some(rest.strip_prefix('.').and_then(first_name).map_or(first, |(name, _)| name))
}

/// The type or domain of the schema that a type name refers to, without its modifier; `None` for an array.
pub(super) fn lookup<'a>(schema: &'a Schema, type_name: &str) -> Option<&'a Object> {
    let (space, rest) = first_name(type_name)?;
    let (name, rest) = first_name(rest.strip_prefix('.')?)?;
    if rest.trim_start().starts_with('[') {
        return None;
    }
    let id = |kind| Id {
        kind,
        schema: space.as_str().into(),
        parent: "".into(),
        name: name.as_str().into(),
        signature: "".into(),
    };
    [Kind::Type, Kind::Domain].into_iter().find_map(|kind| schema.get(&id(kind))).map(|object| &**object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_at_their_parenthesis() {
        assert_eq!(list("a, \"b\"\"c\") x"), Some((vec!["a".into(), "b\"c".into()], " x")));
        assert_eq!(list("a b)"), None);
    }
}
