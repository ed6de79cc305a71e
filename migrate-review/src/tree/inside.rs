//! Unfolds `DO` blocks, and functions that the script creates and runs: their statements, and the texts that they
//! execute, are put where they can be read.
//!
//! The text of a script is copied, and every block is replaced by its statements, each at its own place. So a place in
//! the copy is the same place in the file. A text that is built at run time from more than literals cannot be read.

use std::ops::Range;

use squawk_syntax::ast::Stmt;

use super::body::{BodyStatement, CodeBody};
use super::routine::ScriptRoutines;
use super::turns::BodyLoop;
use super::{ObjectName, span};
use crate::parse::{parse, without_deep};

/// A script with its blocks unfolded.
#[derive(Debug, Clone)]
pub(crate) struct UnfoldedScript {
    /// The text; as long as the text of the script.
    pub(crate) text: String,
    /// The statements that cannot be read.
    pub(crate) unread: Vec<UnreadStatement>,
    /// The statements that create unfolded routines; the text does not contain them.
    pub(crate) routines: Vec<Stmt>,
    /// The functions that expressions in blocks call.
    pub(crate) called: Vec<(Range<usize>, ObjectName)>,
    /// The loops in blocks.
    pub(crate) turns: Vec<BodyLoop>,
}

/// A statement that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreadStatement {
    /// Where it is in the file.
    pub(crate) place: Range<usize>,
    /// Whether it is nested too deeply to be parsed, so that blanks replace it; otherwise it is built at run time.
    pub(crate) is_deep: bool,
}

impl From<Range<usize>> for UnreadStatement {
    fn from(place: Range<usize>) -> Self {
        Self { place, is_deep: false }
    }
}

