//! `drift --adopt`: write changes that were made by hand as a migration.

use std::collections::BTreeSet;
use std::path::PathBuf;

use migrate_core::{CodeMigrations, Migration};
use migrate_schema::ddl::{DdlStatement, DdlStyle, roles};
use migrate_test::shape;

use super::{show, way_on};
use crate::cmd::diff;
use crate::context::Context;
use crate::drift::{DriftChain, DriftComparison, DriftJson, PendingParts, PendingPartsJson};
use crate::exit::{Exit, Result};
use crate::output::DocumentJson;
use crate::output::style::{WARN, paint};
use crate::shared_json::sql_json;

/// Writes what the database has beyond its chain as migrations, proven. What pending migrations make anyway is left
/// out.
pub(super) async fn adopt(
    context: &Context<'_>,
    code: &CodeMigrations,
    chain: &DriftChain,
    look: DriftComparison,
    name: &str,
) -> Result<Exit> {
    let output = context.output;
    let mut document = DriftJson::from(&look);
    show(context, chain, &look);
    if look.found.is_empty() {
        let exit = if look.is_clean() { Exit::Done } else { Exit::Found };
        output.document(&DocumentJson::new("drift", &context.name, document));
        return Ok(exit);
    }
    let partly = match chain.pending.is_empty() {
        true => None,
        false => PendingParts::of(context, code, (&chain.with_applied(|_| true), &look.there), &chain.pending).await?,
    };
    document.pending = partly.as_ref().map(PendingPartsJson::from);
    match &partly {
        Some(partly) => partly.lines().iter().for_each(|line| output.line(line)),
        None => tell_pending(context, chain),
    }
    if let Some(partly) = partly.as_ref().filter(|partly| !partly.can_be_adopted()) {
        output.remark(match partly.others.is_empty() {
            true => "nothing was written: the pending migrations already contain all of it",
            false => "nothing was written: the pending migrations rename objects in it, and have to be finished first",
        });
        output.next(way_on(context, partly, &[]));
        output.document(&DocumentJson::new("drift", &context.name, document));
        return Ok(Exit::Found);
    }
    let (from, to) = partly.as_ref().map_or_else(|| (look.expected, look.there.described), PendingParts::beyond);
    let known = roles(&from.schema);
    let new = roles(&to.schema).difference(&known).cloned().collect();
    let mut difference = diff::proven(context, from, to, DdlStyle::Online).await?;
    // Granting privileges to a role would fail on a server that does not have the role.
    let guard = shape::role_guard(&new);
    if !guard.is_empty() {
        difference.ddl.statements.insert(0, DdlStatement::of(guard.trim_end().trim_end_matches(';')));
    }
    document.sql = Some(sql_json(&difference));
    diff::show_sql(context, &difference, false);
    if difference.is_proven() {
        document.files = diff::write(context, code, name, &difference.ddl).await?;
    }
    diff::tell_created(context, &document.files);
    let written = versions(context, &document)?;
    match (difference.is_proven(), &partly) {
        (true, _) if document.files.is_empty() => {}
        (true, Some(partly)) => output.next(format!("review the files, then {}", way_on(context, partly, &written))),
        (true, None) => output.next(format!(
            "review the files, then `cargo xtask drift {} --mark {}` records them as applied, because the database \
             already has their changes",
            context.aim(),
            written.join(","),
        )),
        (false, _) => {
            output.remark("nothing was written: these statements alone do not produce the schema of the database")
        }
    }
    output.document(&DocumentJson::new("drift", &context.name, document));
    Ok(if written.is_empty() { Exit::Found } else { Exit::Done })
}

fn tell_pending(context: &Context<'_>, chain: &DriftChain) {
    if let Some(first) = chain.pending.first() {
        let what =
            format!("{} is pending in {}, and is older than the new migration", first.version(), context.title());
        context.output.remark(format!("{} {what}: apply it there before you mark this one", paint(WARN, "note")));
    }
}

/// The versions of the files that were written.
fn versions(context: &Context<'_>, document: &DriftJson) -> Result<Vec<String>> {
    let written: BTreeSet<PathBuf> = document.files.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let is_written = |one: &Migration| one.path().canonicalize().is_ok_and(|path| written.contains(&path));
    Ok(context.chain()?.iter().filter(|one| is_written(one)).map(|one| one.version().to_string()).collect())
}
