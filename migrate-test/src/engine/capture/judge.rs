//! Which of the statements of a tool belong to its migration.

use std::collections::BTreeSet;

use migrate_base::ident::QualifiedName;
use migrate_base::sql::tokens;
use migrate_core::foreign::ForeignTool;

use super::sent::folded;

/// What a statement is for a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentStatement {
    /// A part of it.
    Part,
    /// Something that the tool does for itself, or for its session.
    Aside,
    /// It exchanges data with the client, which is not in the log.
    Copies,
}

/// What is known about the tool and about the server.
#[derive(Debug)]
pub(super) struct SentJudge<'a> {
    pub(super) tool: Option<&'static ForeignTool>,
    /// The table with the ledger, if it does not have the usual name.
    pub(super) ledger: Option<&'a QualifiedName>,
    /// The words that stand before a parenthesis without calling something that a migration may have been sent for: the
    /// functions and types of the server, and the words of SQL.
    pub(super) harmless: BTreeSet<String>,
}

/// Settings of a client that say nothing about what a migration does.
const OF_CLIENT: [&str; 15] = [
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "deadlock_timeout",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "intervalstyle",
    "jit",
    "lock_timeout",
    "statement_timeout",
    "timezone",
];
/// Functions of the server that change something.
const CHANGING: [&str; 4] = ["setval", "set_config", "nextval", "lo_"];

/// The words of a statement as the server reads them.
type Words<'w> = [&'w str];

