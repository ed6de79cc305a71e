//! Runs a plan: takes the lock, sends the messages, records what is done, and gives everything back.

mod adopt;
pub(super) mod code;
mod drive;
pub(super) mod engine;
mod execute;
pub(super) mod open;
pub(super) mod prepare;
mod pulse;
pub mod seed;
mod settle;
mod stepwise;
pub(super) mod surround;
