//! The command line as its users meet it: the built executable, real folders, real servers.

mod audit;
mod ci;
mod commands;
mod consume;
mod consumers;
mod day;
mod drift;
mod explain;
mod fixtures;
mod interruption;
mod lint;
mod merging;
mod mistakes;
mod notify;
mod older;
#[path = "../../../migrate-test/tests/it/pgbouncer.rs"]
mod pgbouncer;
mod pooler;
mod production;
mod reference;
mod repository;
mod runbook;
mod runbook_page;
mod servers;
mod shapes;
mod standby;
mod support;
mod tls;
mod unnamed;
mod verify;
mod waiting;
