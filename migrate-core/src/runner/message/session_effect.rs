//! Statements that leave their session as it was: those that only create, change and remove tables, indexes, types,
//! views and routines, and on the way evaluate nothing that somebody else wrote.
//!
//! Any other statement may have changed anything: a function that is called, a trigger that fires for a row, an
//! expression that is evaluated for existing rows.

use migrate_base::sql::tokens;

use crate::source::Script;

/// Whether a script leaves no trace in the session.
pub(in crate::runner) fn leaves_session(script: &Script) -> bool {
    let text = script.text();
    script.statements().iter().all(|statement| is_untouching(&tokens(&text[statement.span.clone()])))
}

/// Whether a script may create event triggers, which run at statements that evaluate nothing themselves: it contains
/// such a statement, or it runs a block or a query, in which a function may do so. Statements that write rows are not
/// considered.
pub(in crate::runner) fn may_make_event_triggers(script: &Script) -> bool {
    const OF_ROWS: [&str; 5] = ["insert", "update", "delete", "merge", "truncate"];
    let text = script.text();
    let lower = text.to_ascii_lowercase();
    let is_harmless = |words: &[&str]| {
        is_untouching(words)
            || words.first().is_some_and(|first| OF_ROWS.iter().any(|one| first.eq_ignore_ascii_case(one)))
    };
    lower.contains("event")
        || lower.contains("extension")
        || !script.statements().iter().all(|statement| is_harmless(&tokens(&text[statement.span.clone()])))
}

fn is_untouching(words: &[&str]) -> bool {
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    // Temporary objects belong to the session.
    if words.iter().any(|word| word.contains("pg_temp")) {
        return false;
    }
    match words.as_slice() {
        ["comment", "on", ..] | ["grant" | "revoke", ..] => true,
        ["create", "or", "replace", rest @ ..] | ["create", rest @ ..] => creates(rest),
        ["drop", kind, rest @ ..] => {
            const KINDS: [&str; 9] =
                ["table", "index", "view", "type", "function", "trigger", "sequence", "schema", "domain"];
            KINDS.contains(kind) && rest.first() != Some(&"concurrently")
        }
        ["alter", "table", rest @ ..] => alters(rest),
        ["alter", "type", rest @ ..] => rest.windows(2).any(|pair| pair == ["add", "value"]),
        _ => false,
    }
}

/// Whether a `CREATE` evaluates nothing.
fn creates(words: &[&str]) -> bool {
    match words {
        // The bounds of a partition are evaluated, and the query of CREATE TABLE AS is run.
        ["table", rest @ ..] | ["unlogged", "table", rest @ ..] => {
            !outside(rest).any(|word| matches!(word, "as" | "of" | "execute"))
        }
        ["view" | "sequence" | "trigger" | "domain", ..] => true,
        ["type", rest @ ..] => rest.windows(2).any(|pair| matches!(pair, ["as", "enum" | "("])),
        ["schema", rest @ ..] => !rest.iter().any(|word| matches!(*word, "create" | "grant")),
        // The validator of another language may do anything.
        ["function" | "procedure", rest @ ..] => {
            rest.windows(2).any(|pair| matches!(pair, ["language", "sql" | "plpgsql" | "'sql'" | "'plpgsql'"]))
        }
        ["index", rest @ ..] | ["unique", "index", rest @ ..] => {
            rest.first() != Some(&"concurrently") && !rest.contains(&"where") && depth(rest) < 2
        }
        _ => false,
    }
}

/// Whether no action of an `ALTER TABLE` evaluates anything for the existing rows.
fn alters(words: &[&str]) -> bool {
    let mut at = 0;
    let mut skip = |expected: &[&str]| {
        if words[at..].starts_with(expected) {
            at += expected.len();
        }
    };
    skip(&["if", "exists"]);
    skip(&["only"]);
    at += 1;
    while words.get(at) == Some(&".") {
        at += 2;
    }
    let mut depth = 0_i32;
    let mut actions: Vec<&[&str]> = Vec::new();
    let mut start = at;
    for (end, word) in words.iter().enumerate().skip(at) {
        match *word {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "," if depth == 0 => {
                actions.push(&words[start..end]);
                start = end + 1;
            }
            _ => {}
        }
    }
    actions.push(words.get(start..).unwrap_or_default());
    actions.into_iter().all(is_untouching_action)
}

