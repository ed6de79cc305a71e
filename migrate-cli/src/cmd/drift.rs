//! `drift`: compare an environment with its migrations, once or continuously; adopt the difference, or mark migrations
//! as applied.

mod adopt;
mod mark;

use std::time::{Duration, SystemTime};

use migrate_core::{CodeMigrations, Version};
use migrate_review::config::HookEvent;
use migrate_schema::SchemaDescription;
use migrate_schema::ddl::DdlStyle;
use migrate_test::shape::DifferenceAdditions;

use super::diff;
use super::run::asked_to_stop;
use crate::cli::DriftArgs;
use crate::context::Context;
use crate::drift::{self, DriftChain, DriftComparison, DriftJson, PendingParts, PendingPartsJson, TracedDifference};
use crate::exit::{Exit, Failure, Result};
use crate::notify::{Notice, RunListeners};
use crate::output::DocumentJson;
use crate::output::style::{self, BOLD, DIM, GOOD, WARN, paint};
use crate::shadow;
use crate::shared_json::sql_json;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &DriftArgs) -> Result<Exit> {
    if let Some(interval) = options.watch {
        return watch(context, &code, interval).await;
    }
    if !options.mark.is_empty() {
        return mark::mark(context, code, options).await;
    }
    let chain = DriftChain::read(context, &code).await?;
    shadow::server(context, false, false).await?;
    let look = drift::look(context, &code, &chain, None).await?;
    if options.notify && !look.found.is_empty() {
        tell_team(context, &look).await;
    }
    match &options.adopt {
        Some(name) => adopt::adopt(context, &code, &chain, look, name).await,
        None => tell(context, &code, &chain, look, options.sql).await,
    }
}

/// Shows the drift, or the statements that bring the database back.
async fn tell(
    context: &Context<'_>,
    code: &CodeMigrations,
    chain: &DriftChain,
    look: DriftComparison,
    sql: bool,
) -> Result<Exit> {
    let mut document = DriftJson::from(&look);
    let exit = if look.is_clean() { Exit::Done } else { Exit::Found };
    if sql && !look.found.is_empty() {
        // If an object was renamed by hand as a pending migration renames it, the rename is reverted.
        let (from, to, finish) = match partly(context, code, chain, &look).await {
            Some(partly) => partly.taken_back(),
            None => (look.there.described, look.expected, DifferenceAdditions::default()),
        };
        let back = diff::finished(context, from, to, DdlStyle::Whole, finish).await?;
        diff::show_sql(context, &back, true);
        document.sql = Some(sql_json(&back));
    } else {
        show(context, chain, &look);
        let partly = partly(context, code, chain, &look).await;
        document.pending = partly.as_ref().map(PendingPartsJson::from);
        tell_next(context, &look, partly.as_ref());
    }
    context.output.document(&DocumentJson::new("drift", &context.name, document));
    Ok(exit)
}

/// Shows what was not compared.
fn show_left_out(context: &Context<'_>, look: &DriftComparison) {
    for one in &look.left_out {
        let names = one.names().join(", ");
        context.output.remark(format!("{} {names}: {}", paint(WARN, "not compared"), one.why));
    }
    if !look.left_out.is_empty() {
        context.output.remark("to accept what is not compared, list it in `ignore` of [drift] in migrate.toml");
    }
}

fn show(context: &Context<'_>, chain: &DriftChain, look: &DriftComparison) {
    let output = context.output;
    drift::lines(look, chain).iter().for_each(|line| output.item(line));
    if let Some((there, here)) = look.versions {
        let what = format!(
            "{} runs PostgreSQL {there}, the shadow server {here}: the schema was recreated there for the comparison",
            context.title()
        );
        output.line(format!("{DIM}{what}{DIM:#}"));
    }
    show_left_out(context, look);
    let version = look.version.as_ref().map_or("no migration".to_owned(), ToString::to_string);
    let ignored = match look.ignored {
        0 => String::new(),
        n => format!(", {} ignored", style::count(n, "difference")),
    };
    output.line(match look.found.len() {
        0 if !look.is_clean() => format!("no difference in what was compared, at {version}{ignored}"),
        0 => format!("{} {} matches its migrations, at {version}{ignored}", paint(GOOD, "no drift:"), context.title()),
        n => format!(
            "\n{BOLD}{}{BOLD:#} between {} and its migrations, at {version}{ignored}",
            style::count(n, "difference"),
            context.title()
        ),
    });
}

