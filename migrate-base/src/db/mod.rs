//! Communication with a server: addresses, sessions, answers, and the lock.
//!
//! A session is a separate connection, never one from a pool, and uses only the simple query protocol: several
//! statements are sent in one message, and nothing is prepared that a `DEALLOCATE ALL` in a migration could remove. The
//! callers decide what is sent.

mod ask;
mod connect;
pub mod conninfo;
mod database;
mod failure;
mod holder;
mod keepalive;
mod lock;
mod lock_keys;
pub mod pooler;
mod progress;
mod reply;
mod session;
mod silence;
mod url;
pub mod wait;

pub use ask::ReadOnlySession;
pub use conninfo::without_password;
pub use database::Database;
pub use keepalive::Keepalive;
pub use sqlx::PgConnection;

pub use holder::LockHolder;

pub use failure::{InnerPosition, ServerRefusal, SessionFailure};
pub use lock::{Fence, Guard, RunHealth, at_work};
pub use lock_keys::LockKeys;
pub use progress::SessionProgress;
pub use reply::{LedgerMarker, MARKER, Reply};
pub use session::{AnswerPart, IDENTITY, Session, StatementAnswer, TextCell, TextRow, kept};
pub use silence::{ProbeRefusal, Process, ProcessState, SilenceDetector, TimeLimits};
