//! The places of strings in a JSON document, so that a message can point at a query inside the document.

use std::ops::Range;

/// A string value: its depth, its key, and the bytes between its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonString<'a> {
    pub(super) depth: usize,
    pub(super) key: &'a str,
    pub(super) span: Range<usize>,
}

/// The string values of a document that has been parsed before, in order.
pub(super) fn texts(json: &str) -> Vec<JsonString<'_>> {
    let (mut all, mut at, mut depth) = (Vec::new(), 0, 0_usize);
    let mut key = "";
    while let Some(sign) = json.as_bytes().get(at) {
        at += 1;
        match sign {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let span = at..end(json, at);
                at = span.end + 1;
                if json.get(at..).is_some_and(|rest| rest.trim_start().starts_with(':')) {
                    key = &json[span];
                } else {
                    all.push(JsonString { depth, key, span });
                }
            }
            _ => {}
        }
    }
    all
}

/// The pieces, as in [`super::QueryOrigin::pieces`], of the text that the string between these bytes represents.
pub(super) fn pieces(json: &str, span: &Range<usize>) -> Vec<(usize, usize)> {
    let mut pieces = vec![(0, span.start)];
    let (mut own, mut at) = (0, span.start);
    while at < span.end {
        let Some(c) = json.get(at..).and_then(|rest| rest.chars().next()) else { break };
        if c != '\\' {
            (own, at) = (own + c.len_utf8(), at + c.len_utf8());
            continue;
        }
        let (means, takes) = escape(json.get(at..span.end).unwrap_or_default());
        (own, at) = (own + means, at + takes);
        pieces.push((own, at.min(span.end)));
    }
    pieces
}

/// How many bytes an escape sequence represents, and how many it occupies.
fn escape(text: &str) -> (usize, usize) {
    let unit = |at: usize| text.get(at + 2..at + 6).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    match (text.as_bytes().get(1), unit(0)) {
        (Some(b'u'), Some(0xD800..0xDC00)) => (4, 12.min(text.len())),
        (Some(b'u'), Some(unit)) => (char::from_u32(unit).map_or(3, char::len_utf8), 6),
        _ => (1, 2.min(text.len())),
    }
}

/// The byte of the closing quote of a string that starts at this byte.
fn end(json: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(from) {
        match byte {
            b'"' if !escaped => return at,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_by_key_and_depth() {
        let json = r#"{"a": "x", "list": [{"a" : "y\"z"}, "w"]}"#;
        let found: Vec<(usize, &str, &str)> =
            texts(json).iter().map(|t| (t.depth, t.key, &json[t.span.clone()])).collect();
        assert_eq!(found, [(1, "a", "x"), (3, "a", "y\\\"z"), (2, "a", "w")]);
    }

    proptest::proptest! {
        /// Each character of a text maps to its place in the document.
        #[test]
        fn every_character_is_found(text in "[a-c\"\\\\\n\t/üß€🦀\u{1}]{0,20}") {
            let json = serde_json::json!({ "query": text }).to_string();
            let span = texts(&json)[0].span.clone();
            let pieces = pieces(&json, &span);
            let back = |byte: usize| {
                let (own, there) = pieces.iter().rev().find(|(own, _)| *own <= byte).unwrap();
                there + (byte - own)
            };
            for (byte, c) in text.char_indices() {
                let written = &json[back(byte)..];
                let own = serde_json::to_string(&c.to_string()).unwrap();
                let own = own.trim_start_matches('"').trim_end_matches('"');
                proptest::prop_assert!(written.starts_with(own) || c == '"');
            }
            proptest::prop_assert_eq!(back(text.len()), span.end);
        }

        #[test]
        fn any_text_is_scanned(json in "[\\[\\]{}\":\\\\a-cü ,]{0,40}") {
            for text in texts(&json) {
                let _ = pieces(&json, &text.span);
            }
        }
    }
}
