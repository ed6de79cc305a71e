//! Everything that needs a PostgreSQL server, in one binary.
//!
//! Each test has its own database on a server that the process shares. No test depends on order, on the clock
//! or on the leftovers of an earlier run.

mod apart;
mod audit;
mod blocks;
mod broken;
mod catalogs;
mod code;
mod concurrency;
mod consume;
mod ddl;
mod deriving;
mod engine;
mod evidence;
mod failures;
mod giving_back;
mod isolation;
mod kept;
mod layouts;
mod ledger;
mod leftovers;
mod looks;
mod losses;
mod managed;
mod network;
mod observe;
mod origins;
mod outside;
mod pgbouncer;
mod places;
mod pooler;
mod providers;
mod proxy;
mod resolving;
mod retyped;
mod rows;
mod schema;
mod scope;
mod seeds;
mod statements;
mod stepwise;
mod support;
mod watching;