/// Which parts of the pending migrations the database already has. Other commands report that they do not run.
async fn partly(
    context: &Context<'_>,
    code: &CodeMigrations,
    chain: &DriftChain,
    look: &DriftComparison,
) -> Option<PendingParts> {
    if look.found.is_empty() || chain.pending.is_empty() {
        return None;
    }
    match PendingParts::begun(context, code, chain, &look.there).await {
        Ok(partly) => partly,
        Err(_) => {
            let what = "not checked whether this is part of the pending migrations: they do not run on a shadow server";
            context.output.remark(format!("{} {what}; `cargo xtask verify` shows why", paint(WARN, "note")));
            None
        }
    }
}

/// The commands that finish partly applied pending migrations; the migrations `more` come after them, and are already
/// there.
fn way_on(context: &Context<'_>, partly: &PendingParts, more: &[String]) -> String {
    let aim = context.aim();
    let begun: &[Version] = match more {
        [] => &partly.begun,
        // Everything older than a marked migration has to be marked or applied.
        _ => partly.versions.get(partly.earlier().len()..).unwrap_or_default(),
    };
    let all = begun.iter().map(ToString::to_string).chain(more.iter().cloned()).collect::<Vec<_>>().join(",");
    let first = partly.earlier().last().map(|last| format!("`cargo xtask migrate {aim} --to {last}` first, then "));
    let first = first.unwrap_or_default();
    if partly.is_complete() && more.is_empty() {
        return format!("{first}`cargo xtask drift {aim} --mark {all}` records the migrations as applied");
    }
    format!(
        "{first}`cargo xtask drift {aim} --mark {all} --sql` shows the statements that are still missing: run them \
         there, then `cargo xtask drift {aim} --mark {all}` records the migrations as applied"
    )
}

fn tell_next(context: &Context<'_>, look: &DriftComparison, partly: Option<&PendingParts>) {
    if look.found.is_empty() {
        return;
    }
    let (aim, output) = (context.aim(), context.output);
    if !(look.recording.on && look.recording.has_records) {
        output.line(format!("{DIM}to record who makes such changes: `cargo xtask audit install {aim}`{DIM:#}"));
    } else if !look.recording.readable {
        output.line(format!("{DIM}the audit records who did it, but this role may not read the audit{DIM:#}"));
    }
    if let Some(partly) = partly {
        partly.lines().iter().for_each(|line| output.line(line));
        output.next(match partly.can_be_adopted() {
            true => format!("`cargo xtask drift {aim} --adopt NAME` writes a migration for what is not part of them"),
            false => way_on(context, partly, &[]),
        });
        return output.line(format!("or   `cargo xtask drift {aim} --sql` shows the statements that revert all of it"));
    }
    output.next(format!(
        "`cargo xtask drift {aim} --sql` shows the statements that revert it; `cargo xtask drift {aim} --adopt NAME` \
         writes it as a migration"
    ));
}

/// Compares at every interval until it is told to stop, and reports what has changed since the last comparison.
async fn watch(context: &Context<'_>, code: &CodeMigrations, interval: Duration) -> Result<Exit> {
    let mut watch = DriftWatch::default();
    let mut stop = std::pin::pin!(asked_to_stop());
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = async {
                match watch.again(context, code).await {
                    Ok(Some((turn, chain, look))) => {
                        report(context, turn, &chain, &look);
                        if turn != DriftTransition::Begun || !look.found.is_empty() {
                            tell_team(context, &look).await;
                        }
                    }
                    Ok(None) => {}
                    Err(failure) => watch.fail(context, &failure),
                }
                tokio::time::sleep(interval).await;
            } => {}
        }
    }
    Ok(if watch.last.is_some_and(|last| !last.is_empty()) { Exit::Found } else { Exit::Done })
}

