//! `consumers check`: find the queries that the new migrations break.

use std::time::Instant;

use migrate_core::CodeMigrations;

use crate::checks::{self, Ground};
use crate::cli::ConsumersCheck;
use crate::cmd::ci;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::report::Report;
use crate::shadow;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &ConsumersCheck) -> Result<Exit> {
    let begin = Instant::now();
    let ground = Ground::survey(context, code, options.base.as_deref(), false)?;
    if let Err(error) = &ground.set {
        return Err(Failure::Core(migrate_core::Error::of(error.kind(), error.findings().to_vec())));
    }
    shadow::server(context, true, false).await?;
    let (check, orders) = checks::consumers(&ground).await?;
    let report = Report {
        base: ground.base(),
        new: ground.new.len(),
        checks: vec![check],
        orders,
        elapsed: begin.elapsed(),
        ..Report::default()
    };
    Ok(ci::conclude(context, "consumers check", &report))
}
