//! The tokens of a text, as PostgreSQL's own scanner splits them.
//!
//! They come from squawk's lexer, with one added rule: a string that continues on another line (`E'a' <newline> 'b'`)
//! is one token, so that the escapes of its first part apply to all parts. See `quotecontinue` in `scan.l`.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

/// The tokens from the byte `from` on, each with its byte range.
pub fn lex(text: &str, from: usize) -> impl Iterator<Item = (TokenKind, Range<usize>)> + '_ {
    let mut at = from;
    let mut tokens = tokenize(&text[from..]);
    std::iter::from_fn(move || {
        let mut token = tokens.next().filter(|token| token.kind != TokenKind::Eof)?;
        let mut end = at + token.len as usize;
        if matches!(token.kind, TokenKind::Literal { kind: LiteralKind::EscStr { terminated: true } })
            && let Some((to, terminated)) = continued(text, end)
        {
            token.kind = TokenKind::Literal { kind: LiteralKind::EscStr { terminated } };
            end = to;
            tokens = tokenize(&text[end..]);
        }
        let span = at..end;
        at = end;
        Some((token.kind, span))
    })
}

/// The significant tokens: without whitespace and comments.
pub fn words(text: &str) -> impl Iterator<Item = (TokenKind, Range<usize>)> + '_ {
    lex(text, 0).filter(|(kind, _)| !is_space(*kind))
}

/// Whether a token is whitespace or a comment.
pub(crate) fn is_space(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. })
}

/// Where a string with escapes that continues after the byte `end` ends, and whether it is terminated; `None` if it
/// does not continue.
fn continued(text: &str, end: usize) -> Option<(usize, bool)> {
    let mut last = None;
    let mut at = end;
    while let Some(open) = next_part(text, at) {
        let bytes = text.as_bytes();
        at = open;
        loop {
            match bytes.get(at) {
                None => return Some((text.len(), false)),
                // Whatever is escaped: a byte inside a multi-byte character is never a quote.
                Some(b'\\') => at += 2,
                Some(b'\'') if bytes.get(at + 1) == Some(&b'\'') => at += 2,
                Some(b'\'') => break,
                Some(_) => at += 1,
            }
        }
        at += 1;
        last = Some((at, true));
    }
    last
}

/// The byte after the quote that continues a string: between the parts there is at least one newline, and only
/// whitespace and comments.
fn next_part(text: &str, end: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = end;
    let mut is_other_line = false;
    loop {
        match bytes.get(at)? {
            b'\n' | b'\r' => is_other_line = true,
            b' ' | b'\t' | 0x0b | 0x0c => {}
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
                continue;
            }
            b'\'' if is_other_line => return Some(at + 1),
            _ => return None,
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = words(text).map(|(_, span)| &text[span]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_string_with_escapes_goes_on_over_lines() {
        check("E'a\\'' -- '\n\t'b\\'ü;\\\\' c", &["E'a\\'' -- '\n\t'b\\'ü;\\\\'", "c"]);
        check("E'a'\n'b'''\r\n'\\'';", &["E'a'\n'b'''\r\n'\\''", ";"]);
        check("E'a' 'b\\' c", &["E'a'", "'b\\'", "c"]);
        check("E'a' /* \n */ 'b\\' c", &["E'a'", "'b\\'", "c"]);
        check("'a'\n'b\\' c", &["'a'", "'b\\'", "c"]);
        check("E'a'\n'b\\'", &["E'a'\n'b\\'"]);
    }

    #[test]
    fn one_without_an_end_says_so() {
        let kinds: Vec<TokenKind> = words("E'a'\n'b\\' ;").map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [TokenKind::Literal { kind: LiteralKind::EscStr { terminated: false } }]);
    }
}
