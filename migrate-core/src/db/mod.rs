//! Talking to a server: addresses, sessions, what the server answers, and the lock.
//!
//! A session is one connection of its own, never out of a pool, and speaks the simple query
//! protocol only: several statements travel in one message, and nothing is prepared that a
//! `DEALLOCATE ALL` in a migration could take away. What is sent is left to the callers.

mod ask;
mod database;
mod failure;
mod lock;
pub(crate) mod pooler;
mod session;

pub use ask::{Answered, Reader};
pub use database::Database;
pub use sqlx::PgConnection;

pub use lock::Holder;

pub(crate) use failure::{Failure, InnerPosition};
pub(crate) use lock::{Fence, Guard, LockKeys, at_work};
pub(crate) use session::{Answer, MARKER, Marker, Part, Reply, Row, Session};
