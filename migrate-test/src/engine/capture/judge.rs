//! Which of the statements of a tool belong to its migration.

use std::collections::BTreeSet;

use migrate_base::sql::tokens;
use migrate_core::foreign::ForeignTool;

/// What a statement is for a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentStatement {
    /// A part of it.
    Part,
    /// Something that the tool does for itself, or for its session.
    Aside,
    /// It reads rows of tables: what follows may depend on them.
    Reads,
    /// It takes data from the client, which is not in the log.
    Copies,
}

/// What the tool and its database look like.
#[derive(Debug)]
pub(super) struct SentJudge<'a> {
    pub(super) tool: Option<&'static ForeignTool>,
    /// The names of further tables that are the tool's.
    pub(super) tables: Vec<&'a str>,
    /// The names of functions that a query may call for what they do: those that no catalog has.
    pub(super) functions: BTreeSet<String>,
}

/// Settings of a client that say nothing about what a migration does.
const OF_CLIENT: [&str; 16] = [
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
    "standard_conforming_strings",
    "statement_timeout",
    "timezone",
];
/// Functions of the server that change something.
const CHANGING: [&str; 3] = ["setval", "set_config", "nextval"];

impl SentJudge<'_> {
    /// What a statement is for its migration.
    pub(super) fn judge(&self, statement: &str) -> SentStatement {
        let words: Vec<String> = tokens(statement).iter().map(|word| plain(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["select" | "values" | "table" | "explain" | "declare", ..] => self.query(&words),
            ["with", ..] if !words.iter().any(|word| ["insert", "update", "delete", "merge"].contains(word)) => {
                self.query(&words)
            }
            ["set", rest @ ..] => setting(rest),
            ["show" | "reset" | "discard" | "deallocate" | "listen" | "unlisten" | "notify" | "close", ..]
            | ["fetch" | "move" | "checkpoint" | "analyze" | "prepare", ..] => SentStatement::Aside,
            ["copy", ..] if words.contains(&"stdin") => SentStatement::Copies,
            _ if self.is_about_its_own(&words) => SentStatement::Aside,
            _ => SentStatement::Part,
        }
    }

    fn query(&self, words: &[&str]) -> SentStatement {
        let calls = |name: &str| words.windows(2).any(|pair| pair == [name, "("]);
        if CHANGING.iter().any(|name| calls(name)) {
            // `SELECT set_config('TimeZone', 'UTC', false)` is a setting of the client.
            let is_of_client =
                calls("set_config") && OF_CLIENT.iter().any(|name| words.contains(&&*format!("'{name}'")));
            return if is_of_client { SentStatement::Aside } else { SentStatement::Part };
        }
        if self.functions.iter().any(|name| calls(name)) {
            return SentStatement::Part;
        }
        let from = words.iter().position(|word| *word == "from").and_then(|at| words.get(at + 1));
        let is_of_server = |name: &str| name.starts_with("pg_") || name == "information_schema" || name == "(";
        match from {
            Some(table) if is_of_server(table) || self.is_its_own(table) || self.is_filled(table) => {
                SentStatement::Aside
            }
            Some(_) => SentStatement::Reads,
            None => SentStatement::Aside,
        }
    }

    fn is_its_own(&self, name: &str) -> bool {
        self.tables.contains(&name) || self.tool.is_some_and(|tool| tool.has_table(name))
    }

    /// Whether the tool fills this table whenever it runs.
    fn is_filled(&self, name: &str) -> bool {
        self.tool.is_some_and(|tool| tool.fills(&format!(".{name}")))
    }

    /// Whether a statement is about a table of the tool, or adds rows to one that the tool fills.
    fn is_about_its_own(&self, words: &[&str]) -> bool {
        let ends = ["(", "values", "set", "select", "references"];
        let mut names = words.iter().take(12).take_while(|word| !ends.contains(word));
        let is_insert = words.first() == Some(&"insert");
        // `CREATE INDEX … ON table (…)` has its table right before the list.
        let indexed = words.iter().position(|word| *word == "on").and_then(|at| words.get(at + 1));
        let is_index = words.first() == Some(&"create") && indexed.is_some_and(|name| self.is_its_own(name));
        is_index || names.any(|name| self.is_its_own(name) || (is_insert && self.is_filled(name)))
    }
}

fn setting(words: &[&str]) -> SentStatement {
    let name = words.iter().find(|word| !["local", "session"].contains(word)).copied().unwrap_or_default();
    let is_of_client = OF_CLIENT.contains(&name) || ["time", "names", "characteristics", "transaction"].contains(&name);
    if is_of_client { SentStatement::Aside } else { SentStatement::Part }
}

/// A word in lower case; a quoted name without its quotes.
fn plain(word: &str) -> String {
    let name = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
    name.unwrap_or(word).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_a_part_of_the_migration_or_not() {
        let judge = |tool: &str| SentJudge {
            tool: ForeignTool::named(tool),
            tables: vec!["our_versions"],
            functions: ["create_hypertable".to_owned()].into(),
        };
        let (alembic, django) = (judge("alembic"), judge("django"));
        for part in [
            "CREATE TABLE alembic_versions2 (a int)",
            "ALTER TABLE accounts ADD note text DEFAULT 'alembic_version'",
            "WITH x AS (SELECT 1) UPDATE accounts SET a = 1 FROM x",
            "INSERT INTO accounts SELECT * FROM old",
            "SELECT setval('accounts_id_seq', 7)",
            "SELECT create_hypertable('a', 'b')",
            "SET search_path TO app",
            "SET LOCAL check_function_bodies = off",
            "DO $$ BEGIN END $$",
            "LOCK TABLE accounts",
        ] {
            assert_eq!(alembic.judge(part), SentStatement::Part, "{part}");
        }
        for aside in [
            "CREATE TABLE alembic_version (version_num text, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
            "INSERT INTO \"alembic_version\" (version_num) VALUES ('a')",
            "UPDATE public.alembic_version SET version_num='b'",
            "DELETE FROM our_versions",
            "SELECT version_num FROM alembic_version",
            "select pg_catalog.version()",
            "SELECT a FROM pg_class",
            "SELECT set_config('TimeZone', 'UTC', false)",
            "SET client_encoding TO 'UTF8'",
            "SET TIME ZONE 'UTC'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SHOW standard_conforming_strings",
            "CREATE UNIQUE INDEX x ON our_versions (a)",
        ] {
            assert_eq!(alembic.judge(aside), SentStatement::Aside, "{aside}");
        }
        assert_eq!(alembic.judge("SELECT id FROM accounts"), SentStatement::Reads);
        assert_eq!(alembic.judge("COPY accounts FROM STDIN"), SentStatement::Copies);
        assert_eq!(django.judge("INSERT INTO \"django_content_type\" VALUES (1)"), SentStatement::Aside);
        assert_eq!(django.judge("SELECT a FROM \"django_content_type\""), SentStatement::Aside);
        assert_eq!(django.judge("CREATE TABLE \"django_content_type\" (a int)"), SentStatement::Part);
        assert_eq!(django.judge("UPDATE django_content_type SET a = 1"), SentStatement::Part);
        assert_eq!(django.judge("CREATE TABLE shop (a int REFERENCES django_content_type (id))"), SentStatement::Part);
    }
}
