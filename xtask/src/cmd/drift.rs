//! `drift`: an environment against its migrations; looking once or for ever, adopting, and marking as applied.

use std::time::{Duration, SystemTime};

use migrate_core::config::Moment;
use migrate_core::schema::Described;
use migrate_core::schema::ddl::{Statement, Style, roles};
use migrate_core::{CodeMigrations, Version};
use migrate_test::shape;

use super::diff;
use super::run::{Runner, Wish, asked_to_stop};
use crate::cli::Drift;
use crate::context::{Context, confirm};
use crate::drift::{self, Chain, DriftJson, Found, Look};
use crate::exit::{Exit, Failure, Result};
use crate::notify::{Notice, Team};
use crate::output::Document;
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN, paint};
use crate::shadow;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Drift) -> Result<Exit> {
    if let Some(interval) = options.watch {
        return watch(context, &code, interval).await;
    }
    if !options.mark.is_empty() {
        return mark(context, code, options).await;
    }
    let chain = Chain::read(context, &code).await?;
    shadow::server(context, false, false).await?;
    let made = chain.make(&code).await?;
    let look = drift::look(context, &code, &chain, made).await?;
    if options.notify && !look.found.is_empty() {
        tell_team(context, &look).await;
    }
    match &options.adopt {
        Some(name) => adopt(context, &code, &chain, look, name).await,
        None => tell(context, &chain, look, options.sql).await,
    }
}

/// Shows what was found, and the statements that bring the database back.
async fn tell(context: &Context<'_>, chain: &Chain, look: Look, sql: bool) -> Result<Exit> {
    let mut document = DriftJson::from(&look);
    let exit = if look.found.is_empty() { Exit::Done } else { Exit::Found };
    if sql && !look.found.is_empty() {
        let back = diff::proven(context, look.there, look.expected, Style::Whole).await?;
        diff::show_sql(context, &back, true);
        document.sql = Some(diff::sql_json(&back));
    } else {
        show(context, chain, &look);
        tell_next(context, &look);
    }
    context.output.document(&Document::new("drift", &context.name, document));
    Ok(exit)
}

fn show(context: &Context<'_>, chain: &Chain, look: &Look) {
    let output = context.output;
    drift::lines(look, chain).iter().for_each(|line| output.item(line));
    if let Some((there, here)) = look.versions {
        let what = format!(
            "{} is PostgreSQL {there}, the throw-away server {here}: its schema was made there to be compared",
            context.title()
        );
        output.line(format!("{DIM}{what}{DIM:#}"));
    }
    let version = look.version.as_ref().map_or("no migration".to_owned(), ToString::to_string);
    let ignored = match look.ignored {
        0 => String::new(),
        n => format!(", {} ignored", style::count(n, "difference")),
    };
    output.line(match look.found.len() {
        0 => format!(
            "{} {} is what its migrations make of it, at {version}{ignored}",
            paint(GOOD, "no drift"),
            context.title()
        ),
        n => format!(
            "\n{BOLD}{}{BOLD:#} between {} and its migrations, at {version}{ignored}",
            style::count(n, "difference"),
            context.title()
        ),
    });
}

fn tell_next(context: &Context<'_>, look: &Look) {
    if look.found.is_empty() {
        return;
    }
    let (aim, output) = (context.aim(), context.output);
    if !(look.recording.on && look.recording.has_records) {
        output.line(format!("{DIM}who did it would be known with `cargo xtask audit install {aim}`{DIM:#}"));
    } else if !look.recording.readable {
        output.line(format!("{DIM}who did it is on record, but this role may not read it{DIM:#}"));
    }
    output.next(format!(
        "`cargo xtask drift {aim} --sql` shows the statements that take it back; `--adopt NAME` makes it a migration"
    ));
}

