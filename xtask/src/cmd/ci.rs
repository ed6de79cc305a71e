//! `ci`: every check that a change has to pass before it is merged.

use std::time::Instant;

use migrate_core::CodeMigrations;

use crate::checks::{self, Ground};
use crate::cli::Ci;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::report::Report;
use crate::shadow;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Ci) -> Result<Exit> {
    let begin = Instant::now();
    let ground = Ground::survey(context, code, options.base.as_deref(), false)?;
    let mut checks = vec![checks::files(&ground)];
    let readable = ground.set.is_ok();
    if readable {
        shadow::server(context, true, false).await?;
    }
    checks.push(checks::edited(&ground).await);
    let mut report = Report { base: ground.base(), ..Report::default() };
    if readable {
        checks.push(checks::lint(&ground, true).await?);
        let (proof, proven) = checks::proof(&ground).await?;
        let released = checks::released(&ground).await?;
        checks.extend([proof, released.check, checks::role(&ground).await?]);
        let _ = (proven, released.before, released.after);
    }
    report.checks = checks;
    report.elapsed = begin.elapsed();
    Ok(conclude(context, "ci", &report))
}

/// Shows a report, and says how the command ends.
pub(super) fn conclude(context: &Context<'_>, command: &str, report: &Report) -> Exit {
    let _ = (context, command);
    for check in &report.checks {
        context.output.line(format!("{} {} {:?} {:?}", check.name, check.summary, check.skipped, check.elapsed));
        context.output.findings(&check.findings);
    }
    if report.failed() { Exit::Found } else { Exit::Done }
}
