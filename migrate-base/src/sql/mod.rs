//! SQL text, as far as a runner has to understand it: where each statement starts and ends, and which statements a
//! migration cannot contain.
//!
//! The tokens come from squawk's PostgreSQL lexer. The meaning of a statement is left to the server.

mod body;
mod dumped;
mod index;
pub mod lex;
mod positioned;
mod refuse;
mod server;
mod session;
mod split;
mod words;

use std::ops::Range;

pub use body::quoted;
pub use dumped::schema_script;
pub use dumped::without_guards;
pub use index::{IndexName, detached, of_table};
pub use positioned::PositionedSequences;
pub use refuse::refused;
pub use server::{ServerUse, named_database, server_use};
pub use session::outlives_reset;
pub use split::{Flaw, FlawKind, split};
pub use words::{is_local_setting, tokens};

/// The byte of a text at a position as servers count it: in characters, from 1. The end of the text also has a
/// position: it is the place of an error in a text that ends too early.
pub fn byte_of_position(text: &str, position: usize) -> Option<usize> {
    text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(position.checked_sub(1)?)
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The bytes of the script from its first word to its last, without the semicolon.
    pub span: Range<usize>,
    /// What a runner needs to know about it.
    pub class: StatementClass,
}

/// What a runner needs to know about a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementClass {
    /// It can run in a transaction with others.
    Plain,
    /// It starts or ends a transaction: `BEGIN`, `COMMIT` and so on; savepoints are plain.
    TransactionControl,
    /// It changes the session and nothing else: `SET`, `RESET`.
    Session,
    /// It may end transactions itself: `CALL`, and a `DO` whose body contains a `COMMIT` or `ROLLBACK`.
    MayCommit,
    /// `CREATE INDEX CONCURRENTLY`: outside transactions only, and leaves an invalid index on failure.
    CreateIndexConcurrently,
    /// `DROP INDEX CONCURRENTLY`.
    DropIndexConcurrently,
    /// `REINDEX … CONCURRENTLY`: outside transactions only, and leaves copies of indexes on failure.
    ReindexConcurrently,
    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`: outside transactions only, and may stop halfway.
    DetachConcurrently,
    /// Outside transactions only, and harmless when run again: `VACUUM`, `REINDEX DATABASE` and so on.
    Maintenance,
    /// `REINDEX` and `CLUSTER` of one table: outside transactions only if the table is partitioned, and harmless when
    /// run again.
    TableMaintenance,
    /// `DROP SUBSCRIPTION` and so on: outside transactions only if the subscription has a slot, and not harmless when
    /// run again.
    OfSubscription,
    /// Outside transactions only, and not harmless when run again: `CREATE DATABASE` and so on.
    OutsideTransaction,
    /// `COPY … FROM STDIN` or `TO STDOUT`: needs a client that sends or receives the data.
    CopyWithClient,
}

impl StatementClass {
    /// Whether the server refuses it inside a transaction block.
    pub fn needs_no_transaction(self) -> bool {
        matches!(
            self,
            Self::CreateIndexConcurrently
                | Self::DropIndexConcurrently
                | Self::ReindexConcurrently
                | Self::DetachConcurrently
                | Self::Maintenance
                | Self::OutsideTransaction
        )
    }

    /// Whether the server decides only at run time if it refuses it inside a transaction block.
    pub fn may_need_no_transaction(self) -> bool {
        matches!(self, Self::MayCommit | Self::TableMaintenance | Self::OfSubscription)
    }

    /// Whether it is run outside a transaction block, because the server refuses it inside one or may do so.
    pub fn is_run_alone(self) -> bool {
        self.needs_no_transaction() || self.may_need_no_transaction()
    }
}
