//! Splits a script into statements.
//!
//! A semicolon ends a statement unless it is inside parentheses (a rule with several actions) or inside the body of an
//! SQL-standard function (`BEGIN ATOMIC … END`). Strings, dollar quotes, quoted names and nested comments are single
//! tokens of the lexer. `cargo xtask dev split` compares the result with PostgreSQL's own grammar.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind};

use super::lex::lex;
use super::{Statement, StatementClass, words::classify};

/// Something that makes the statements of a script uncertain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The bytes of the script to point at.
    pub span: Range<usize>,
    /// The kind of flaw.
    pub kind: FlawKind,
}

/// What makes the statements of a script uncertain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlawKind {
    /// A string, a quoted name, a dollar quote or a comment that never ends.
    UnterminatedQuote(&'static str),
    /// The last statement has no semicolon, so a part of it may be missing.
    UnterminatedStatement,
    /// A parenthesis is never closed, so the end of the statement is unknown.
    OpenParenthesis,
    /// A psql command, such as `\restrict` or `\copy`.
    MetaCommand,
}

/// Splits `text` into its statements, and lists everything that makes them uncertain.
pub fn split(text: &str) -> (Vec<Statement>, Vec<Flaw>) {
    let mut splitter = Splitter { text, ..Splitter::default() };
    splitter.run();
    (splitter.statements, splitter.flaws)
}

#[derive(Default)]
struct Splitter<'a> {
    text: &'a str,
    statements: Vec<Statement>,
    flaws: Vec<Flaw>,
    words: Vec<&'a str>,
    start: usize,
    end: usize,
    parentheses: Vec<usize>,
    /// How many function bodies (`BEGIN ATOMIC`) are open.
    bodies: usize,
    /// The index of the first word of the statement in the innermost body.
    head: usize,
}

impl<'a> Splitter<'a> {
    fn run(&mut self) {
        let mut from = 0;
        while let Some(resume) = self.scan(from) {
            from = resume;
        }
        if self.words.is_empty() {
            return;
        }
        let span = self.start..self.end;
        let quote_is_open = self.flaws.iter().any(|f| matches!(f.kind, FlawKind::UnterminatedQuote(_)));
        if let Some(open) = self.parentheses.first() {
            self.flaws.push(Flaw { span: *open..open + 1, kind: FlawKind::OpenParenthesis });
        } else if !quote_is_open {
            self.flaws.push(Flaw { span: span.clone(), kind: FlawKind::UnterminatedStatement });
        }
        self.finish();
    }

    /// Reads tokens from the byte `from` to the end, or to where reading has to restart.
    fn scan(&mut self, from: usize) -> Option<usize> {
        for (kind, span) in lex(self.text, from) {
            let at = span.end;
            match kind {
                TokenKind::Whitespace | TokenKind::LineComment => {}
                TokenKind::BlockComment { terminated } => {
                    if !terminated {
                        self.unterminated(&span, "comment");
                    }
                }
                TokenKind::Semi if self.parentheses.is_empty() && self.bodies == 0 => {
                    let copies = self.finish() == Some(StatementClass::CopyWithClient);
                    if copies {
                        return Some(self.after_copy_data(at));
                    }
                }
                TokenKind::Unknown if self.text[span.clone()].starts_with('\\') => {
                    let line = self.text[at..].find('\n').map_or(self.text.len(), |n| at + n);
                    self.flaws.push(Flaw { span: span.start..line, kind: FlawKind::MetaCommand });
                    return Some(line);
                }
                _ => self.word(kind, span),
            }
        }
        None
    }

    /// Takes a token that is part of a statement.
    fn word(&mut self, kind: TokenKind, span: Range<usize>) {
        if let Some(what) = unterminated(kind) {
            self.unterminated(&span, what);
        }
        match kind {
            TokenKind::OpenParen => self.parentheses.push(span.start),
            TokenKind::CloseParen => drop(self.parentheses.pop()),
            TokenKind::Ident if self.parentheses.is_empty() => self.track_body(&self.text[span.clone()]),
            // The next word starts a statement of the body.
            TokenKind::Semi if self.parentheses.is_empty() => self.head = self.words.len() + 1,
            _ => {}
        }
        if self.words.is_empty() {
            self.start = span.start;
        }
        self.end = span.end;
        self.words.push(&self.text[span]);
    }

