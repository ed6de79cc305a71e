//! The command line as its users meet it: the built executable, real folders, real servers.

mod audit;
mod ci;
mod commands;
mod consume;
mod consumers;
mod day;
mod documents;
mod drift;
mod explain;
mod fixtures;
mod hints;
mod interruption;
mod libpq;
mod lint;
mod merging;
mod mistakes;
mod notify;
#[path = "../../../migrate-test/tests/it/pgbouncer.rs"]
mod pgbouncer;
mod pooler;
mod production;
mod reference;
mod repository;
mod runbook;
mod runbook_page;
mod secrets;
mod servers;
mod shapes;
mod standby;
mod support;
mod terminal;
mod tls;
mod verify;
