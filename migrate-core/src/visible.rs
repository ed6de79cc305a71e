//! Texts of others, as they can be shown: what cannot be seen is written as an escape, `\x1b` or `\u{202e}`.
//!
//! Names, queries of other sessions and messages of a server can hold sequences that move the cursor of a terminal, set its
//! title or its clipboard, and characters that turn the direction of a line or take up no room.

use std::borrow::Cow;

/// Whether a character would not be seen, or would do something: controls, turns of direction, marks without width.
///
/// A line break and a tab are not among them: see [`line`].
pub fn is_hidden(char: char) -> bool {
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
pub fn escape(char: char) -> String {
    match char {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\0'..='\u{ff}' => format!("\\x{:02x}", u32::from(char)),
        char => format!("\\u{{{:x}}}", u32::from(char)),
    }
}

/// A text that may have lines, with everything shown that is hidden in it.
pub fn lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    // The end of a line on Windows hides nothing.
    let text = text.replace("\r\n", "\n");
    Cow::Owned(text.chars().map(|char| if is_hidden(char) { escape(char) } else { char.to_string() }).collect())
}

/// A name or another text of one line: a second line in it would be taken for one of ours.
pub fn line(text: &str) -> Cow<'_, str> {
    let is_shown = |char: char| is_hidden(char) || char == '\n' || char == '\t';
    if !text.chars().any(is_shown) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|char| if is_shown(char) { escape(char) } else { char.to_string() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_shown() {
        assert_eq!(
            lines("a\u{1b}[2Jb\u{7}\r\n\tc\u{9b}\u{202e}\u{7f}\r"),
            "a\\x1b[2Jb\\x07\n\tc\\x9b\\u{202e}\\x7f\\r"
        );
        assert_eq!(line("a\nb\tc\r\n"), "a\\nb\\tc\\r\\n");
        assert!(matches!(lines("grün, 中文, e\u{301}, ✅\u{fe0f}"), Cow::Borrowed(_)));
    }
}