fn is_untouching_action(action: &[&str]) -> bool {
    match action {
        ["drop" | "rename" | "owner" | "enable" | "disable" | "force" | "no" | "replica", ..] => true,
        ["set", "schema" | "(", ..] => true,
        ["add", "constraint", rest @ ..] => adds_constraint(rest),
        ["add", "primary" | "unique" | "foreign" | "check" | "exclude", ..] => adds_constraint(&action[1..]),
        ["add", rest @ ..] => adds_column(rest),
        ["alter", rest @ ..] => rest.windows(2).any(|pair| {
            matches!(pair, ["drop", "default" | "not"] | ["set", "default" | "not" | "statistics" | "storage"])
        }),
        _ => false,
    }
}

/// Whether a constraint evaluates no user-written expression.
fn adds_constraint(words: &[&str]) -> bool {
    // In an expression these words are a negated column.
    let is_valid_later = words.ends_with(&["not", "valid"]);
    is_valid_later || !words.iter().any(|word| matches!(*word, "check" | "exclude"))
}

/// The types whose values only the server checks: a domain has its own default and checks.
const BUILT_IN: [&str; 27] = [
    "bigint",
    "int",
    "integer",
    "smallint",
    "int2",
    "int4",
    "int8",
    "numeric",
    "decimal",
    "real",
    "double",
    "boolean",
    "bool",
    "text",
    "varchar",
    "character",
    "char",
    "bytea",
    "uuid",
    "json",
    "jsonb",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "inet",
];

/// Whether only a constant is put into a new column of a built-in type.
fn adds_column(words: &[&str]) -> bool {
    let words = words.strip_prefix(&["column"]).unwrap_or(words);
    let words = words.strip_prefix(&["if", "not", "exists"]).unwrap_or(words);
    if !words.get(1).is_some_and(|name| BUILT_IN.contains(name)) || words.get(2) == Some(&".") {
        return false;
    }
    let is_constant = |word: &&str| {
        word.starts_with('\'')
            || word.starts_with(|c: char| c.is_ascii_digit())
            || matches!(*word, "true" | "false" | "null")
    };
    // Another word after the constant may make it an expression.
    let ends = |word: &&str| matches!(*word, "not" | "null" | "unique" | "primary" | "references" | "constraint");
    let constant = |at: usize| words.get(at + 1).is_some_and(is_constant) && words.get(at + 2).is_none_or(ends);
    words.iter().enumerate().all(|(at, word)| match *word {
        "default" => constant(at),
        "check" | "generated" | "collate" => false,
        word => !word.contains("serial"),
    })
}

/// The words outside all brackets.
fn outside<'a>(words: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let mut depth = 0_i32;
    words.iter().copied().filter(move |word| {
        match *word {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => return depth == 0,
        }
        false
    })
}