impl SentJudge<'_> {
    /// What a statement is for its migration, and whether it reads rows, on which what follows may depend.
    pub(super) fn judge(&self, statement: &str) -> (SentStatement, bool) {
        let words: Vec<String> = tokens(statement).iter().map(|word| folded(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let reads = self.reads(&words);
        let what = match words.as_slice() {
            ["select" | "values" | "table" | "declare" | "with", ..] if !changes_rows(&words) => self.query(&words),
            ["explain", rest @ ..] if !rest.contains(&"analyze") => SentStatement::Aside,
            ["set" | "reset", rest @ ..] => setting(rest),
            ["show" | "discard" | "deallocate" | "listen" | "unlisten" | "notify" | "close", ..]
            | ["fetch" | "move" | "checkpoint" | "analyze", ..] => SentStatement::Aside,
            ["copy", ..] if words.contains(&"stdin") => SentStatement::Copies,
            ["copy", ..] if words.contains(&"stdout") => return (SentStatement::Aside, true),
            _ if self.is_about_its_own(&words) => return (SentStatement::Aside, false),
            _ => SentStatement::Part,
        };
        let is_read =
            matches!(words.first(), Some(&"select" | &"table" | &"with" | &"declare")) || words.contains(&"returning");
        (what, reads && is_read)
    }

    fn query(&self, words: &Words<'_>) -> SentStatement {
        let called = |pair: &[&str]| pair[1] == "(" && is_name(pair[0]);
        let mut calls = words.windows(2).filter(|pair| called(pair)).map(|pair| pair[0]);
        let changes = |name: &str| {
            CHANGING.iter().any(|known| name == *known || (known.ends_with('_') && name.starts_with(known)))
        };
        match calls.find(|name| changes(name) || !self.harmless.contains(*name)) {
            // `SELECT set_config('TimeZone', 'UTC', false)` is a setting of the client.
            Some("set_config") if OF_CLIENT.iter().any(|name| words.contains(&&*format!("'{name}'"))) => {
                SentStatement::Aside
            }
            Some(_) => SentStatement::Part,
            // `SELECT … INTO table`
            None if words.contains(&"into") => SentStatement::Part,
            None => SentStatement::Aside,
        }
    }

    /// Whether rows of a table are read that is neither the server's nor the tool's.
    fn reads(&self, words: &Words<'_>) -> bool {
        let is_source = |at: usize| matches!(words[at], "from" | "join" | "table" | "using");
        (0..words.len()).filter(|at| is_source(*at)).any(|at| {
            let at = if words.get(at + 1) == Some(&"only") { at + 1 } else { at };
            let Some((schema, name)) = name_at(words, at + 1) else { return false };
            let is_of_server = schema.is_some_and(|schema| schema == "pg_catalog" || schema == "information_schema")
                || (schema.is_none() && name.starts_with("pg_"));
            !is_of_server && !self.is_its_own(schema, name) && !self.is_filled(name)
        })
    }

    /// Whether a table is the tool's. A name that is qualified has to be in the schema of the ledger.
    fn is_its_own(&self, schema: Option<&str>, name: &str) -> bool {
        let is_ledger =
            |ledger: &QualifiedName| ledger.name() == name && schema.is_none_or(|schema| schema == ledger.schema());
        let usual = |tool: &ForeignTool| {
            let own = tool.schema().unwrap_or_else(|| self.ledger.map_or("public", QualifiedName::schema));
            tool.has_table(name) && schema.is_none_or(|schema| schema == own)
        };
        self.ledger.is_some_and(is_ledger) || self.tool.is_some_and(usual)
    }

    /// Whether the tool fills this table whenever it runs.
    fn is_filled(&self, name: &str) -> bool {
        self.tool.is_some_and(|tool| tool.fills(&format!(".{name}")))
    }

    /// Whether a statement is about a table of the tool, or adds rows to one that the tool fills.
    fn is_about_its_own(&self, words: &Words<'_>) -> bool {
        let ends = ["(", "values", "set", "select", "references", "default", "as", "using", "is"];
        let end = words.iter().take(14).position(|word| ends.contains(word)).unwrap_or(words.len().min(14));
        let is_insert = words.first() == Some(&"insert");
        let is_own = |at: usize| {
            // The second part of a qualified name is judged with the first.
            let is_second = at > 0 && words[at - 1] == ".";
            !is_second
                && name_at(words, at)
                    .is_some_and(|(schema, name)| self.is_its_own(schema, name) || (is_insert && self.is_filled(name)))
        };
        // `CREATE INDEX … ON table (…)` has its table right before the list.
        let indexed = words.iter().position(|word| *word == "on").filter(|_| words.first() == Some(&"create"));
        (1..end).any(is_own) || indexed.is_some_and(|at| is_own(at + 1))
    }
}

/// The name that begins here, with its schema.
fn name_at<'w>(words: &'w Words<'w>, at: usize) -> Option<(Option<&'w str>, &'w str)> {
    let first = words.get(at).copied().filter(|word| is_name(word))?;
    match (words.get(at + 1), words.get(at + 2)) {
        (Some(&"."), Some(second)) => Some((Some(first), second)),
        _ => Some((None, first)),
    }
}