/// Writes what the database has beyond its chain as migrations, proven.
async fn adopt(context: &Context<'_>, code: &CodeMigrations, chain: &Chain, look: Look, name: &str) -> Result<Exit> {
    let output = context.output;
    let mut document = DriftJson::from(&look);
    show(context, chain, &look);
    if look.found.is_empty() {
        output.document(&Document::new("drift", &context.name, document));
        return Ok(Exit::Done);
    }
    if let Some(first) = chain.pending.first() {
        let what =
            format!("{} is pending in {}, and comes before what is written here", first.version(), context.title());
        output.remark(format!("{} {what}: apply it there before this is marked", paint(WARN, "note")));
    }
    let known = roles(&look.expected.schema);
    let new = roles(&look.there.schema).difference(&known).cloned().collect();
    let mut difference = diff::proven(context, look.expected, look.there, Style::Online).await?;
    // Privileges of a role that another server does not have would be a migration that fails there.
    let guard = shape::role_guard(&new);
    if !guard.is_empty() {
        difference.ddl.statements.insert(0, Statement::of(guard.trim_end().trim_end_matches(';')));
    }
    let proven = difference.is_proven();
    document.sql = Some(diff::sql_json(&difference));
    diff::show_sql(context, &difference, false);
    if proven {
        document.files = diff::write(context, code, name, &difference.ddl).await?;
    }
    for path in &document.files {
        output.line(format!("  {}  {}", paint(GOOD, "created"), paint(BOLD, path.display())));
    }
    match proven {
        true => output.next(format!(
            "read the files; then `cargo xtask drift {} --mark {}` records them there as applied, for it has what they make",
            context.aim(),
            versions(&document).join(","),
        )),
        false => output.remark("nothing was written: these statements do not lead there by themselves"),
    }
    output.document(&Document::new("drift", &context.name, document));
    Ok(if proven { Exit::Done } else { Exit::Found })
}

/// The versions of the files that were written.
fn versions(document: &DriftJson) -> Vec<String> {
    let names = document.files.iter().filter_map(|path| path.file_name()?.to_str());
    let ups = names.filter(|name| name.ends_with(".up.sql"));
    ups.filter_map(|name| Some(name.split('_').next()?.to_owned())).collect()
}

/// Records pending migrations as applied, where the database is just what the chain makes with them.
async fn mark(context: &Context<'_>, code: CodeMigrations, options: &Drift) -> Result<Exit> {
    let mut chain = Chain::read(context, &code).await?;
    let is_meant = |version: &Version| options.mark.contains(version);
    if let Some(unknown) =
        options.mark.iter().find(|one| !chain.pending.iter().any(|pending| pending.version() == *one))
    {
        return Err(Failure::usage("not-pending", format!("{unknown} is no pending migration of {}", context.title()))
            .help(format!("`cargo xtask status {}` shows what is pending", context.aim())));
    }
    let last = options.mark.iter().max();
    if let Some(older) = chain.pending.iter().find(|one| !is_meant(one.version()) && Some(one.version()) < last) {
        return Err(Failure::usage("mark-order", format!("{} is pending too, and comes first", older.version()))
            .help(format!("apply it: `cargo xtask migrate {} --to {}`", context.aim(), older.version())));
    }
    let (marked, pending) = std::mem::take(&mut chain.pending).into_iter().partition(|one| is_meant(one.version()));
    chain.applied.extend::<Vec<_>>(marked);
    chain.pending = pending;
    shadow::server(context, false, false).await?;
    let made = chain.make(&code).await?;
    let look = drift::look(context, &code, &chain, made).await?;
    let mut document = DriftJson::from(&look);
    if look.found.is_empty() {
        confirm(context, options.yes, "Its ledger will say that the migrations are applied.")?;
        let mut runner = Runner::new(context, code, Wish::default()).await?;
        let count = runner.migrator.mark(&options.mark, "adopted: it was there already").await?;
        runner.close().await;
        document.marked = options.mark.iter().map(ToString::to_string).collect();
        context.output.line(format!(
            "  {} {}, without running anything",
            paint(GOOD, "marked"),
            style::count(count, "migration")
        ));
    } else {
        show(context, &chain, &look);
        let what = format!("{} is not what its chain makes with them", context.title());
        context.output.line(format!("{}: {what}", paint(BAD, "not marked")));
    }
    context.output.document(&Document::new("drift", &context.name, document));
    Ok(if look.found.is_empty() { Exit::Done } else { Exit::Found })
}

