//! `consumers check`: find the queries that the new migrations break.

use std::time::Instant;

use migrate_core::CodeMigrations;

use crate::checks::{self, CheckInput};
use crate::cli::ConsumersCheckArgs;
use crate::cmd::ci;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::report::CiReport;
use crate::shadow;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &ConsumersCheckArgs) -> Result<Exit> {
    let begin = Instant::now();
    let ground = CheckInput::survey(context, code, options.base.as_deref(), false)?;
    if let Err(error) = &ground.set {
        return Err(Failure::Core(migrate_core::Error::of(error.kind(), error.findings().to_vec())));
    }
    shadow::server(context, true, false).await?;
    let (check, orders) = checks::consumers(&ground).await?;
    let report = CiReport {
        base: ground.base(),
        new: ground.new.len(),
        checks: vec![check],
        orders,
        elapsed: begin.elapsed(),
        ..CiReport::default()
    };
    Ok(ci::conclude(context, "consumers check", &report))
}
