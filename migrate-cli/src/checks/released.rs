//! `released`: applied on top of what is released, the new migrations produce the same schema as from an empty
//! database.

use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Severity};
use migrate_core::{ErrorKind, Layout};
use migrate_schema::ddl::unowned;
use migrate_schema::{SchemaChange, SchemaDescription, SideNames};
use migrate_test::proof::ProofError;
use migrate_test::shape;

use super::{CheckInput, Clock};
use crate::exit::{Failure, Result};
use crate::output::style;
use crate::report::CheckResult;
use crate::shadow;

/// The check, with the schemas before and after the new migrations.
pub(crate) struct ReleasedOutcome {
    pub(crate) check: CheckResult,
    pub(crate) before: Option<Arc<SchemaDescription>>,
    pub(crate) after: Option<Arc<SchemaDescription>>,
}

/// Applies the migrations of the base branch as they are there, then the new ones of this branch, and compares the
/// result with that of all migrations of this branch in their order.
///
/// # Errors
///
/// The connection to the server is lost, or there is no temporary folder for the files of the base branch.
pub(crate) async fn released(ground: &CheckInput<'_>) -> Result<ReleasedOutcome> {
    let clock = Clock::start("released");
    let without = |check| ReleasedOutcome { check, before: None, after: None };
    let Ok(set) = &ground.set else { return Ok(without(clock.skipped("the files cannot be read as migrations"))) };
    let released = match &ground.released {
        Ok(released) => released,
        Err(why) => return Ok(without(clock.skipped(why.clone()))),
    };
    let base = match released.set(&ground.context.folder()?) {
        Ok(base) => base,
        // Nothing is wrong with the files: there is no place to read them.
        Err(error) if error.kind() == ErrorKind::Configuration => return Err(error.into()),
        Err(error) => {
            // A branch that fixes these files has to pass, so this is not an error.
            let why = format!("the files of {} cannot be read as migrations", released.base.name);
            let finding = super::could_not_look("released", &why, &error);
            let finding = finding.with_severity(Severity::Warning);
            return Ok(without(clock.done(format!("not checked: {why}"), vec![finding])));
        }
    };
    let straight = match shadow::migrations(set, &ground.code, None).await {
        Ok(described) => described,
        // The proof reports where it fails.
        Err(Failure::Core(error)) if error.kind() == ErrorKind::Statement => {
            return Ok(without(clock.could_not_look("the chain does not apply to an empty database", &error)));
        }
        Err(error) => return Err(error),
    };
    let way = match shape::onward(&base, set, &ground.code).await {
        Ok(way) => way,
        Err(ProofError::Core(error)) if error.kind() == ErrorKind::Statement => {
            let finding = Finding::new(
                codes::RELEASED_FAILS,
                format!("the new migrations do not apply on top of {}", released.base.title()),
            );
            let finding = error.findings().iter().map(ToString::to_string).fold(finding, Finding::note);
            let finding = finding.help(match ground.context.layout {
                Layout::Roundtrip => {
                    "they apply only in the order of an empty database: `cargo xtask rebase` gives them newer versions"
                }
                _ => {
                    "they apply only in the order of an empty database: give those that are not applied newer versions"
                }
            });
            return Ok(without(clock.done("the new migrations do not apply", vec![finding])));
        }
        Err(error) => return Err(error.into()),
    };
    let change = SchemaChange::between(&unowned(&straight.schema), &unowned(&way.after.schema));
    let sides = SideNames { before: "from an empty database", after: "on top of the released schema" };
    let difference = change.sentences(sides);
    let finding = (!difference.is_empty()).then(|| {
        let finding = Finding::new(
            codes::RELEASED_DIFFERS,
            format!("on top of {}, the schema differs from that built from an empty database", released.base.title()),
        );
        let finding = difference.iter().take(20).fold(finding, |finding, line| finding.note(line));
        let removed = base.repeatables().iter().filter(|one| set.get(one.version()).is_none());
        let finding = removed.fold(finding, |finding, one| {
            finding.help(format!("{} was removed: drop what it made in a new migration, with IF EXISTS", one.version()))
        });
        finding
            .help("a released file was edited, or a new migration is older than a released one: see the checks above")
    });
    let new = way.pending;
    let summary = format!(
        "{} on top of {}, the same schema as from an empty database",
        style::count(new, "migration"),
        released.base.title()
    );
    let summary = if finding.is_some() { "different schema".to_owned() } else { summary };
    let check = clock.done(summary, finding.into_iter().collect());
    Ok(ReleasedOutcome { check, before: Some(way.before), after: Some(way.after) })
}
