//! `check`: find misnamed, misplaced and edited files.

use std::time::Instant;

use migrate_core::CodeMigrations;

use crate::checks::{self, CheckInput};
use crate::cli::CheckArgs;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::report::CiReport;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &CheckArgs) -> Result<Exit> {
    let begin = Instant::now();
    let ground = CheckInput::survey(context, code, options.base.as_deref(), false)?;
    let checks = vec![checks::files(&ground), checks::edited(&ground).await];
    let report = CiReport { elapsed: begin.elapsed(), ..ground.report(checks) };
    Ok(super::ci::conclude(context, "check", &report))
}
