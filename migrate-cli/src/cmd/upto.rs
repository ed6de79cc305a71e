//! Compares a database with what the migrations up to a version make, before they are recorded as applied.

use std::sync::Arc;

use migrate_base::visible;
use migrate_core::{CodeMigrations, MigrationSet, Version, drift};
use migrate_schema::ddl::unowned;
use migrate_schema::{Id, Object, SchemaChange, SideNames};

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
    version: Option<&Version>,
) -> Result<Vec<String>> {
    let database = context.reach().await?;
    let there = shadow::database(&database, context).await?;
    shadow::server(context, false, false).await?;
    shadow::replay(&database).await?;
    let none = MigrationSet::default();
    let set = if version.is_some() { set } else { &none };
    let wanted = shadow::migrations(set, code, version).await?;
    let wanted = shadow::as_placed_in(Arc::unwrap_or_clone(wanted), &there).await?;
    let rules = &context.config.drift.ignore;
    let mut wanted = wanted;
    if !rules.is_empty() {
        let made = wanted.schema.clone();
        let exists = |id: &Id| made.get(id).or(there.schema.get(id)).is_some();
        let is_left_out = |object: &Object| rules.iter().any(|rule| rule.matches(object, &exists));
        wanted.schema = drift::expected(made.clone(), &there.schema, is_left_out);
    }
    let change = SchemaChange::between(&unowned(&wanted.schema), &unowned(&there.schema));
    let sides = SideNames { before: "in the migrations", after: &format!("in {}", context.title()) };
    let excused = version.map(|version| excused(set, version)).unwrap_or_default();
    let is_excused = |line: &String| excused.iter().any(|one| is_left_out(&visible::line(line), one));
    Ok(change.sentences(sides).into_iter().filter(|line| !is_excused(line)).collect())
}

/// How far the migrations go: `up to 3`.
pub(super) fn reach(version: Option<&Version>) -> String {
    version.map_or("before the first one".to_owned(), |version| format!("up to {version}"))
}

/// Shows the differences, and why nothing was recorded.
pub(super) fn show(context: &Context<'_>, differences: &[String], verdict: &str, version: Option<&Version>) {
    let output = context.output;
    differences.iter().for_each(|line| output.item(format!("  {line}")));
    let count = style::count(differences.len(), "difference");
    output.line(format!(
        "\n{}: {} does not match the migrations {}",
        paint(BAD, format!("{verdict}, {count}")),
        context.title(),
        reach(version)
    ));
    let to = if context.named_database { "URL".to_owned() } else { format!("env:{}", context.name) };
    let Some(version) = version else { return };
    output.next(format!(
        "`cargo xtask diff migrations@{version} {to} --sql` shows the statements that would make them equal"
    ));
}

/// Whether a difference is about something that a baseline leaves out: a whole object, or one fact about it.
fn is_left_out(line: &str, left_out: &str) -> bool {
    line.strip_prefix(left_out).is_some_and(|rest| rest.starts_with(": only") || rest.starts_with(' '))
}
