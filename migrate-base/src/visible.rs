//! Shows text from other sources safely: invisible characters are written as escapes, `\x1b` or `\u{202e}`.
//!
//! Names, queries of other sessions and server messages can contain sequences that move the cursor of a terminal, set
//! its title or its clipboard, and characters that change the direction of a line or have no width.

use std::borrow::Cow;

/// Whether a character is invisible or has an effect: control characters, direction changes, marks without width.
///
/// Line breaks and tabs are not included: see [`line()`].
pub fn is_hidden(char: char) -> bool {
    match char {
        '\n' | '\t' | ' '..='~' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        // Soft hyphen, joiners, fillers, direction marks and overrides, line separators, invisible operators.
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
        // Tags, supplementary variation selectors, musical and shorthand controls.
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        // Private-use characters show whatever a font has for them; noncharacters show nothing.
        '\u{fdd0}'..='\u{fdef}' => true,
        char => u32::from(char) & 0xfffe == 0xfffe,
    }
}

/// The escape sequence for a character.
pub fn escape(char: char) -> String {
    match char {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\0'..='\u{ff}' => format!("\\x{:02x}", u32::from(char)),
        char => format!("\\u{{{:x}}}", u32::from(char)),
    }
}

/// Escapes the hidden characters of a text that may have several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    // Windows line endings hide nothing.
    let text = text.replace("\r\n", "\n");
    Cow::Owned(text.chars().map(|char| if is_hidden(char) { escape(char) } else { char.to_string() }).collect())
}

/// Escapes the hidden characters and line breaks of a name or another one-line text: a second line could be mistaken
/// for one of ours.
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