fn is_name(word: &str) -> bool {
    word.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// Whether a query changes rows in a part of it. `FOR UPDATE` does not.
fn changes_rows(words: &Words<'_>) -> bool {
    (0..words.len()).any(|at| match words[at] {
        "insert" | "delete" | "merge" => true,
        "update" => at > 0 && !matches!(words[at - 1], "for" | "key"),
        _ => false,
    })
}

fn setting(words: &Words<'_>) -> SentStatement {
    let name = words.iter().find(|word| !["local", "session"].contains(word)).copied().unwrap_or_default();
    let is_of_client =
        OF_CLIENT.contains(&name) || ["time", "names", "characteristics", "transaction", "all"].contains(&name);
    if is_of_client { SentStatement::Aside } else { SentStatement::Part }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge<'a>(tool: &str, ledger: Option<&'a QualifiedName>) -> SentJudge<'a> {
        let harmless = ["count", "version", "now", "in", "exists", "values", "set_config", "setval", "from"];
        let harmless = harmless.map(str::to_owned).into();
        SentJudge { tool: ForeignTool::named(tool), ledger, harmless }
    }

    #[test]
    fn a_statement_is_a_part_of_the_migration_or_not() {
        let ours = QualifiedName::new("app", "our_versions");
        let alembic = judge("alembic", Some(&ours));
        for part in [
            "CREATE TABLE alembic_versions2 (a int)",
            "ALTER TABLE accounts ADD note text DEFAULT 'alembic_version'",
            "CREATE TABLE other.our_versions (a int)",
            "WITH x AS (SELECT 1) UPDATE accounts SET a = 1 FROM x",
            "INSERT INTO accounts SELECT * FROM old",
            "SELECT setval('accounts_id_seq', 7)",
            "SELECT lo_create(4242)",
            "SELECT \"doIt\"()",
            "SELECT create_hypertable('a', 'b')",
            "SELECT a INTO copied FROM accounts",
            "SET search_path TO app",
            "SET LOCAL check_function_bodies = off",
            "SET standard_conforming_strings = off",
            "RESET ROLE",
            "RESET search_path",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "EXPLAIN ANALYZE INSERT INTO accounts VALUES (1)",
            "DO $$ BEGIN END $$",
            "LOCK TABLE accounts",
        ] {
            assert_eq!(alembic.judge(part).0, SentStatement::Part, "{part}");
        }
        for aside in [
            "CREATE TABLE app.our_versions (version_num text, CONSTRAINT pkc PRIMARY KEY (version_num))",
            "INSERT INTO \"our_versions\" (version_num) VALUES ('a')",
            "UPDATE app.our_versions SET version_num='b'",
            "DELETE FROM our_versions",
            "SELECT version_num FROM app.our_versions",
            "select pg_catalog.version()",
            "SELECT a FROM pg_class",
            "SELECT set_config('timezone', 'UTC', false)",
            "SET client_encoding TO 'UTF8'",
            "SET TIME ZONE 'UTC'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "RESET ALL",
            "SHOW standard_conforming_strings",
            "CREATE UNIQUE INDEX x ON our_versions (a)",
        ] {
            assert_eq!(alembic.judge(aside), (SentStatement::Aside, false), "{aside}");
        }
        assert_eq!(alembic.judge("COPY accounts FROM STDIN").0, SentStatement::Copies);
    }

    #[test]
    fn the_tables_of_a_tool_are_known_by_their_exact_names() {
        let sequelize = judge("sequelize", None);
        let own = "INSERT INTO \"SequelizeMeta\" (name) VALUES ('a.js')";
        assert_eq!(sequelize.judge(own).0, SentStatement::Aside);
        assert_eq!(sequelize.judge("DROP TABLE SequelizeMeta").0, SentStatement::Part);
        let laravel = judge("laravel", None);
        assert_eq!(laravel.judge("CREATE TABLE audit.migrations (a int)").0, SentStatement::Part);
        assert_eq!(laravel.judge("delete from \"migrations\" where \"id\" = 1").0, SentStatement::Aside);
        let django = judge("django", None);
        assert_eq!(django.judge("INSERT INTO \"django_content_type\" VALUES (1)").0, SentStatement::Aside);
        assert_eq!(django.judge("SELECT a FROM \"django_content_type\""), (SentStatement::Aside, false));
        for part in [
            "CREATE TABLE \"django_content_type\" (a int)",
            "UPDATE django_content_type SET a = 1",
            "CREATE TABLE shop (a int REFERENCES django_content_type (id))",
        ] {
            assert_eq!(django.judge(part).0, SentStatement::Part, "{part}");
        }
    }

    #[test]
    fn what_reads_rows_is_seen_wherever_it_reads_them() {
        let alembic = judge("alembic", None);
        for reads in [
            "SELECT id FROM accounts",
            "SELECT count(*) FROM (SELECT id FROM accounts) x",
            "SELECT 1 FROM pg_class JOIN accounts ON true",
            "TABLE accounts",
            "WITH x AS (SELECT 1) SELECT * FROM accounts FOR UPDATE",
            "COPY accounts TO STDOUT",
            "DELETE FROM accounts RETURNING id",
        ] {
            assert!(alembic.judge(reads).1, "{reads}");
        }
        for others in
            ["SELECT 1", "SELECT version_num FROM public.alembic_version", "SELECT a FROM pg_catalog.pg_class"]
        {
            assert!(!alembic.judge(others).1, "{others}");
        }
    }
}
