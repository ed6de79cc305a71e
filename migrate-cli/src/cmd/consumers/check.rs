//! `consumers check`: find the queries that the new migrations break.

use std::time::Instant;

use migrate_core::CodeMigrations;

use crate::checks::{self, CheckInput};
use crate::cli::ConsumersCheckArgs;
use crate::cmd::ci;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::report::CiReport;
use crate::shadow;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &ConsumersCheckArgs) -> Result<Exit> {
    let begin = Instant::now();
    let ground = CheckInput::survey(context, code, options.base.as_deref(), false)?;
    ground.require_set()?;
    shadow::server(context, true, false).await?;
    let (check, orders) = checks::consumers(&ground).await?;
    let report = CiReport { orders, elapsed: begin.elapsed(), ..ground.report(vec![check]) };
    Ok(ci::conclude(context, "consumers check", &report))
}