/// Looks again and again until it is told to stop, and reports what is not as it was at the look before.
async fn watch(context: &Context<'_>, code: &CodeMigrations, interval: Duration) -> Result<Exit> {
    let mut watch = Watch::default();
    let mut stop = std::pin::pin!(asked_to_stop());
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = async {
                match watch.again(context, code).await {
                    Ok(Some((turn, chain, look))) => {
                        report(context, turn, &chain, &look);
                        if turn != Turn::Begun || !look.found.is_empty() {
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

/// What a watch remembers between its looks.
#[derive(Default)]
struct Watch {
    /// What the chain makes, and the checksums that say which chain it was.
    made: Option<(Vec<String>, Described)>,
    /// What was different at the last look, in sentences.
    last: Option<Vec<String>>,
    /// Why there was no last look.
    failed: Option<String>,
}

/// How a look differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Begun,
    Appeared,
    Changed,
    Gone,
}

impl Watch {
    async fn again(&mut self, context: &Context<'_>, code: &CodeMigrations) -> Result<Option<(Turn, Chain, Look)>> {
        let chain = Chain::read(context, code).await?;
        let sums: Vec<String> = chain.applied.iter().map(|one| one.up_checksum().as_str().to_owned()).collect();
        let made = match self.made.take().filter(|(of, _)| *of == sums) {
            Some((_, made)) => made,
            None => {
                shadow::server(context, false, false).await?;
                chain.make(code).await?
            }
        };
        self.made = Some((sums, made.clone()));
        let look = drift::look(context, code, &chain, made).await?;
        let now: Vec<String> = look.found.iter().flat_map(|found| found.difference.sentences.clone()).collect();
        let turn = match &self.last {
            None => Some(Turn::Begun),
            Some(last) if *last == now => None,
            Some(last) if last.is_empty() => Some(Turn::Appeared),
            Some(_) if now.is_empty() => Some(Turn::Gone),
            Some(_) => Some(Turn::Changed),
        };
        (self.last, self.failed) = (Some(now), None);
        Ok(turn.map(|turn| (turn, chain, look)))
    }
}

impl Watch {
    /// A server that is away for a while ends no monitor; that it is away is told once.
    fn fail(&mut self, context: &Context<'_>, failure: &Failure) {
        let why: String = failure.findings().iter().map(ToString::to_string).collect();
        if self.failed.as_ref() != Some(&why) {
            context.output.failure(failure);
            self.failed = Some(why);
        }
    }
}

/// Tells those who want to hear of drift; what goes wrong is a remark.
async fn tell_team(context: &Context<'_>, look: &Look) {
    let team = Team::of(&context.config, &context.name, context.environment.protected, &[Moment::Drift]);
    let sentence = |found: &Found| {
        let who =
            found.record.as_ref().map(|record| format!(", by {} at {}", record.by(), record.at)).unwrap_or_default();
        format!("{}{who}", found.difference.sentences.join("; "))
    };
    let found: Vec<String> = look.found.iter().map(sentence).collect();
    let version = look.version.as_ref().map(ToString::to_string);
    team.tell(Moment::Drift, &Notice::of_drift(&context.name, &look.database, version, &found));
    for untold in team.end().await {
        context.output.remark(paint(WARN, untold));
    }
}

/// Reports a turn of a watch.
fn report(context: &Context<'_>, turn: Turn, chain: &Chain, look: &Look) {
    let word = match turn {
        Turn::Begun => "watching",
        Turn::Appeared => "drift appeared",
        Turn::Changed => "drift changed",
        Turn::Gone => "drift is gone",
    };
    let now = style::moment(&humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
    context.output.line(format!("{DIM}{now}{DIM:#} {BOLD}{word}{BOLD:#}"));
    show(context, chain, look);
    context.output.document(&Document::new("drift", &context.name, DriftJson::from(look)));
}
