//! `check`: find misnamed, misplaced and edited files.

use std::time::Instant;

use migrate_core::CodeMigrations;

use crate::checks::{self, Ground};
use crate::cli::Check;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::report::Report;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Check) -> Result<Exit> {
    let begin = Instant::now();
    let ground = Ground::survey(context, code, options.base.as_deref(), false)?;
    let checks = vec![checks::files(&ground), checks::edited(&ground).await];
    let report =
        Report { base: ground.base(), new: ground.new.len(), checks, elapsed: begin.elapsed(), ..Report::default() };
    Ok(super::ci::conclude(context, "check", &report))
}