    /// Follows `BEGIN ATOMIC … END` in the definition of an SQL-standard function.
    ///
    /// Its `END` is where a statement could start. Anywhere else the word belongs to a `CASE`, or is a name (`AS end`,
    /// `t.end`, `SELECT 1 end`).
    fn track_body(&mut self, word: &str) {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let opens = is("atomic")
            && self.words.last().is_some_and(|last| last.eq_ignore_ascii_case("begin"))
            && self.words.get(self.head..).is_some_and(creates_routine);
        if opens {
            self.bodies += 1;
            self.head = self.words.len() + 1;
        } else if self.bodies > 0 && self.head == self.words.len() && is("end") {
            self.bodies -= 1;
        }
    }

    /// Ends the statement, if there is one, and returns its class.
    fn finish(&mut self) -> Option<StatementClass> {
        let class = (!self.words.is_empty()).then(|| classify(&self.words));
        if let Some(class) = class {
            self.statements.push(Statement { span: self.start..self.end, class });
        }
        self.words.clear();
        self.parentheses.clear();
        self.bodies = 0;
        self.head = 0;
        class
    }

    /// The data of a `COPY … FROM STDIN` is not SQL: reading continues after the closing `\.`.
    fn after_copy_data(&self, from: usize) -> usize {
        let rest = &self.text[from..];
        rest.find("\n\\.").map_or(self.text.len(), |n| {
            let mark = from + n + 3;
            self.text[mark..].find('\n').map_or(self.text.len(), |n| mark + n)
        })
    }

    fn unterminated(&mut self, span: &Range<usize>, what: &'static str) {
        let first_line = self.text[span.clone()].lines().next().map_or(1, str::len);
        let span = span.start..span.start + first_line;
        self.flaws.push(Flaw { span, kind: FlawKind::UnterminatedQuote(what) });
    }
}

/// Whether the words start with `CREATE [OR REPLACE] FUNCTION` or `PROCEDURE`.
fn creates_routine(words: &[&str]) -> bool {
    let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let kind = if is(1, "or") && is(2, "replace") { 3 } else { 1 };
    is(0, "create") && (is(kind, "function") || is(kind, "procedure"))
}

