//! Talking to a server: addresses, sessions, what the server answers, and the lock.
//!
//! A session is one connection of its own, never out of a pool, and speaks the simple query
//! protocol only: several statements travel in one message, and nothing is prepared that a
//! `DEALLOCATE ALL` in a migration could take away. What is sent is left to the callers.

mod ask;
mod database;
mod failure;
mod holder;
mod keepalive;
mod lock;
pub(crate) mod pooler;
mod reply;
mod session;
mod silence;

pub use ask::{Answered, Reader};
pub use database::Database;
pub use keepalive::Keepalive;
pub use sqlx::PgConnection;

pub use holder::Holder;

pub(crate) use failure::Failure;
pub(crate) use lock::{Fence, Guard, LockKeys, Look};
pub(crate) use reply::{MARKER, Marker, Reply};
pub(crate) use session::{Answer, IDENTITY, Part, Row, Session};
pub(crate) use silence::{Limits, Process, Refused, Seen, Verdict};
