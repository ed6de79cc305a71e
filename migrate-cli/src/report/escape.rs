//! Escapes any text for Markdown, so that no part of it is taken for Markdown, HTML or the end of a table cell.
//!
//! Special characters become character references, which are never read as structure. Backslashes would work in
//! prose, but not for a `|` after a backslash in a table, and code between backticks has no escapes at all.

use crate::output::clean;

/// A sentence. Text between backticks is shown as code, and line breaks are kept.
pub(crate) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without a second one is an ordinary character.
    if parts.len().is_multiple_of(2) {
        return plain(text);
    }
    let part = |(at, part): (usize, &&str)| match at % 2 {
        0 => plain(part),
        _ if part.is_empty() => "&#96;&#96;".to_owned(),
        _ => code(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A name or a piece of SQL.
pub(crate) fn code(text: &str) -> String {
    format!("<code>{}</code>", plain(text))
}

fn plain(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    // Invisible characters, such as NUL, are not allowed in a document, and are escaped.
    let text = clean::lines(text);
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\n' => written.push_str("<br>"),
            '\t' => written.push(' '),
            // Inside a word it has no special meaning, and names are easier to read without references.
            '_' if before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric()) => {
                written.push('_');
            }
            '"' | '\'' | ',' | '.' | '-' | '/' | '%' | ':' | ';' | '?' | '(' | ')' => written.push(char),
            char if char.is_ascii_punctuation() => written.push_str(&format!("&#{};", u32::from(char))),
            char => written.push(char),
        }
        before = char;
    }
    written
}

/// A fenced block of lines, with a fence that none of them can close.
pub(crate) fn fence(kind: &str, lines: &[String]) -> String {
    let longest = |line: &String| line.split(|char| char != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(lines.iter().map(longest).max().unwrap_or(0).max(2) + 1);
    let one = |line: &String| clean::line(line).into_owned() + "\n";
    format!("{fence}{kind}\n{}{fence}\n", lines.iter().map(one).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

    use super::*;

    #[test]
    fn names_stay_readable_and_code_is_code() {
        assert_eq!(prose("public.orders_old: `a|b` is 3 > 2"), "public.orders_old: <code>a&#124;b</code> is 3 &#62; 2");
        assert_eq!(prose("one ` and\ntwo"), "one &#96; and<br>two");
    }

    /// Everything that some reader of Markdown knows, but for quotes and dashes that are made pretty.
    const KNOWN: Options = Options::all().difference(Options::ENABLE_SMART_PUNCTUATION);

    /// What a reader sees in the cells of the last row of a table; a `<br>` is a new line.
    fn cells(markdown: &str) -> Vec<String> {
        let mut cells = Vec::new();
        let mut seen = String::new();
        let mut rows = 0;
        for event in Parser::new_ext(markdown, KNOWN) {
            match event {
                Event::Start(Tag::TableRow) => rows += 1,
                Event::End(TagEnd::TableCell) if rows > 0 => cells.push(std::mem::take(&mut seen)),
                Event::Text(text) | Event::Code(text) => seen.push_str(&text),
                Event::InlineHtml(tag) if &*tag == "<br>" => seen.push('\n'),
                Event::InlineHtml(tag) => assert!(["<code>", "</code>"].contains(&&*tag), "{tag}"),
                Event::Start(Tag::Table(_) | Tag::TableHead | Tag::TableCell) => seen.clear(),
                Event::End(TagEnd::Table | TagEnd::TableHead | TagEnd::TableRow | TagEnd::TableCell) => {}
                other => panic!("{other:?} in {markdown}"),
            }
        }
        assert_eq!(rows, 1, "{markdown}");
        cells
    }

    /// Blanks at the ends of a line are not shown, and what may not stand in a document is replaced.
    fn shown(text: &str) -> String {
        clean::lines(text).replace('\t', " ").trim_matches(' ').to_owned()
    }

    /// Text as an enemy writes it: mostly signs that mean something.
    fn hostile() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                4 => "[|`\\\\*_<>&#\\[\\]()!~$:@\"'{}=+.^-]".prop_map(String::from),
                2 => "[a-z0-9 ]{1,3}",
                1 => any::<char>().prop_map(String::from),
                1 => prop_oneof![
                    Just("\n"), Just("\r\n"), Just("</td>"), Just("<!--"), Just("&amp;"), Just("http://a.b"),
                    Just("\\|"), Just("```"), Just("$x$"), Just("[[a]]"), Just("^[n]"),
                ].prop_map(String::from),
            ],
            0..12,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_cell_holds_any_text(text in hostile(), other in hostile()) {
            let markdown = format!("| a | b |\n|---|---|\n| {} | {} |\n", code(&text), prose(&other.replace('`', "'")));
            let expected = vec![shown(&text), shown(&other.replace('`', "'"))];
            let seen: Vec<String> = cells(&markdown).iter().map(|cell| cell.trim_matches(' ').to_owned()).collect();
            prop_assert_eq!(seen, expected, "{}", markdown);
        }

        #[test]
        fn code_in_prose_breaks_no_row(text in hostile()) {
            let markdown = format!("| a | b | c |\n|---|---|---|\n| x | {} | y |\n", prose(&text));
            prop_assert_eq!(cells(&markdown).len(), 3, "{}", markdown);
        }

        #[test]
        fn a_fence_holds_any_line(lines in proptest::collection::vec(hostile(), 0..4)) {
            let markdown = fence("diff", &lines) + "\nafter\n";
            let events: Vec<Event<'_>> = Parser::new_ext(&markdown, KNOWN).collect();
            let is_block = |event: &&Event<'_>| match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) => &**kind == "diff",
                _ => false,
            };
            prop_assert_eq!(events.iter().filter(is_block).count(), 1);
            let [.., Event::Start(Tag::Paragraph), Event::Text(after), Event::End(TagEnd::Paragraph)] = &events[..]
            else {
                return Err(TestCaseError::fail(format!("{events:?}")));
            };
            prop_assert_eq!(&**after, "after");
        }
    }
}
