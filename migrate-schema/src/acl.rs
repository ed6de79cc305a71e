//! Privileges, and the text form of arrays in which the server returns them.

/// The elements of a one-dimensional array in PostgreSQL's text form; `None` means NULL.
///
/// See <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>.
pub fn array_items(text: &str) -> Vec<Option<String>> {
    let inside = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let mut items = Vec::new();
    let mut item = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut chars = inside.chars();
    if inside.is_empty() {
        return items;
    }
    let finish = |item: &mut String, was_quoted: bool| {
        let item = std::mem::take(item);
        (was_quoted || !item.eq_ignore_ascii_case("null")).then_some(item)
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' => item.extend(chars.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                items.push(finish(&mut item, was_quoted));
                was_quoted = false;
            }
            c => item.push(c),
        }
    }
    items.push(finish(&mut item, was_quoted));
    items
}

/// The privileges of an object in canonical order; `None` if they are the default privileges of such objects.
///
/// `lists` has two lines: the privileges, and the defaults. An untouched object has no list in the catalog; one whose
/// GRANT was revoked has the default list spelled out. Both mean the same.
pub(super) fn grants(lists: &str) -> Option<String> {
    let (now, first) = lists.split_once('\n')?;
    let now = canonical(now);
    (now != canonical(first)).then_some(now)
}

/// A list of privileges in canonical order.
pub(super) fn canonical(list: &str) -> String {
    let mut items: Vec<String> = array_items(list).into_iter().flatten().collect();
    items.sort();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_read_with_its_quotes() {
        let items = |text: &str| array_items(text).into_iter().map(|i| i.unwrap_or("NULL".into())).collect::<Vec<_>>();
        assert_eq!(items("{}"), Vec::<String>::new());
        assert_eq!(items("{a,\"b, c\",\"d\\\"e\",NULL,\"NULL\"}"), ["a", "b, c", "d\"e", "NULL", "NULL"]);
        assert_eq!(array_items("{NULL,\"NULL\"}"), [None, Some("NULL".to_owned())]);
    }

    #[test]
    fn a_grant_that_was_revoked_is_none() {
        assert_eq!(grants("{a=r/a,b=w/a}\n{b=w/a,a=r/a}"), None);
        assert_eq!(grants("{a=r/a,=r/a}\n{a=r/a}").as_deref(), Some("=r/a, a=r/a"));
        assert_eq!(grants("{}\n{a=r/a}").as_deref(), Some("none"));
    }
}