/// The nesting depth of the brackets.
fn depth(words: &[&str]) -> usize {
    let (mut here, mut deepest) = (0_usize, 0);
    for word in words {
        match *word {
            "(" => here += 1,
            ")" => here = here.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(here);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str) -> bool {
        leaves_session(&Script::recorded("1_a.up.sql".into(), text.into()))
    }

    #[test]
    fn what_evaluates_nothing_leaves_its_session_alone() {
        for text in [
            "CREATE TABLE app.a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT f(), \
             n int CHECK (g(n)));",
            "CREATE TYPE t AS ENUM ('a'); CREATE TYPE u AS (a int); ALTER TYPE t ADD VALUE 'b'; \
             CREATE DOMAIN d AS int CHECK (f(VALUE));",
            "CREATE UNIQUE INDEX IF NOT EXISTS i ON a USING btree (b DESC, c) WITH (fillfactor = 70);",
            "ALTER TABLE ONLY app.a ADD COLUMN b text NOT NULL DEFAULT 'new', ADD c numeric(12, 2), DROP d;",
            "ALTER TABLE a ADD CONSTRAINT b CHECK (f(c)) NOT VALID; \
             ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (b) REFERENCES d (e);",
            "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql \
             AS $$ BEGIN PERFORM set_config('a', 'b', false); END $$;
             CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f();",
            "CREATE VIEW v AS SELECT f(a) FROM b; COMMENT ON VIEW v IS 'x'; GRANT SELECT ON v TO r; \
             DROP TABLE IF EXISTS a CASCADE;",
            "CREATE SCHEMA s; ALTER TABLE app.a SET SCHEMA s; ALTER TABLE a SET (fillfactor = 70); DROP INDEX i;",
            "ALTER TABLE a ADD PRIMARY KEY (b); ALTER TABLE a ADD UNIQUE (b), ADD FOREIGN KEY (c) REFERENCES d;",
            "ALTER TABLE a ALTER b SET DEFAULT f(), ALTER c DROP NOT NULL;",
            "ALTER TABLE a ADD b int DEFAULT 1 NOT NULL, ADD c boolean NOT NULL DEFAULT true, ADD d text DEFAULT NULL;",
            "",
        ] {
            assert!(leaves(text), "{text}");
        }
    }

    #[test]
    fn what_may_evaluate_something_may_change_its_session() {
        for text in [
            "SET search_path = app;",
            "SELECT f();",
            "INSERT INTO a VALUES (1);",
            "UPDATE a SET b = 1;",
            "DO $$ BEGIN END $$;",
            "CALL p();",
            "PREPARE p AS SELECT 1;",
            "LISTEN a;",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
            "CREATE TEMP TABLE a (b int);",
            "CREATE TABLE pg_temp.a (b int);",
            "CREATE TABLE \"pg_temp\".a (b int);",
            "CREATE TABLE a AS SELECT f();",
            "CREATE TABLE a PARTITION OF b FOR VALUES FROM (f()) TO (g());",
            "CREATE MATERIALIZED VIEW v AS SELECT f();",
            "CREATE INDEX i ON a (f(b));",
            "CREATE INDEX i ON a ((f(b)));",
            "CREATE INDEX i ON a (b) WHERE f(b);",
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'x';",
            "CREATE EXTENSION e;",
            "CREATE SCHEMA s CREATE TABLE a AS SELECT f();",
            "ALTER TABLE a ADD b int DEFAULT f();",
            "ALTER TABLE a ADD b text DEFAULT 'a' || f();",
            "ALTER TABLE a ADD b bigserial;",
            "ALTER TABLE a ADD b int GENERATED ALWAYS AS (f(c)) STORED;",
            "ALTER TABLE a ADD b int CHECK (f(b));",
            "ALTER TABLE a ADD CHECK (f(b));",
            "ALTER TABLE a ADD CONSTRAINT c CHECK (NOT valid OR f(b));",
            "ALTER TABLE a ADD b d;",
            "ALTER TABLE a ADD COLUMN IF NOT EXISTS b app.d DEFAULT 'x';",
            "ALTER TABLE a DROP b, ADD CONSTRAINT c CHECK (f(b));",
            "ALTER TABLE a ALTER b TYPE text USING f(b);",
            "ALTER TABLE a VALIDATE CONSTRAINT c;",
            "ALTER TABLE a ATTACH PARTITION b DEFAULT;",
            "ALTER TABLE a ADD b numeric(12, 2), VALIDATE CONSTRAINT c;",
            "ALTER TABLE a ADD b int DEFAULT 1 + f();",
            "ALTER TABLE a ADD b boolean DEFAULT true AND f();",
            "ALTER TYPE t ALTER ATTRIBUTE a TYPE text;",
            "DROP INDEX CONCURRENTLY i;",
            "CREATE TABLE a (b) AS SELECT f();",
            "CREATE TABLE a (b int) PARTITION BY RANGE (b) AS SELECT f();",
            "DROP OWNED BY r;",
            "CREATE TABLE a (b int); SELECT f();",
        ] {
            assert!(!leaves(text), "{text}");
        }
        let may = |text: &str| may_make_event_triggers(&Script::recorded("1_a.up.sql".into(), text.into()));
        for text in [
            "create event\ntrigger t on ddl_command_end execute function f();",
            "SELECT install();",
            "COMMENT ON EVENT TRIGGER t IS 'x';",
            "COMMENT ON EXTENSION e IS 'x';",
            "DO $$ BEGIN PERFORM f(); END $$;",
        ] {
            assert!(may(text), "{text}");
        }
        assert!(!may("CREATE TABLE a (b int); INSERT INTO a SELECT 1; UPDATE a SET b = 2;"));
    }
}
