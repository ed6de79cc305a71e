//! What a statement leaves in a session that no statement can reset: a custom parameter (`SET app.user`), which a
//! session never forgets, and other defaults for future sessions (`ALTER ROLE … SET`).
//!
//! A false positive costs a connection; after a false negative, a migration sees what another one has set.

use super::body::quoted;
use super::lex::words;

/// Whether a new session is needed after this text.
pub fn outlives_reset(text: &str) -> bool {
    SettingScanner { depth: 0 }.read(text)
}

#[derive(Clone, Copy)]
struct SettingScanner {
    /// How many strings enclose the text: a string in a body may be a part of a statement.
    depth: usize,
}

/// The limit for nested bodies; deeper nesting gets a new session.
const DEEPEST: usize = 4;

impl SettingScanner {
    fn read(self, text: &str) -> bool {
        if !may_matter(text) {
            return false;
        }
        let words: Vec<&str> = words(text).map(|(_, span)| &text[span]).collect();
        (0..words.len()).any(|at| self.matters(&words, at))
    }

    /// Whether what starts at the word `at` outlives a reset.
    fn matters(self, words: &[&str], at: usize) -> bool {
        let next = |n: usize| words.get(at + n).copied().unwrap_or_default();
        let is = |n: usize, others: &[&str]| others.iter().any(|other| next(n).eq_ignore_ascii_case(other));
        let word = words[at];
        if let Some(body) = quoted(word) {
            return self.depth >= DEEPEST && may_matter(&body) || Self { depth: self.depth + 1 }.read(&body);
        }
        if is(0, &["set"]) {
            return self.sets(words, at + 1);
        }
        if is(0, &["alter"]) {
            return is(1, &["system"]) || (is(1, &["database", "role", "user"]) && self.changes_defaults(words, at));
        }
        if is(0, &["update"]) {
            return is(1, &["pg_settings", "\"pg_settings\""])
                || (is(2, &["."]) && is(3, &["pg_settings", "\"pg_settings\""]));
        }
        // The name of the setting decides, if it is written there.
        is(0, &["set_config", "\"set_config\""]) && is(1, &["("]) && is_own_or_unknown(next(2), next(3))
    }

    /// Whether a `SET` sets a parameter whose name contains a dot or is not known.
    fn sets(self, words: &[&str], at: usize) -> bool {
        let next = |n: usize| words.get(n).copied().unwrap_or_default();
        let is_scope = |n: usize| ["local", "session"].iter().any(|scope| next(n).eq_ignore_ascii_case(scope));
        // `SET local.user` and `SET session.user` name parameters too.
        let at = if is_scope(at) && next(at + 1) != "." { at + 1 } else { at };
        let name = next(at);
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"');
        if name.starts_with('"') || name.starts_with("U&\"") || name.starts_with("u&\"") {
            return name.contains(['.', '\\']) || next(at + 1) == ".";
        }
        match is_name {
            true => next(at + 1) == ".",
            // In a body, the rest of the statement is built at run time.
            false => self.depth > 1,
        }
    }

    /// Whether an `ALTER ROLE` or `ALTER DATABASE` is about settings.
    fn changes_defaults(self, words: &[&str], at: usize) -> bool {
        let mut rest = words[at..].iter().take_while(|word| **word != ";");
        self.depth > 1 || rest.any(|word| word.eq_ignore_ascii_case("set") || word.eq_ignore_ascii_case("reset"))
    }
}

/// Whether the name given to `set_config` may contain a dot: every name that is not a plain string without a dot.
fn is_own_or_unknown(name: &str, after: &str) -> bool {
    after != "," || !name.starts_with('\'') || quoted(name).is_none_or(|name| name.contains('.'))
}

/// A quick check, so that most texts need not be read.
fn may_matter(text: &str) -> bool {
    let has = |word: &[u8]| text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    // `set` is also in `reset` and `set_config`. ALTER SYSTEM needs no `set`.
    has(b"set") || has(b"alter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_never_forgets_is_seen_in_every_spelling() {
        for text in [
            "SET app.user = 1;",
            "set\tapp . user to 1",
            "SET\n  LOCAL -- a\n app.user = 1",
            "SET /* ; */ SESSION \"app\".\"user\" = 1",
            "SET \"app.user\" = 1",
            "SET U&\"app\\002Euser\" = 1",
            "SET local.user = 1",
            "SELECT set_config('app.user', '1', false)",
            "SELECT length(pg_catalog.\"set_config\"('app' || '.user', '1', false))",
            "SELECT set_config(E'app\\x2Euser', '1', false)",
            "SELECT set_config(name, '1', false) FROM names",
            "UPDATE pg_catalog.pg_settings SET setting = 1 WHERE name = 'app.user'",
            "DO $$ BEGIN SET\tapp.user = 1; END $$",
            "DO 'BEGIN PERFORM set_config(''app.user'', ''1'', false); END'",
            "DO $$ BEGIN EXECUTE 'SET ' || 'app.user = 1'; END $$",
            "DO $$ BEGIN EXECUTE format('SET %I.%I = 1', 'app', 'user'); END $$",
            "DO $$ BEGIN EXECUTE $x$DO $y$ BEGIN SET app.user = 1; END $y$$x$; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql SET app.user = 1 AS 'SELECT'",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SET app.user = 1'",
            "SELECT run('SET app.user = 1')",
            "ALTER ROLE CURRENT_USER SET search_path = a",
            "alter\ndatabase d reset all",
            "ALTER SYSTEM SET x = 1",
            "DO $$ BEGIN EXECUTE 'ALTER ROLE ' || current_user || ' SET search_path = a'; END $$",
        ] {
            assert!(outlives_reset(text), "{text}");
        }
    }

    #[test]
    fn ordinary_scripts_share_a_session() {
        for text in [
            "SET search_path = app, public; SET LOCAL lock_timeout TO '1s'; SET TIME ZONE 'UTC'; SET ROLE a; \
             RESET ALL;",
            "SELECT pg_catalog.set_config('search_path', '', false);",
            "UPDATE app.users SET name = 'a.b', \"b\" = c.d WHERE e.f = 1;",
            "ALTER TABLE app.users ALTER COLUMN a SET DEFAULT 1, ALTER b SET NOT NULL, SET (fillfactor = 70);",
            "ALTER SEQUENCE s OWNED BY app.t.c; ALTER ROLE a CREATEDB; ALTER TABLE database RENAME TO role;",
            "CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$ BEGIN
                 UPDATE app.t SET a = new.a WHERE id = new.id; RETURN new; END $$;",
            "COMMENT ON TABLE a IS 'the settings that a user has set'; INSERT INTO a VALUES ('offset', 'set ''a''');",
            "CREATE TABLE a (id int REFERENCES b ON DELETE SET NULL ON UPDATE SET DEFAULT);",
            "DO $$ BEGIN EXECUTE format('ALTER TABLE %I SET SCHEMA app', 'a'); END $$",
            "-- SET app.user = 1\n/* set_config('app.user') */ SELECT 1;",
        ] {
            assert!(!outlives_reset(text), "{text}");
        }
    }
}