/// The name of an unterminated token; `None` for a terminated one.
fn unterminated(kind: TokenKind) -> Option<&'static str> {
    use LiteralKind as L;
    match kind {
        TokenKind::QuotedIdent { terminated: false, .. } => Some("quoted name"),
        TokenKind::Literal { kind } => match kind {
            L::DollarQuotedString { terminated: false } => Some("dollar-quoted string"),
            L::Str { terminated: false }
            | L::NationalStr { terminated: false }
            | L::ByteStr { terminated: false }
            | L::BitStr { terminated: false }
            | L::UnicodeEscStr { terminated: false }
            | L::EscStr { terminated: false } => Some("quoted string"),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, statements: &[&str], flaws: &[FlawKind]) {
        let (found, wrong) = split(text);
        let found: Vec<&str> = found.iter().map(|s| &text[s.span.clone()]).collect();
        assert_eq!(found, statements);
        assert_eq!(wrong.iter().map(|f| f.kind).collect::<Vec<_>>(), flaws);
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        check("select ';';; -- a;\nselect 1 /* ; /* ; */ ; */ ;", &["select ';'", "select 1"], &[]);
        check("do $a$ ; $$ ; $a$; select E'\\';';", &["do $a$ ; $$ ; $a$", "select E'\\';'"], &[]);
        check("select \"a;\"\"b\";", &["select \"a;\"\"b\""], &[]);
    }

    #[test]
    fn bodies_and_rules_keep_their_semicolons() {
        let function = "create function f() returns int begin atomic select case when true then 1 end; select 2; end";
        check(&format!("{function}; select 1;"), &[function, "select 1"], &[]);
        let rule = "create rule r as on insert to t do (select 1; select 2)";
        check(&format!("{rule};"), &[rule], &[]);
        let names = "create or replace function f(begin atomic) begin atomic select 1 as end, t.end, 2 end, 3 as \
                     case from t; return 1; end";
        check(&format!("{names}; select 1;"), &[names, "select 1"], &[]);
        let empty = "create procedure p() begin /* ; */ atomic end";
        check(&format!("{empty}; select 1;"), &[empty, "select 1"], &[]);
        let nested = "create function f() begin atomic create procedure p() begin atomic select 1; end; select 2; end";
        check(&format!("{nested}; select 1;"), &[nested, "select 1"], &[]);
        check("create table begin (atomic int); select 1;", &["create table begin (atomic int)", "select 1"], &[]);
    }

    #[test]
    fn what_has_no_end_is_named() {
        check("select 1", &["select 1"], &[FlawKind::UnterminatedStatement]);
        check("select 'a;", &["select 'a;"], &[FlawKind::UnterminatedQuote("quoted string")]);
        check("select $x$ a;", &["select $x$ a;"], &[FlawKind::UnterminatedQuote("dollar-quoted string")]);
        check("select 1; /* a", &["select 1"], &[FlawKind::UnterminatedQuote("comment")]);
        check("select (1; select 2;", &["select (1; select 2;"], &[FlawKind::OpenParenthesis]);
    }

    #[test]
    fn psql_commands_and_copied_data_are_no_statements() {
        check("\\restrict abc\nselect 1;", &["select 1"], &[FlawKind::MetaCommand]);
        check("copy t from stdin;\na'b\t1\n\\.\nselect 1;", &["copy t from stdin", "select 1"], &[]);
    }

    /// The building blocks of statements: whole tokens, and bodies that contain semicolons.
    const PIECES: [&str; 24] = [
        "select",
        "a",
        "1",
        "';'",
        "'it''s;'",
        "E'\\';'",
        "E'a'\n'\\';'",
        "$$;$$",
        "$x$ ; $$ ' $x$",
        "\"a;\"\"b\"",
        "U&'\\003b'",
        "( 1 ; 2 )",
        "case when x then ';' end",
        "t.end",
        "as end",
        "as case",
        "begin",
        "atomic",
        "/* ; /* ' */ ; */",
        "-- ';\n",
        "+",
        "$1",
        "create function f(begin atomic) begin atomic select 1 end; select case x when 1 then 2 end as end; end",
        "x'1f'",
    ];

    proptest::proptest! {
        /// A script of whole statements is split into them, whatever is between them.
        #[test]
        fn whole_statements_come_back(
            parts in proptest::collection::vec((proptest::collection::vec(0..PIECES.len(), 1..6), 0..4usize), 1..6),
        ) {
            let mut script = String::new();
            let mut expected = Vec::new();
            for (pieces, gap) in &parts {
                // The body of a function ends its statement, and also starts it.
                let body = pieces.iter().find(|piece| PIECES[**piece].starts_with("create"));
                let pieces: Vec<&str> = match body {
                    Some(body) => vec![PIECES[*body]],
                    None => ["select"].into_iter().chain(pieces.iter().map(|piece| PIECES[*piece])).collect(),
                };
                script.push_str(["", "\n", "-- ;\n", "/* ' */ ;"][*gap]);
                let start = script.len();
                script.push_str(&pieces.join(" "));
                let last = pieces.iter().rposition(|piece| !piece.starts_with(['-', '/']));
                let end = start + last.map_or(0, |last| pieces[..=last].join(" ").len());
                expected.push(start..end);
                script.push(';');
            }
            let (found, flaws) = split(&script);
            let found: Vec<Range<usize>> = found.into_iter().map(|statement| statement.span).collect();
            proptest::prop_assert_eq!((&found, flaws), (&expected, Vec::new()), "{}", script);
        }

        /// For any text, nothing panics, and the statements lie in it in order.
        #[test]
        fn statements_are_in_order_and_inside(text in "[-a-z'\"$;()\\\\/* \nü]{0,60}") {
            let (statements, _) = split(&text);
            let mut end = 0;
            for statement in statements {
                proptest::prop_assert!(statement.span.start >= end && statement.span.end <= text.len());
                proptest::prop_assert!(text.get(statement.span.clone()).is_some());
                end = statement.span.end;
            }
        }
    }
}
