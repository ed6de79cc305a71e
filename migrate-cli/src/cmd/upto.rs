//! Compares a database with what the migrations up to a version make, before they are recorded as applied.

use std::sync::Arc;

use migrate_base::visible;
use migrate_core::{CodeMigrations, MigrationSet, Version};
use migrate_schema::ddl::unowned;
use migrate_schema::{SchemaChange, SideNames};

use crate::context::Context;
use crate::drift::excused;
use crate::exit::Result;
use crate::output::style::{self, BAD, paint};
use crate::shadow;

/// The differences, in sentences; empty if the database has exactly what the migrations make.
pub(super) async fn differences(
    context: &Context<'_>,
    set: &MigrationSet,
    code: &CodeMigrations,
    version: &Version,
) -> Result<Vec<String>> {
    let database = context.reach().await?;
    let there = shadow::database(&database, context).await?;
    shadow::server(context, false, false).await?;
    shadow::replay(&database).await?;
    let wanted = shadow::migrations(set, code, Some(version)).await?;
    let wanted = shadow::as_placed_in(Arc::unwrap_or_clone(wanted), &there).await?;
    let change = SchemaChange::between(&unowned(&wanted.schema), &unowned(&there.schema));
    let sides = SideNames { before: "in the migrations", after: &format!("in {}", context.title()) };
    let excused = excused(set, version);
    let is_excused = |line: &String| excused.iter().any(|one| is_left_out(&visible::line(line), one));
    Ok(change.sentences(sides).into_iter().filter(|line| !is_excused(line)).collect())
}

/// Shows the differences, and why nothing was recorded.
pub(super) fn show(context: &Context<'_>, differences: &[String], verdict: &str, version: &Version) {
    let output = context.output;
    differences.iter().for_each(|line| output.item(format!("  {line}")));
    let count = style::count(differences.len(), "difference");
    output.line(format!(
        "\n{}: {} does not match the migrations up to {version}",
        paint(BAD, format!("{verdict}, {count}")),
        context.title()
    ));
    let to = if context.named_database { "URL".to_owned() } else { format!("env:{}", context.name) };
    output.next(format!(
        "`cargo xtask diff migrations@{version} {to} --sql` shows the statements that would make them equal"
    ));
}

/// Whether a difference is about something that a baseline leaves out: a whole object, or one fact about it.
fn is_left_out(line: &str, left_out: &str) -> bool {
    line.strip_prefix(left_out).is_some_and(|rest| rest.starts_with(": only") || rest.starts_with(' '))
}
