//! Compares a database with what the migrations up to a version make, before they are recorded as applied.

use std::collections::BTreeSet;
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

/// What a database is compared with.
pub(super) struct ComparedChain<'a> {
    pub(super) set: &'a MigrationSet,
    /// The newest version that is applied there.
    pub(super) version: Option<&'a Version>,
    /// The repeatable migrations that ran there in their present form.
    pub(super) repeated: BTreeSet<Version>,
    /// Those that ran in another form: what they make is not compared.
    pub(super) changed: &'a [Version],
}

/// The differences, in sentences; empty if the database has exactly what the migrations make.
pub(super) async fn differences(
    context: &Context<'_>,
    chain: &ComparedChain<'_>,
    code: &CodeMigrations,
) -> Result<Vec<String>> {
    let ComparedChain { set, version, repeated, changed } = chain;
    let version = *version;
    let database = context.reach().await?;
    let there = shadow::database(&database, context).await?;
    shadow::server(context, false, false).await?;
    shadow::replay(&database).await?;
    let start = version.map_or_else(MigrationSet::default, |version| set.cut(version, |one| !repeated.contains(one)));
    let unknown = shadow::made_by(set, changed, code).await?;
    let wanted = shadow::migrations(&start, code, None).await?;
    let wanted = shadow::as_placed_in(Arc::unwrap_or_clone(wanted), &there).await?;
    let rules = &context.config.drift.ignore;
    let mut wanted = wanted;
    if !rules.is_empty() || !unknown.is_empty() {
        let made = wanted.schema.clone();
        let exists = |id: &Id| made.get(id).or(there.schema.get(id)).is_some();
        let is_left_out =
            |object: &Object| unknown.contains(&object.id) || rules.iter().any(|rule| rule.matches(object, &exists));
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