/// What a watch remembers between two comparisons.
#[derive(Default)]
struct DriftWatch {
    /// The schema that the chain makes, and the checksums that identify the chain.
    made: Option<(Vec<String>, SchemaDescription)>,
    /// The differences of the last comparison, in sentences.
    last: Option<Vec<String>>,
    /// Why the last comparison failed, if it did.
    failed: Option<String>,
}

/// How a comparison differs from the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DriftTransition {
    Begun,
    Appeared,
    Changed,
    Gone,
}

impl DriftWatch {
    async fn again(
        &mut self,
        context: &Context<'_>,
        code: &CodeMigrations,
    ) -> Result<Option<(DriftTransition, DriftChain, DriftComparison)>> {
        let chain = DriftChain::read(context, code).await?;
        let sums: Vec<String> = chain.applied.iter().map(|one| one.up_checksum().as_str().to_owned()).collect();
        let made = match self.made.take().filter(|(of, _)| *of == sums) {
            Some((_, made)) => made,
            None => {
                shadow::server(context, false, false).await?;
                chain.make(code).await?
            }
        };
        self.made = Some((sums, made.clone()));
        let look = drift::look(context, code, &chain, Some(made)).await?;
        let now: Vec<String> = look.found.iter().flat_map(|found| found.difference.sentences.clone()).collect();
        let turn = match &self.last {
            None => Some(DriftTransition::Begun),
            Some(last) if *last == now => None,
            Some(last) if last.is_empty() => Some(DriftTransition::Appeared),
            Some(_) if now.is_empty() => Some(DriftTransition::Gone),
            Some(_) => Some(DriftTransition::Changed),
        };
        (self.last, self.failed) = (Some(now), None);
        Ok(turn.map(|turn| (turn, chain, look)))
    }
}

impl DriftWatch {
    /// A server that is unreachable for a while does not end the watch; it is reported once.
    fn fail(&mut self, context: &Context<'_>, failure: &Failure) {
        let why: String = failure.findings().iter().map(ToString::to_string).collect();
        if self.failed.as_ref() != Some(&why) {
            context.output.failure(failure);
            self.failed = Some(why);
        }
    }
}

/// Notifies the webhooks that subscribe to drift; a failure is a remark.
async fn tell_team(context: &Context<'_>, look: &DriftComparison) {
    let team = RunListeners::of(&context.config, &context.name, context.environment.protected, &[HookEvent::Drift]);
    let sentence = |found: &TracedDifference| {
        let who =
            found.record.as_ref().map(|record| format!(", by {} at {}", record.by(), record.at)).unwrap_or_default();
        format!("{}{who}", found.difference.sentences.join("; "))
    };
    let found: Vec<String> = look.found.iter().map(sentence).collect();
    let version = look.version.as_ref().map(ToString::to_string);
    team.tell(HookEvent::Drift, &Notice::of_drift(&context.name, &look.database, version, &found));
    for untold in team.end().await {
        context.output.remark(paint(WARN, untold));
    }
}

/// Reports a change that a watch saw.
fn report(context: &Context<'_>, turn: DriftTransition, chain: &DriftChain, look: &DriftComparison) {
    let word = match turn {
        DriftTransition::Begun => "watching",
        DriftTransition::Appeared => "drift appeared",
        DriftTransition::Changed => "drift changed",
        DriftTransition::Gone => "drift is gone",
    };
    let now = style::moment(&humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
    context.output.line(format!("{DIM}{now}{DIM:#} {BOLD}{word}{BOLD:#}"));
    show(context, chain, look);
    context.output.document(&DocumentJson::new("drift", &context.name, DriftJson::from(look)));
}
