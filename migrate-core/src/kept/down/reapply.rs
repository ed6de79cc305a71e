//! What an up script overwrites when it is applied again, as far as its text shows: the tables that it names and the
//! columns that it sets. What it really overwrites is observed where it can be tried, see `reapply.sql`.

use std::collections::BTreeSet;

use migrate_base::ident::catalog_name;
use migrate_base::sql::{StatementClass, quoted, tokens};

use crate::source::Script;

/// What is known about an up script before it is tried.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReapplyAnalysis<'a> {
    /// The script, if there is anything to try.
    pub(crate) script: Option<&'a str>,
    /// Why it cannot be tried.
    pub(crate) untried: Option<&'static str>,
    /// The tables whose rows it overwrites or removes, as written.
    pub(crate) tables: BTreeSet<String>,
    /// The columns that it sets in any table; `None` if the text does not show all of them.
    pub(crate) columns: Option<BTreeSet<String>>,
    /// Whether it removes rows.
    pub(crate) removes: bool,
}

impl<'a> ReapplyAnalysis<'a> {
    /// An unknown script, with the reason.
    pub(crate) fn unknown(why: &'static str) -> Self {
        Self { untried: Some(why), ..Self::default() }
    }

    /// Analyses the text of a script.
    pub(crate) fn of(script: &'a Script) -> Self {
        let mut again = Self { columns: Some(BTreeSet::new()), ..Self::default() };
        let mut writes = false;
        for statement in script.statements() {
            writes |= again.read(&tokens(&script.text()[statement.span.clone()]));
        }
        if !writes {
            return again;
        }
        again.untried = untried(script);
        again.script = again.untried.is_none().then(|| &**script.text());
        again
    }

    /// Analyses one statement; returns whether it may overwrite rows.
    fn read(&mut self, words: &[&str]) -> bool {
        let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let is = |at: usize, word: &str| lower.get(at).is_some_and(|w| w == word);
        match lower.first().map(String::as_str) {
            Some("insert" | "update" | "delete" | "merge" | "with" | "values") => self.read_rows(words, &lower),
            Some("alter") if lower.iter().any(|word| word == "using") => {
                let at = 2 + if is(2, "if") { 2 } else { 0 };
                self.name(words, at + usize::from(is(at, "only")));
                let typed = lower.iter().enumerate().filter(|(_, word)| *word == "type").map(|(at, _)| at);
                let named =
                    typed.filter_map(|at| if is(at - 1, "data") { at.checked_sub(3) } else { at.checked_sub(1) });
                self.add_columns(named.filter_map(|at| catalog_name(words[at])));
            }
            Some("truncate") => {
                self.removes = true;
                let first = 1 + usize::from(is(1, "table"));
                for at in (first..words.len()).filter(|at| *at == first || words[at - 1] == ",") {
                    self.name(words, at + usize::from(is(at, "only")));
                }
            }
            Some("select") if !lower.iter().any(|word| word == "(") => return false,
            Some("do") => {
                // Its body may build statements dynamically, but most of what it writes appears in it.
                for body in words.iter().filter(|word| word.starts_with('$') || word.starts_with('\'')) {
                    let words = tokens(body.trim_start_matches(is_of_quote).trim_end_matches(is_of_quote));
                    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
                    self.read_rows(&words, &lower);
                }
                self.columns = None;
            }
            Some("select" | "call" | "execute" | "explain") => self.columns = None,
            _ => return false,
        }
        true
    }

    /// Analyses a statement that changes rows, including everything nested in it.
    fn read_rows(&mut self, words: &[&str], lower: &[String]) {
        let is = |at: usize, word: &str| lower.get(at).is_some_and(|w| w == word);
        let mut into = 0;
        for at in 0..words.len() {
            let before = at.checked_sub(1).map_or("", |at| &lower[at]);
            match (before, lower[at].as_str()) {
                ("insert", "into") => into = at + 1,
                ("merge", "into") => self.name(words, at + 1 + usize::from(is(at + 1, "only"))),
                ("delete", "from") => {
                    self.removes = true;
                    self.name(words, at + 1 + usize::from(is(at + 1, "only")));
                }
                ("then", "delete") => self.removes = true,
                ("do", "update") => self.name(words, into),
                ("for" | "key" | "then" | "on", "update") => {}
                (_, "update") => self.name(words, at + 1 + usize::from(is(at + 1, "only"))),
                (_, "set") => self.assignments(&words[at + 1..]),
                _ => {}
            }
        }
    }

    /// Adds the table whose name starts at a word.
    fn name(&mut self, words: &[&str], at: usize) {
        let mut end = at + 1;
        while words.get(end) == Some(&".") {
            end += 2;
        }
        if let Some(parts) = words.get(at..end.min(words.len()))
            && parts.iter().step_by(2).all(|part| catalog_name(part).is_some())
        {
            self.tables.insert(parts.concat());
        }
    }

