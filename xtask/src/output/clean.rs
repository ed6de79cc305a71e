//! Texts of others on a terminal: what cannot be seen is shown, and nothing of it reaches the terminal as it is.
//!
//! Names, reasons, queries of other sessions and messages of servers can hold escape sequences that move the cursor, set
//! a title or a clipboard, and characters that turn the direction of a line or take up no room. Each is written as an
//! escape, `\x1b` or `\u{202e}`, so that one sees what was there. Only styles of ours pass: they carry a mark that no text
//! of others can know.

use std::borrow::Cow;

use super::style;

/// Whether a character would not be seen, or would do something: controls, turns of direction, marks without width.
///
/// A line break and a tab are not among them; see [`line`].
pub(crate) fn is_hidden(char: char) -> bool {
    match char {
        '\n' | '\t' | ' '..='~' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        // Soft hyphen, joiners, fillers, marks and turns of direction, separators of lines, invisible operators.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' => true,
        '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        // Tags, variation selectors of names, musical and shorthand controls.
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        // Private letters show whatever a font has for them; characters that are none show nothing.
        '\u{fdd0}'..='\u{fdef}' => true,
        char => u32::from(char) & 0xfffe == 0xfffe,
    }
}

/// The escape of a character.
fn escape(char: char) -> String {
    match char {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\0'..='\u{ff}' => format!("\\x{:02x}", u32::from(char)),
        char => format!("\\u{{{:x}}}", u32::from(char)),
    }
}

/// A text that may have lines, with everything shown that is hidden in it.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    // The end of a line on Windows hides nothing.
    let text = text.replace("\r\n", "\n");
    Cow::Owned(text.chars().map(|char| if is_hidden(char) { escape(char) } else { char.to_string() }).collect())
}

/// A name or another text of one line: a second line in it would be taken for one of ours.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    let is_shown = |char: char| is_hidden(char) || char == '\n' || char == '\t';
    if !text.chars().any(is_shown) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|char| if is_shown(char) { escape(char) } else { char.to_string() }).collect())
}

/// A text with the place of a part of it: both as they are shown.
pub(crate) fn part(text: &str, part: std::ops::Range<usize>) -> (Cow<'_, str>, std::ops::Range<usize>) {
    let start = lines(&text[..part.start]).len();
    let end = start + lines(&text[part]).len();
    let shown = lines(text);
    // A part that begins between the two characters of a line's end is a little off, and never outside.
    let within = |at: usize| shown.floor_char_boundary(at.min(shown.len()));
    (shown.clone(), within(start)..within(end))
}

/// A JSON text, which means the same and has nothing hidden in it.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    // Outside of strings JSON has no such characters, and inside every one of them may be escaped.
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let unit = |unit: &u16| format!("\\u{unit:04x}");
    let escaped = |char: char| char.encode_utf16(&mut [0; 2]).iter().map(unit).collect();
    Cow::Owned(text.chars().map(|char| if is_hidden(char) { escaped(char) } else { char.to_string() }).collect())
}

/// What goes to a terminal of a text with styles of ours: these as they are, and of everything else what is seen.
pub(crate) fn printed(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        written.push_str(&lines(&rest[..at]));
        rest = &rest[at..];
        match style::unmarked(rest) {
            Some((style, length)) => {
                written.push_str(&style);
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

/// Takes the commands out of lines that GitHub's runner would carry out, wherever they come from.
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
    fn what_is_hidden_is_shown() {
        assert_eq!(
            lines("a\u{1b}[2Jb\u{7}\r\n\tc\u{9b}\u{202e}\u{7f}\r"),
            "a\\x1b[2Jb\\x07\n\tc\\x9b\\u{202e}\\x7f\\r"
        );
        assert_eq!(line("a\nb\tc\r\n"), "a\\nb\\tc\\r\\n");
        assert!(matches!(lines("grün, 中文, e\u{301}, ✅\u{fe0f}"), Cow::Borrowed(_)));
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
