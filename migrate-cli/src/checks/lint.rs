//! `lint`: find dangerous SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_core::source::Script;
use migrate_core::{Direction, Error, Migration, MigrationSet, Version};
use migrate_review::lint::{self, LintSubject};
use migrate_schema::SchemaDescription;
use migrate_test::shape;

use super::{CheckInput, Clock, could_not_look};
use crate::exit::Result;
use crate::output::style;
use crate::report::CheckResult;

/// The schemas before and after each migration, if a server provided them.
type SchemaPairs = BTreeMap<Version, (Arc<SchemaDescription>, Arc<SchemaDescription>)>;

/// Checks the new migrations against the rules; with a server, also with the schemas before and after each of them.
///
/// # Errors
///
/// The connection to the server is lost. A chain that does not apply is a finding; its files are checked without
/// schemas.
pub(crate) async fn lint(ground: &CheckInput<'_>, with_server: bool) -> Result<CheckResult> {
    let clock = Clock::start("lint");
    let Ok(set) = &ground.set else { return Ok(clock.skipped("the files cannot be read as migrations")) };
    let weights = &ground.context.config.lint;
    let mut findings: Vec<Finding> =
        lint::unknown(weights).into_iter().map(|unknown| no_rule(ground, unknown)).collect();
    let around = match with_server {
        true => around(ground, set).await?,
        false => Ok(SchemaPairs::new()),
    };
    if let Err(error) = &around {
        let why = "the migrations do not apply, so their schemas are unknown";
        findings.push(
            could_not_look("lint with schemas", why, error)
                .help("or check only the text of the scripts: `cargo xtask lint --no-server`"),
        );
    }
    let around = around.unwrap_or_default();
    let released = if with_server { ground.released_schema().await? } else { None };
    let all = set.up_to(None);
    let chosen = all.iter().filter(|migration| ground.new.contains(migration.version()));
    for migration in chosen.clone() {
        let schemas = around.get(migration.version());
        for (script, direction) in scripts(migration) {
            let (before, after) = match direction {
                Direction::Up => (schemas.map(|(before, _)| before), schemas.map(|(_, after)| after)),
                Direction::Down => (schemas.map(|(_, after)| after), schemas.map(|(before, _)| before)),
            };
            // Without a base branch, the schema before a migration counts as released.
            let released = released.as_ref().or(schemas.map(|(before, _)| before));
            let subject = LintSubject {
                script,
                direction,
                before: before.map(|one| &**one),
                after: after.map(|one| &**one),
                released: released.map(|one| &**one),
            };
            findings.extend(lint::judge(&subject, weights));
        }
    }
    let scripts = chosen.map(|migration| scripts(migration).len()).sum();
    let migrations = ground.scope.words().unwrap_or_default();
    let summary = format!("{} of {migrations}", style::count(scripts, "script"));
    let blind = with_server && around.is_empty() && !ground.new.is_empty();
    let summary = if blind { format!("{summary}, without their schemas: the chain does not apply") } else { summary };
    Ok(clock.done(summary, findings))
}

fn scripts(migration: &Migration) -> Vec<(&Arc<Script>, Direction)> {
    let up = migration.up_script().map(|script| (script, Direction::Up));
    up.into_iter().chain(migration.down_script().map(|script| (script, Direction::Down))).collect()
}

/// The schemas before and after each new migration, or why the chain does not apply.
async fn around(ground: &CheckInput<'_>, set: &MigrationSet) -> Result<std::result::Result<SchemaPairs, Error>> {
    match shape::along(set, &ground.code, &ground.new).await {
        Ok(around) => Ok(Ok(around)),
        Err(migrate_test::proof::ProofError::Core(error)) if error.kind() == migrate_core::ErrorKind::Statement => {
            Ok(Err(error))
        }
        Err(error) => Err(error.into()),
    }
}

fn no_rule(ground: &CheckInput<'_>, (name, near): (String, Option<&'static str>)) -> Finding {
    let finding = Finding::new(codes::LINT_UNKNOWN, format!("there is no rule {name}"));
    let place = ground.context.config.path.as_ref().map(migrate_base::finding::Place::file);
    finding.at(place).help(match near {
        Some(near) => format!("did you mean {near}?"),
        None => "`cargo xtask explain` lists the rules".to_owned(),
    })
}