    /// Adds the columns of `a = 1, (b, c) = (2, 3), …`; words after the last assignment may be taken for further
    /// columns.
    fn assignments(&mut self, words: &[&str]) {
        let mut depth = 0_i32;
        let mut is_target = true;
        let mut found = Vec::new();
        for word in words {
            match *word {
                "(" => depth += 1,
                ")" => depth -= 1,
                "," if depth == 0 => is_target = true,
                "=" if depth == 0 => is_target = false,
                _ if is_target => found.extend(catalog_name(word)),
                _ => {}
            }
            if depth < 0 {
                break;
            }
        }
        self.add_columns(found.into_iter());
    }

    fn add_columns(&mut self, found: impl Iterator<Item = String>) {
        if let Some(columns) = &mut self.columns {
            columns.extend(found);
        }
    }
}

/// Whether a character may be part of the delimiter of a quoted body.
fn is_of_quote(letter: char) -> bool {
    matches!(letter, '$' | '\'' | '_') || letter.is_alphanumeric()
}

/// Why a script cannot be tried during a rollback, if so.
fn untried(script: &Script) -> Option<&'static str> {
    if script.directives().no_transaction {
        return Some("it does not run in a transaction");
    }
    let can_share =
        |class| matches!(class, StatementClass::Plain | StatementClass::Session | StatementClass::TableMaintenance);
    if script.statements().iter().any(|statement| !can_share(statement.class)) {
        return Some("it cannot run inside another statement");
    }
    // Setting a sequence is not undone when the transaction is rolled back.
    calls(script.text(), "setval", 0).then_some("it sets a sequence, which is not undone")
}

/// Whether a text calls a function with this name, including in the body of a block or of a function.
fn calls(text: &str, name: &str, depth: usize) -> bool {
    let has_name =
        |text: &str| text.as_bytes().windows(name.len()).any(|part| part.eq_ignore_ascii_case(name.as_bytes()));
    has_name(text)
        && tokens(text).into_iter().any(|word| match quoted(word) {
            // Strings nested this deeply are not analysed further: assume that they contain a call.
            Some(body) => depth > 8 || calls(&body, name, depth + 1),
            None => catalog_name(word).is_some_and(|word| word == name),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[track_caller]
    fn check(sql: &str, tables: &[&str], columns: Option<&[&str]>, removes: bool) {
        let script = Script::recorded("1_a.up.sql".into(), sql.into());
        let again = ReapplyAnalysis::of(&script);
        assert!(again.script.is_some(), "{sql}");
        assert_eq!(texts(&again.tables), tables, "{sql}");
        assert_eq!(again.columns.as_ref().map(texts).as_deref(), columns, "{sql}");
        assert_eq!(again.removes, removes, "{sql}");
    }

    #[test]
    fn the_words_tell_tables_and_columns() {
        check(
            "UPDATE a SET b = 1, \"C d\" = x IS DISTINCT FROM y, (e, f) = (2, 3) WHERE g = 1;",
            &["a"],
            Some(&["C d", "b", "e", "f"]),
            false,
        );
        check("UPDATE ONLY \"S\".\"T\" AS t SET a.b = 1, c[1] = 2;", &["\"S\".\"T\""], Some(&["a", "b", "c"]), false);
        check(
            "INSERT INTO a (b) VALUES (1) ON CONFLICT (b) DO UPDATE SET c = excluded.c;",
            &["a"],
            Some(&["c"]),
            false,
        );
        check(
            "WITH gone AS (DELETE FROM a.b RETURNING *) UPDATE c SET d = (SELECT 1 FROM e FOR UPDATE);",
            &["a.b", "c"],
            Some(&["d"]),
            true,
        );
        check(
            "MERGE INTO a USING b ON a.c = b.c WHEN MATCHED THEN UPDATE SET d = 1 WHEN NOT MATCHED THEN DO NOTHING;",
            &["a"],
            Some(&["d"]),
            false,
        );
        check("TRUNCATE TABLE a, ONLY b.c;", &["a", "b.c"], Some(&[]), true);
        check(
            "ALTER TABLE IF EXISTS ONLY a ALTER b SET DATA TYPE text USING upper(b), \
             ALTER COLUMN c TYPE text USING 'x';",
            &["a"],
            Some(&["b", "c"]),
            false,
        );
        check("DO $$ BEGIN UPDATE a SET b = 1; END $$; UPDATE c SET d = 1;", &["a", "c"], None, false);
        check("DO 'BEGIN DELETE FROM a.b; END' LANGUAGE plpgsql;", &["a.b"], None, true);
        check("SELECT backfill();", &[], None, false);
    }

    #[test]
    fn what_only_makes_things_is_not_tried() {
        let ddl = "CREATE TABLE a (b int REFERENCES c ON UPDATE CASCADE ON DELETE SET NULL); \
            COMMENT ON TABLE a IS 'x'; SELECT 1;
            CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'UPDATE a SET b = 1'; ALTER TABLE a ADD d int;";
        let script = Script::recorded("1_a.up.sql".into(), ddl.into());
        assert_eq!(
            ReapplyAnalysis::of(&script),
            ReapplyAnalysis { columns: Some(BTreeSet::new()), ..ReapplyAnalysis::default() }
        );
    }
}
