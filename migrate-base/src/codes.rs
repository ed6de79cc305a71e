//! Every code of a finding, with its severity: the one place where a code is written.
//!
//! `migrate-cli/src/explain` has a page for each. The rules for SQL have codes of their own, beside each rule.

use crate::finding::Severity;

pub use crate::finding::Code;

macro_rules! codes {
    ($($name:ident: $severity:ident $text:literal;)*) => {
        $(
            #[doc = concat!("`", $text, "`")]
            pub const $name: Code = Code::new($text, Severity::$severity);
        )*

        /// All of them, by theme.
        pub const ALL: &[Code] = &[$($name),*];

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

codes! {
    // Files and directives.
    FILE_NAME: Error "file-name";
    FOLDER_UNREADABLE: Error "folder-unreadable";
    FOLDER_INSIDE: Error "folder-inside";
    FILE_UNREADABLE: Error "file-unreadable";
    FILE_ENCODING: Error "file-encoding";
    FILE_EMPTY: Error "file-empty";
    NO_MARKER: Error "no-marker";
    VERSION_TWICE: Error "version-twice";
    VERSION_AHEAD: Warning "version-ahead";
    UP_MISSING: Error "up-missing";
    DOWN_MISSING: Error "down-missing";
    DOWN_UNEXPECTED: Error "down-unexpected";
    BOTH_KINDS: Error "both-kinds";
    VERIFY_NOT_ONE: Error "verify-not-one";
    DIRECTIVE_UNKNOWN: Error "directive-unknown";
    DIRECTIVE_PLACE: Error "directive-place";
    DIRECTIVE_VALUE: Error "directive-value";
    DIRECTIVE_TWICE: Error "directive-twice";
    DIRECTIVE_REASON: Error "directive-reason";
    ALLOW_UNUSED: Warning "allow-unused";
    ALLOW_UNKNOWN: Error "allow-unknown";
    COPY_CLIENT: Error "copy-client";
    TRANSACTION_CONTROL: Error "transaction-control";
    NEEDS_NO_TRANSACTION: Error "needs-no-transaction";
    UNTERMINATED_QUOTE: Error "unterminated-quote";
    UNTERMINATED_STATEMENT: Error "unterminated-statement";
    OPEN_PARENTHESIS: Error "open-parenthesis";
    META_COMMAND: Error "meta-command";
    OTHER_TOOL: Error "other-tool";
    DOWN_INSIDE: Error "down-inside";
    MARKER_UNKNOWN: Error "marker-unknown";
    FOREIGN_INPUT: Error "foreign-input";
    PLACEHOLDER_VALUE: Error "placeholder-value";
    SKIP_UNKNOWN: Error "skip-unknown";
    VERSION_ORDER: Error "version-order";

    // Released and edited.
    MIGRATION_EDITED: Error "migration-edited";
    DOWN_EDITED: Error "down-edited";
    MIGRATION_REMOVED: Error "migration-removed";
    MIGRATION_RENAMED: Error "migration-renamed";
    OUT_OF_ORDER: Error "out-of-order";

    // The ledgers of other tools.
    OTHER_LEDGER: Error "other-ledger";
    OTHER_LEDGER_UNREADABLE: Error "other-ledger-unreadable";
    OTHER_LEDGER_MOVED: Error "other-ledger-moved";
    OTHER_LEDGER_NONE: Error "other-ledger-none";
    OTHER_LEDGER_SEVERAL: Error "other-ledger-several";
    OTHER_LEDGER_LOCKED: Error "other-ledger-locked";
    OTHER_LEDGER_FAILED: Error "other-ledger-failed";
    OTHER_LEDGER_NO_FILE: Error "other-ledger-no-file";
    OTHER_LEDGER_GAP: Error "other-ledger-gap";
    OTHER_LEDGER_CHECKSUM: Error "other-ledger-checksum";

    // Another tool that runs the chain.
    ENGINE_FAILED: Error "engine-failed";
    ENGINE_STEP: Error "engine-step";
    ENGINE_EMPTY: Error "engine-empty";
    ENGINE_RUNS: Error "engine-runs";
    NO_ENGINE: Error "no-engine";
    CAPTURE_DIFFERS: Error "capture-differs";

    // Versions, and the base branch.
    VERSION_TAKEN: Error "version-taken";
    RELEASED_DIFFERS: Error "released-differs";
    RELEASED_FAILS: Error "released-fails";
    SHALLOW_CLONE: Error "shallow-clone";
    NO_BASE: Error "no-base";
    NO_COMMON_COMMIT: Error "no-common-commit";
    NO_GIT: Error "no-git";

    // The proof.
    LAW_IDENTITY: Error "law-identity";
    UP_FAILS: Error "up-fails";
    DOWN_FAILS: Error "down-fails";
    UP_ONLY: Error "up-only";
    SHADOW_SETUP: Error "shadow-setup";
    REHEARSAL_TIMEOUT: Error "rehearsal-timeout";
    LAW_REAPPLY: Error "law-reapply";
    LAW_PATH: Error "law-path";
    LAW_DATA: Error "law-data";
    TABLES_WITHOUT_ROWS: Error "tables-without-rows";
    DOWN_FAILS_ON_VALUES: Warning "down-fails-on-values";
    LAW_DECLARED: Error "law-declared";
    NEEDS_SUPERUSER: Error "needs-superuser";
    LEFT_BEHIND: Error "left-behind";
    REAPPLIED_DIFFERS: Error "reapplied-differs";
    VERIFY_FAILED: Error "verify-failed";
    NOT_PROVEN: Error "not-proven";
    DOWN_EXISTS: Error "down-exists";
    BASELINE: Error "baseline";
    BASELINE_FIRST: Error "baseline-first";
    SQUASH_CODE: Error "squash-code";
    SQUASH_ONE: Error "squash-one";
    NOT_COMMITTED: Error "not-committed";
    SCHEMA_REFUSED: Error "schema-refused";
    SCHEMA_UNREADABLE: Error "schema-unreadable";
    RENAME: Error "rename";
    QUERY: Error "query";
    NO_SUCH_TABLE: Error "no-such-table";
    TWO_TABLES: Error "two-tables";
    ENVIRONMENT_UNREACHABLE: Error "environment-unreachable";
    COULD_NOT_LOOK: Error "could-not-look";

    // Locks on a shadow database.
    LOCK_TOO_STRONG: Error "lock-too-strong";
    TABLE_REWRITTEN: Error "table-rewritten";
    TABLES_LOCKED_TOGETHER: Warning "tables-locked-together";
    INDEX_INVALID: Error "index-invalid";
    LOCK_TIMEOUT_MISSING: Error "lock-timeout-missing";
    LOOK: Error "look";

    // Runs and the ledger.
    MODIFIED: Error "modified";
    MODIFIED_DOWN: Warning "modified-down";
    RENAMED: Error "renamed";
    MISSING_FILE: Error "missing-file";
    NEWER_DATABASE: Warning "newer-database";
    BEYOND_TARGET: Error "beyond-target";
    NO_MIGRATIONS: Error "no-migrations";
    NEVER_RUN: Error "never-run";
    HALF_SQUASHED: Error "half-squashed";
    UNFINISHED: Error "unfinished";
    RUNNING: Error "running";
    MAY_BE_DONE: Error "may-be-done";
    RESOLVE_FROM: Error "resolve-from";
    HALF_DONE: Error "half-done";
    IRREVERSIBLE: Error "irreversible";
    NO_DOWN: Error "no-down";
    NO_SUCH_VERSION: Error "no-such-version";
    NOT_APPLIED: Error "not-applied";
    STALE_PLAN: Error "stale-plan";
    NOTHING_UNFINISHED: Error "nothing-unfinished";
    NOT_UNFINISHED: Error "not-unfinished";
    CHANGED_SINCE: Error "changed-since";
    NO_WAY_BACK: Error "no-way-back";
    ALREADY_APPLIED: Error "already-applied";
    BEHIND: Error "behind";
    NO_CODE: Error "no-code";
    CODE_FAILED: Error "code-failed";
    STATEMENT_FAILED: Error "statement-failed";
    LOCK_TIMEOUT: Error "lock-timeout";
    INVALID_INDEX: Error "invalid-index";
    INDEX: Error "index";
    INTERRUPTED: Error "interrupted";
    ROLLBACK: Error "rollback";
    LOCK: Error "lock";
    LOCK_HELD: Error "lock-held";
    LOCK_LOST: Error "lock-lost";
    LEDGER_CREATE: Error "ledger-create";
    LEDGER_LOCKED: Error "ledger-locked";
    LEDGER_UNREADABLE: Error "ledger-unreadable";
    LEDGER_UNWRITABLE: Error "ledger-unwritable";
    SEED_UNREADABLE: Error "seed-unreadable";
    SEED_EMPTY: Error "seed-empty";
    SEED_FAILED: Error "seed-failed";
    PENDING: Error "pending";
    PROTECTED: Error "protected";
    NOT_DEVELOPMENT: Error "not-development";

    // Production.
    NEEDS_REASON: Error "needs-reason";
    AUDIT_UNWRITABLE: Error "audit-unwritable";
    READ_ONLY: Error "read-only";
    CANNOT_KEEP: Error "cannot-keep";
    KEPT_DATA: Error "kept-data";
    NOTHING_KEPT: Error "nothing-kept";
    NO_HOOK: Error "no-hook";
    HOOK_ADDRESS: Error "hook-address";

    // Drift, and the audit of DDL.
    NO_LEDGER: Error "no-ledger";
    NOT_PENDING: Error "not-pending";
    MARK_ORDER: Error "mark-order";
    AUDIT_REFUSED: Error "audit-refused";
    AUDIT_FAILED: Error "audit-failed";
    NO_AUDIT: Error "no-audit";

    // Runbooks.
    RUNBOOK_EMPTY: Error "runbook-empty";
    RUNBOOK_CODE: Error "runbook-code";
    RUNBOOK_UNFINISHED: Error "runbook-unfinished";
    RUNBOOK_DRILL: Error "runbook-drill";

    // Consumers.
    NO_CONSUMER: Error "no-consumer";
    CONSUMER_NAME: Error "consumer-name";
    CONSUMER_SOURCE: Error "consumer-source";
    CONSUMER_FILE: Error "consumer-file";
    CONSUMER_SQL: Error "consumer-sql";
    NOT_A_QUERY: Note "not-a-query";
    QUERY_EMPTY: Warning "query-empty";
    SQLX_DATA: Error "sqlx-data";
    CONSUMER_FORMAT: Error "consumer-format";
    CONSUMER_USE: Error "consumer-use";
    CONSUMER_ROLE: Warning "consumer-role";
    CONSUMER_EMPTY: Error "consumer-empty";
    NO_STATEMENTS: Error "no-statements";
    STATEMENTS_NOT_LOADED: Error "statements-not-loaded";
    NO_ROLE: Error "no-role";
    STATEMENTS_HIDDEN: Warning "statements-hidden";
    STATEMENT_CUT: Warning "statement-cut";
    STATEMENT_VALUES: Warning "statement-values";

    // What breaks a consumer.
    CONSUMER_BROKEN: Error "consumer-broken";
    CONSUMER_RESULT: Error "consumer-result";
    CONSUMER_PARAMETER: Error "consumer-parameter";
    CONSUMER_OVERLOAD: Error "consumer-overload";
    CONSUMER_INSERT: Error "consumer-insert";
    CONSUMER_LABEL: Error "consumer-label";
    CONSUMER_CONFLICT: Error "consumer-conflict";
    CONSUMER_RIGHT: Error "consumer-right";
    CONSUMER_REFUSED: Error "consumer-refused";
    CONSUMER_STRICTER: Warning "consumer-stricter";
    CONSUMER_INDEX: Note "consumer-index";
    CONSUMER_ORDER: Error "consumer-order";
    CONSUMER_BASE: Warning "consumer-base";
    CONSUMER_UNKNOWN: Error "consumer-unknown";

    // Connections and servers.
    CONNECTION: Error "connection";
    CONNECTION_REFUSED: Error "connection-refused";
    SHARED_SERVER: Error "shared-server";
    CONNECTION_TIMEOUT: Error "connection-timeout";
    CONNECTION_LOST: Error "connection-lost";
    CONNECTION_DEAD: Error "connection-dead";
    TLS: Error "tls";
    PASSWORD: Error "password";
    NOT_LET_IN: Error "not-let-in";
    NO_DATABASE: Error "no-database";
    NO_CONNECT: Error "no-connect";
    TOO_MANY_CONNECTIONS: Error "too-many-connections";
    STARTING: Error "starting";
    POOLER: Error "pooler";
    POOL_EXHAUSTED: Error "pool-exhausted";
    SESSION: Error "session";
    SERVER: Error "server";
    NOT_MANAGED: Error "not-managed";
    PSQL: Error "psql";
    VARIABLE_UNSET: Error "variable-unset";
    DATABASE_URL: Error "database-url";
    PASSWORD_IN_GIT: Error "password-in-git";

    // Commands and configuration.
    USAGE: Error "usage";
    CONFIG: Error "config";
    CONFIG_UNREADABLE: Error "config-unreadable";
    CONFIG_RENAMED: Warning "config-renamed";
    NO_ENVIRONMENT: Error "no-environment";
    LINT_UNKNOWN: Error "lint-unknown";
    NEEDS_YES: Error "needs-yes";
    NOT_CONFIRMED: Error "not-confirmed";
    NO_MIGRATION: Error "no-migration";
    LAYOUT: Error "layout";
    NAME: Error "name";
    WORD: Error "word";
    COLUMN_NAME: Error "column-name";
    COLUMN_TYPE: Error "column-type";
    COLUMN_MODIFIER: Error "column-modifier";
    COLUMN_ENUM: Error "column-enum";
    COLUMN_REFERENCE: Error "column-reference";
    COLUMN_ROWS: Error "column-rows";
    NO_SUCH_COLUMN: Error "no-such-column";
    UP_UNREADABLE: Error "up-unreadable";
    SCHEMA: Error "schema";
    WRITE_FROM: Error "write-from";
    FILE_UNWRITABLE: Error "file-unwritable";
    TEMPORARY_FOLDER: Error "temporary-folder";
    FOLDER: Error "folder";
    RUNTIME: Error "runtime";
    MISSING: Note "missing";
    UNKNOWN_CODE: Error "unknown-code";
}

/// The code with this name; `None` for an unknown one, and for a rule for SQL.
pub fn find(name: &str) -> Option<Code> {
    ALL.iter().copied().find(|code| *code == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_unique_and_its_constant_has_its_name() {
        let unique: BTreeSet<&str> = ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(unique.len(), ALL.len());
        for (code, name) in ALL.iter().zip(NAMES) {
            assert_eq!(code.as_str().to_uppercase().replace('-', "_"), **name);
            assert_eq!(find(code.as_str()), Some(*code));
        }
    }
}
