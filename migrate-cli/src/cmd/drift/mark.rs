//! `drift --mark`: record pending migrations as applied if the database already has their changes, or show what is
//! missing.

use migrate_base::codes;
use std::sync::Arc;

use migrate_core::{CodeMigrations, Migration, Version};
use migrate_schema::ddl::DdlStyle;

use super::{show, show_left_out, way_on};
use crate::cli::DriftArgs;
use crate::cmd::diff;
use crate::cmd::run::{RunOptions, Runner};
use crate::confirm::{confirm, confirm_unseen};
use crate::context::Context;
use crate::drift::{
    self, DriftChain, DriftComparison, DriftJson, PendingParts, PendingPartsJson, not_compared, warnings,
};
use crate::exit::{Exit, Failure, Result};
use crate::output::DocumentJson;
use crate::output::style::{self, BAD, GOOD, paint};
use crate::shadow;
use crate::shared_json::sql_json;

/// Records pending migrations as applied, if the database is exactly what the chain makes with them.
pub(super) async fn mark(context: &Context<'_>, code: CodeMigrations, options: &DriftArgs) -> Result<Exit> {
    let chain = DriftChain::read(context, &code).await?;
    refuse_order(context, &chain, &options.mark)?;
    let is_meant = |version: &Version| options.mark.contains(version);
    let with = chain.with_applied(is_meant);
    shadow::server(context, false, false).await?;
    let look = drift::look(context, &code, &with, None).await?;
    let mut document = DriftJson::from(&look);
    let meant: Vec<Arc<Migration>> = chain.pending.iter().filter(|one| is_meant(one.version())).cloned().collect();
    match (look.found.is_empty(), options.sql) {
        (true, true) => {
            context.output.remark("nothing is missing: run this without `--sql` to record them as applied");
        }
        (true, false) => {
            document.not_compared = not_compared(&meant);
            warnings(&document.not_compared).for_each(|line| context.output.line(format!("  {line}")));
            show_left_out(context, &look);
            confirm_mark(context, options.yes, document.not_compared.len(), look.left_out.len())?;
            let mut runner = Runner::new(context, code, RunOptions::default()).await?;
            context.name_commit(&mut runner.migrator).await;
            let count = runner.migrator.mark(&options.mark, "adopted: it was there already").await?;
            runner.close().await;
            document.marked = options.mark.iter().map(ToString::to_string).collect();
            context.output.line(format!(
                "  {} {}, without running anything",
                paint(GOOD, "marked"),
                style::count(count, "migration")
            ));
        }
        (false, sql) => {
            let partly = PendingParts::of(context, &code, (&with, &look.there), &meant).await?;
            refuse_gap(context, partly.as_ref())?;
            document.pending = partly.as_ref().map(PendingPartsJson::from);
            if !sql {
                refuse(context, &with, &look, partly.as_ref());
            } else if let Some(partly) = partly {
                let missing = match partly.rest() {
                    Some(rest) => rest,
                    None => {
                        let (there, goal, finish) = partly.missing();
                        diff::finished(context, there, goal, DdlStyle::Online, finish).await?
                    }
                };
                warnings(&partly.not_compared).for_each(|line| context.output.line(format!("-- {line}")));
                diff::show_sql(context, &missing, true);
                document.sql = Some(sql_json(&missing));
            } else {
                untouched(context, &meant);
            }
        }
    }
    context.output.document(&DocumentJson::new("drift", &context.name, document));
    Ok(if look.found.is_empty() { Exit::Done } else { Exit::Found })
}

/// Asks for confirmation if the environment is protected, or if the comparison cannot cover all of the migrations.
fn confirm_mark(context: &Context<'_>, yes: bool, statements: usize, objects: usize) -> Result<()> {
    let what = "Its ledger will say that the migrations are applied.";
    let count = |n, word| Some(style::count(n, word)).filter(|_| n > 0);
    let unseen: Vec<String> =
        [count(statements, "statement"), count(objects, "object")].into_iter().flatten().collect();
    if unseen.is_empty() {
        return confirm(context, yes, what);
    }
    confirm_unseen(context, yes, &format!("{} cannot be compared", unseen.join(" and ")), what)
}

/// Refuses to mark a migration that is not pending, or one with older pending migrations.
fn refuse_order(context: &Context<'_>, chain: &DriftChain, marks: &[Version]) -> Result<()> {
    if let Some(unknown) = marks.iter().find(|one| !chain.pending.iter().any(|pending| pending.version() == *one)) {
        return Err(Failure::usage(
            codes::NOT_PENDING,
            format!("{unknown} is not a pending migration of {}", context.title()),
        )
        .help(format!("`cargo xtask status {}` shows what is pending", context.aim())));
    }
    let last = marks.iter().max();
    let is_older = |one: &&Arc<Migration>| !marks.contains(one.version()) && Some(one.version()) < last;
    match chain.pending.iter().find(is_older) {
        None => Ok(()),
        Some(older) => {
            Err(Failure::usage(codes::MARK_ORDER, format!("{} is pending too, and comes first", older.version()))
                .help(format!("apply it: `cargo xtask migrate {} --to {}`", context.aim(), older.version()))
                .help("if the database already has a part of it, give both versions to `--mark`, separated by a comma"))
        }
    }
}

/// A migration that is halfway through its renames can be finished only if the migrations before it are there.
fn refuse_gap(context: &Context<'_>, partly: Option<&PendingParts>) -> Result<()> {
    let Some((last, begun)) = partly.and_then(|partly| Some((partly.waits_for.as_ref()?, partly.begun.first()?)))
    else {
        return Ok(());
    };
    Err(Failure::usage(codes::MARK_ORDER, format!("{last} has not begun, and {begun} is halfway through its renames"))
        .help(format!("apply what comes before it: `cargo xtask migrate {} --to {last}`", context.aim())))
}

/// Says why nothing was marked, and what to do next.
fn refuse(context: &Context<'_>, with: &DriftChain, look: &DriftComparison, partly: Option<&PendingParts>) {
    let output = context.output;
    show(context, with, look);
    output.line(format!(
        "{}: {} does not match its chain with these migrations",
        paint(BAD, "not marked"),
        context.title()
    ));
    let Some(partly) = partly else {
        let aim = context.aim();
        return output.next(format!(
            "none of their changes are there: `cargo xtask migrate {aim}` applies the pending migrations"
        ));
    };
    partly.lines().iter().for_each(|line| output.line(line));
    let others = format!(
        "`cargo xtask drift {} --adopt NAME` writes a migration for what is not part of them; mark it together with \
         them",
        context.aim()
    );
    output.next(if partly.can_be_adopted() { others } else { way_on(context, partly, &[]) });
}

fn untouched(context: &Context<'_>, meant: &[Arc<Migration>]) {
    let what = format!("no change of {} is there", style::count(meant.len(), "migration"));
    context.output.remark(format!("{what}: `cargo xtask migrate {}` applies the pending migrations", context.aim()));
}
