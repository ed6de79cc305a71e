//! `lint`: find dangerous SQL.

use std::time::Instant;

use migrate_core::CodeMigrations;

use crate::checks::{self, CheckInput};
use crate::cli::LintArgs;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::report::CiReport;
use crate::shadow;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &LintArgs) -> Result<Exit> {
    let begin = Instant::now();
    let ground = CheckInput::survey(context, code, options.base.as_deref(), options.all)?;
    ground.require_set()?;
    let with_server = !options.no_server && !ground.new.is_empty();
    if with_server {
        shadow::server(context, true, false).await?;
    }
    let checks = vec![checks::lint(&ground, with_server).await?];
    let report = CiReport { elapsed: begin.elapsed(), ..ground.report(checks) };
    Ok(super::ci::conclude(context, "lint", &report))
}
