//! Foreign text on a terminal: control characters and invisible characters are escaped and never reach the terminal.
//! Only our own styles pass: they carry a mark that foreign text cannot know.

use std::borrow::Cow;

use migrate_base::visible::escape;
pub(crate) use migrate_base::visible::{is_hidden, line, lines};

use super::style;

/// A text and the range of a part of it, both as they are shown.
pub(crate) fn part(text: &str, part: std::ops::Range<usize>) -> (Cow<'_, str>, std::ops::Range<usize>) {
    let start = lines(&text[..part.start]).len();
    let end = start + lines(&text[part]).len();
    let shown = lines(text);
    // The range of a part that begins between CR and LF is slightly off, but never out of bounds.
    let within = |at: usize| shown.floor_char_boundary(at.min(shown.len()));
    (shown.clone(), within(start)..within(end))
}

/// An equivalent JSON text without invisible characters.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    // Outside strings, JSON has no such characters; inside strings, all of them may be escaped.
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let unit = |unit: &u16| format!("\\u{unit:04x}");
    let escaped = |char: char| char.encode_utf16(&mut [0; 2]).iter().map(unit).collect();
    Cow::Owned(text.chars().map(|char| if is_hidden(char) { escaped(char) } else { char.to_string() }).collect())
}

/// A text for the terminal: our own styles pass, everything else is escaped.
pub(crate) fn printed(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        written.push_str(&lines(&rest[..at]));
        rest = &rest[at..];
        match style::unmarked(rest) {
            Some((style, length)) => {
                ["\u{1b}[", style, "m"].iter().for_each(|part| written.push_str(part));
                rest = &rest[length..];
            }
            None => {
                written.push_str(&escape('\u{1b}'));
                rest = &rest[1..];
            }
        }
    }
    written + &lines(rest)
}

/// Escapes lines that the GitHub runner would execute as commands.
pub(crate) fn without_commands(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    if !text.lines().any(|line| is_command(&anstream::adapter::strip_str(line).to_string())) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("::", "\\x3a:").replace("##[", "#\\x23["))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::style::{GOOD, paint};

    #[test]
    fn a_document_has_escapes_of_its_own() {
        assert_eq!(json("\"\u{7f}\u{e0041}\""), "\"\\u007f\\udb40\\udc41\"");
    }

    #[test]
    fn styles_of_ours_pass_and_those_of_others_do_not() {
        let text = format!("{} and {}", paint(GOOD, "a\u{1b}[0m"), "\u{1b}[1m\u{1b}[32m");
        assert_eq!(printed(&text), "\u{1b}[1m\u{1b}[32ma\\x1b[0m\u{1b}[0m and \\x1b[1m\\x1b[32m");
    }

    #[test]
    fn a_part_is_where_it_was() {
        let (text, place) = part("a\u{1b}b\r\nSELECT \u{7}x", 5..13);
        assert_eq!(&text[place], "SELECT \\x07");
    }

    #[test]
    fn a_line_is_no_command_of_a_runner() {
        let text = format!("{}\nmodule::name", paint(GOOD, "::error::x"));
        let plain = anstream::adapter::strip_str(&without_commands(&text)).to_string();
        assert!(plain.starts_with("\\x3a:error"), "{plain}");
        assert_eq!(without_commands("module::name"), "module::name");
    }

    proptest! {
        #[test]
        fn no_text_of_others_has_anything_hidden(text in any::<String>(), code in "\u{1b}\\[[0-9;]{0,24}m") {
            for text in [printed(&text), printed(&(code.clone() + &text + &code)), line(&text).into_owned()] {
                prop_assert!(!text.chars().any(is_hidden), "{text:?}");
            }
            let document = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(&json(&document)).unwrap(), text);
        }
    }
}
