//! Communication with a server: addresses, sessions, answers, and the lock.
//!
//! A session is a separate connection, never one from a pool, and uses only the simple query protocol: several
//! statements are sent in one message, and nothing is prepared that a `DEALLOCATE ALL` in a migration could remove. The
//! callers decide what is sent.

mod ask;
mod connect;
pub(crate) mod conninfo;
mod database;
mod failure;
mod holder;
mod keepalive;
mod lock;
pub(crate) mod pooler;
mod progress;
mod reply;
mod session;
mod silence;
mod url;
pub(crate) mod wait;

pub use ask::{Answered, Reader};
pub use conninfo::without_password;
pub use database::Database;
pub use keepalive::Keepalive;
pub use sqlx::PgConnection;

pub use holder::Holder;

pub(crate) use failure::{Failure, InnerPosition, Refusal};
pub(crate) use lock::{Fence, Guard, LockKeys, Look, at_work};
pub(crate) use progress::Advance;
pub(crate) use reply::{MARKER, Marker, Reply};
pub(crate) use session::{Answer, Cell, IDENTITY, Part, Row, Session, kept};
pub(crate) use silence::{Limits, Process, Refused, Seen, Verdict};