/// Unfolds the blocks of a text.
pub(crate) fn unfold(text: &str) -> UnfoldedScript {
    let (readable, deep) = without_deep(text);
    let unread = deep.into_iter().map(|place| UnreadStatement { place, is_deep: true }).collect();
    let (routines, called, turns) = (Vec::new(), Vec::new(), Vec::new());
    let mut unfolded = UnfoldedScript { text: readable.into_owned(), unread, routines, called, turns };
    // Most scripts have no blocks; do not parse them.
    let has = |word: &str| {
        unfolded.text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    if !has("do") && !has("function") && !has("procedure") {
        return unfolded;
    }
    let mut bytes = unfolded.text.as_bytes().to_vec();
    let stmts: Vec<Stmt> = parse(&unfolded.text).tree().stmts().collect();
    let mut runs = ScriptRoutines::of(&stmts);
    for stmt in stmts.iter().filter(|stmt| matches!(stmt, Stmt::Do(_))) {
        unfolded.replace(&mut bytes, &mut runs, stmt);
    }
    while let Some(routines) = runs.next() {
        for stmt in routines {
            unfolded.replace(&mut bytes, &mut runs, &stmt);
            unfolded.routines.push(stmt);
        }
    }
    if let Ok(text) = String::from_utf8(bytes) {
        unfolded.text = text;
    }
    unfolded
}

impl UnfoldedScript {
    /// Replaces a block or a routine by its statements.
    fn replace(&mut self, bytes: &mut [u8], runs: &mut ScriptRoutines, stmt: &Stmt) {
        let place = span(stmt);
        for byte in bytes[place.clone()].iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        let Some(CodeBody { mut inner, called, turns, has_errors }) = CodeBody::of(stmt) else {
            return self.unread.push(place.into());
        };
        inner.sort_by_key(|one| one.sql.as_ref().map_or(one.place.start, |(at, _)| *at));
        let (mut free, mut last) = (place.start, None);
        let before = self.unread.len();
        for BodyStatement { place: own, sql } in inner {
            match sql {
                // A text that is executed twice appears once.
                Some(sql) if last.as_ref() == Some(&sql) => {}
                Some((at, sql)) if at >= free && at + sql.len() < place.end => {
                    let end = at + sql.len();
                    bytes[at..end].copy_from_slice(sql.as_bytes());
                    bytes[end] = b';';
                    free = end + 1;
                    // It is not executed where its text is.
                    parse(&sql).tree().stmts().for_each(|stmt| runs.run(usize::MAX, &stmt));
                    last = Some((at, sql));
                }
                _ => self.unread.push(own.into()),
            }
        }
        if has_errors && self.unread.len() == before {
            self.unread.push(place.into());
        }
        runs.call(called.iter().map(|(_, name)| name.clone()));
        self.called.extend(called);
        self.turns.extend(turns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str], unread: &[&str]) {
        let unfolded = unfold(text);
        assert_eq!(unfolded.text.len(), text.len());
        let tree = parse(&unfolded.text).tree();
        let found: Vec<String> =
            tree.stmts().map(|stmt| unfolded.text[span(&stmt)].trim_end_matches(';').to_owned()).collect();
        assert_eq!(found, expected);
        let found: Vec<&str> = unfolded.unread.iter().map(|one| &text[one.place.clone()]).collect();
        assert_eq!(found, unread);
    }

    #[test]
    fn statements_of_a_block_keep_their_places() {
        let text = "SELECT 1;\nDO $$\nDECLARE n int;\nBEGIN\n  \
                    IF NOT EXISTS (SELECT 1 FROM a) THEN\n    ALTER TABLE ü DROP b;\n  \
                    END IF;\n  \
                    PERFORM f(1);\nEND $$;\nSELECT 2;";
        check(text, &["SELECT 1", "ALTER TABLE ü DROP b", "SELECT  f(1)", "SELECT 2"], &[]);
        let at = unfold(text).text.find("ALTER").unwrap();
        assert_eq!(text.find("ALTER"), Some(at));
        check("DO 'BEGIN UPDATE t SET a = ''x''; END';", &["UPDATE t SET a = 'x'"], &[]);
    }

    #[test]
    fn texts_that_are_run_are_read() {
        check("DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$;", &["DROP TABLE a"], &[]);
        check("DO $$ BEGIN EXECUTE 'DROP ' || 'TABLE a;'; END $$;", &["DROP TABLE a"], &[]);
        check("DO $$ BEGIN EXECUTE $x$DROP TABLE a$x$; END $$;", &["DROP TABLE a"], &[]);
        check("DO $$ BEGIN EXECUTE format('DROP TABLE %I.%2$I', 'a', 'B c'); END $$;", &["DROP TABLE a.\"B c\""], &[]);
        check("DO $$ BEGIN EXECUTE format('UPDATE t SET a = %L', 'x''y'); END $$;", &["UPDATE t SET a = 'x''y'"], &[]);
        check("DO $$ BEGIN EXECUTE 'DROP TABLE ' || n; END $$;", &[], &["EXECUTE 'DROP TABLE ' || n;"]);
        check("DO $$ BEGIN EXECUTE format('DROP TABLE %I', n); END $$;", &[], &["EXECUTE format('DROP TABLE %I', n);"]);
        let rest = "BEGIN EXECUTE format('DROP TABLE %I', t); EXECUTE done; EXECUTE done; END $$;";
        let declared =
            |more: &str| format!("DO $$ DECLARE t text := 'a'; done CONSTANT text := 'DROP TABLE b'; {more}{rest}");
        check(&declared(""), &["DROP TABLE b", "DROP TABLE a"], &[]);
        for other in ["u text := t;", "BEGIN t := 'x'; END;", "BEGIN SELECT 1 INTO t; END;"] {
            let text = declared("").replace(
                "BEGIN EXECUTE",
                &format!("BEGIN {} EXECUTE", if other.starts_with('u') { "" } else { other }),
            );
            let found = unfold(&text);
            assert_eq!(found.unread.is_empty(), other.starts_with('u'), "{other}: {found:?}");
        }
        // A text that becomes longer than its place leaves the next statement in its place.
        let long = "DO $$ DECLARE t text := 'a_name_that_is_much_longer_than_that'; \
                    BEGIN EXECUTE format('DROP TABLE %I', t); DROP TABLE b; END $$;";
        check(long, &["DROP TABLE b"], &["EXECUTE format('DROP TABLE %I', t);"]);
        check("DO LANGUAGE plpython3u $$ x $$;", &[], &["DO LANGUAGE plpython3u $$ x $$;"]);
    }

    #[test]
    fn what_is_too_deep_to_be_parsed_is_named_and_the_rest_is_read() {
        let deep = format!("UPDATE t SET a = 'ü' WHERE {};", vec!["id = 1"; 6000].join(" OR "));
        let text = format!("SELECT 1;\n{deep}\nDROP TABLE t;");
        let unfolded = unfold(&text);
        assert_eq!(unfolded.text.len(), text.len());
        let found: Vec<String> =
            parse(&unfolded.text).tree().stmts().map(|stmt| unfolded.text[span(&stmt)].to_owned()).collect();
        assert_eq!(found, ["SELECT 1;", "DROP TABLE t;"]);
        let named: Vec<(&str, bool)> =
            unfolded.unread.iter().map(|one| (&text[one.place.clone()], one.is_deep)).collect();
        assert_eq!(named, [(&*deep, true)]);
    }
}
