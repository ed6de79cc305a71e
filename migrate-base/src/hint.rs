//! Commands in texts. Findings name the next step as `` `cargo xtask COMMAND …` ``, and the code that displays them
//! replaces it with the actual command line.
//!
//! This library does not know how its commands are invoked. The command line passes its own name and options to
//! [`rewrite`]; an application that embeds the library can substitute something else.

use std::borrow::Cow;
use std::ops::Range;

use crate::visible::is_hidden;

/// The name of the command line in texts.
pub const PROGRAM: &str = "cargo xtask";

/// Replaces each command in a text with the result of `call` for its arguments: `status --exit-code` for `` `cargo
/// xtask status --exit-code` ``.
///
/// A command is enclosed in backticks, or takes up the rest of a line that starts with it. Anywhere else the program is
/// only mentioned, and `call` gets no arguments.
pub fn rewrite<'t>(text: &'t str, call: &dyn Fn(&str) -> String) -> Cow<'t, str> {
    let mut written = String::new();
    let mut from = 0;
    while let Some(command) = next(text, from) {
        let arguments = text[command.start + PROGRAM.len()..command.end].trim();
        written.push_str(&text[from..command.start]);
        written.push_str(&call(arguments));
        from = command.end;
    }
    if from == 0 { Cow::Borrowed(text) } else { Cow::Owned(written + &text[from..]) }
}

/// The commands in a text, without the name of the program; a mere mention is an empty command.
pub fn commands(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut from = 0;
    while let Some(command) = next(text, from) {
        from = command.end;
        all.push(text[command.start + PROGRAM.len()..command.end].trim());
    }
    all
}

/// The next command at or after this byte, without trailing blanks.
fn next(text: &str, from: usize) -> Option<Range<usize>> {
    let mut search = from;
    loop {
        let start = search + text[search..].find(PROGRAM)?;
        let after = start + PROGRAM.len();
        search = after;
        let is_part = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '/');
        if text[..start].ends_with(is_part) || text[after..].starts_with(is_part) {
            continue;
        }
        let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let before = &text[line..start];
        let is_quoted = before.matches('`').count() % 2 == 1;
        let is_line = before.trim_start_matches(['$', ' ', '\t']).is_empty();
        let end = match is_quoted || is_line {
            true => after + length(&text[after..], is_quoted),
            false => after,
        };
        return Some(start..after + text[after..end].trim_end().len());
    }
}

/// The length of a command: up to the closing backtick, the end of the line, or the character where the shell starts
/// another command.
fn length(rest: &str, is_quoted: bool) -> usize {
    let mut quote = None;
    let mut before = ' ';
    for (at, char) in rest.char_indices() {
        match (quote, char) {
            (_, '\n') => break,
            (None, '`') if is_quoted => return at,
            (None, '|' | ';' | '&' | '>') => return at,
            (None, '#') if before == ' ' => return at,
            (None, '\'' | '"') => quote = Some(char),
            (Some(open), _) if open == char => quote = None,
            _ => {}
        }
        before = char;
    }
    // An unclosed quote is not a quote.
    rest.find(|char| char == '\n' || (is_quoted && char == '`')).unwrap_or(rest.len())
}

/// Quotes a text as one shell word. Invisible characters are written as escapes, which bash, zsh and newer shells
/// understand.
pub fn quote(text: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./:=@%+,".contains(char);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if !text.chars().any(is_hidden) && !text.contains(['\n', '\t', '`']) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let escaped = |char: char| match char {
        '\'' | '\\' => format!("\\{char}"),
        // A backtick would end the command in the text.
        '`' | '\n' | '\t' => format!("\\x{:02x}", u32::from(char)),
        char if is_hidden(char) => {
            let mut bytes = [0; 4];
            char.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\x{byte:02x}")).collect()
        }
        char => char.to_string(),
    };
    format!("$'{}'", text.chars().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_where_the_shell_ends_them() {
        let text = "`cargo xtask status` shows it; `echo 'a' | cargo xtask new x --derive`\n  \
                    cargo xtask resolve 1 --undo \n\
                    see cargo xtask and `cargo xtask`, `cargo xtask new --add-column 'a`b:text'`; cargo xtasks, \
                    my-cargo xtask";
        let expected = ["status", "new x --derive", "resolve 1 --undo", "", "", "new --add-column 'a`b:text'"];
        assert_eq!(commands(text), expected);
        assert_eq!(commands("cargo xtask explain --markdown > docs/CODES.md"), ["explain --markdown"]);
        assert_eq!(commands("`cargo xtask resolve it's` and"), ["resolve it's"]);
        assert_eq!(commands("cargo xtask kept list   # what there is"), ["kept list"]);
    }

    #[test]
    fn the_rest_of_a_text_stays_as_it_is() {
        let text = "a `cargo xtask status`, `b`\n\tcargo xtask db psql -c 'x'\nc";
        let rewritten = rewrite(text, &|arguments| format!("me {arguments} -e x"));
        assert_eq!(rewritten, "a `me status -e x`, `b`\n\tme db psql -c 'x' -e x\nc");
        assert!(matches!(rewrite("nothing", &|_| String::new()), Cow::Borrowed("nothing")));
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(["a-b/c.d", "", "a b", "$x", "a'b"].map(quote), ["a-b/c.d", "''", "'a b'", "'$x'", r"'a'\''b'"]);
        assert_eq!(quote("a\u{1b}'`\u{202e}"), r"$'a\x1b\'\x60\xe2\x80\xae'");
    }
}
