//! `consumers`: the services that share the database.

mod check;
mod uses;

use migrate_core::CodeMigrations;

use crate::cli::Consumers;
use crate::context::Context;
use crate::exit::{Exit, Result};

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, command: &Consumers) -> Result<Exit> {
    match command {
        Consumers::Check(options) => check::run(context, code, options).await,
        Consumers::Uses(options) => uses::run(context, code, options).await,
    }
}
