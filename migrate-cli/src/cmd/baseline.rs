//! `baseline`: capture an existing database as the first migration, proven to be identical; or mark it as applied.

use std::fmt::Write as _;
use std::path::PathBuf;

use migrate_base::codes;
use migrate_base::finding::{Finding, Severity};
use migrate_base::visible;
use migrate_core::foreign::ForeignLedger;
use migrate_core::{CodeMigrations, Error, ErrorKind, MigrationSet, Version};
use migrate_schema::ddl::{Ddl, DdlStage, LEFT_OUT};
use migrate_test::shape::{self, LeftOut, TableData, role_guard};
use serde::Serialize;

use super::run::{RunOptions, Runner};
use super::upto::{self, ComparedChain};
use crate::cli::BaselineArgs;
use crate::confirm::confirm;
use crate::context::{Context, MigratorOptions};
use crate::exit::{Exit, Failure, Result};
use crate::output::DocumentJson;
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN, paint};
use crate::shared_json::{LeftOutJson, left_out_json};
use crate::{files, form, shadow};

/// How many relations one transaction can create on a server with default settings.
///
/// See <https://www.postgresql.org/docs/current/runtime-config-locks.html>.
const LOCKS: usize = 3000;

#[derive(Serialize)]
struct BaselineJson {
    proven: bool,
    objects: usize,
    version: Option<String>,
    files: Vec<PathBuf>,
    left_out: Vec<LeftOutJson>,
    notes: Vec<String>,
    left_behind: Vec<String>,
    remaining: Vec<String>,
}

#[derive(Serialize)]
struct MarkJson {
    version: String,
    marked: usize,
    differences: Vec<String>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &BaselineArgs) -> Result<Exit> {
    if options.mark { mark(context, code, options).await } else { capture(context, options).await }
}

/// Captures the database, proves it, and writes the pair of files.
async fn capture(context: &Context<'_>, options: &BaselineArgs) -> Result<Exit> {
    let output = context.output;
    let name = files::snake_case(&options.name)?;
    form::refuse(context.layout)?;
    refuse_second(context)?;
    // The folder has nothing that could be matched with it, so a baseline is the way on.
    let other =
        other_ledger(context, &MigrationSet::default()).await?.map(|finding| finding.with_severity(Severity::Warning));
    output.findings(other.as_slice());
    let database = context.reach().await?;
    let source = shadow::database(&database, context).await?;
    shadow::server(context, false, false).await?;
    let data = shape::table_data(database, &source, &options.data).await?;
    let baseline = shape::baseline_with(source, &data).await?;
    for one in &baseline.left_out {
        output.line(format!("  {}", left_out_line(one)));
    }
    for note in &baseline.notes {
        output.line(format!("  {} {note}", paint(WARN, "note:")));
    }
    for line in &baseline.left_behind {
        output.line(format!("  {} {line}", paint(WARN, "not removed by the down script:")));
    }
    for line in &baseline.remaining {
        output.line(format!("  {} {line}", paint(BAD, "different:")));
    }
    let proven = baseline.is_proven();
    let mut document = BaselineJson {
        proven,
        objects: baseline.objects,
        version: None,
        files: Vec::new(),
        left_out: baseline.left_out.iter().map(left_out_json).collect(),
        notes: baseline.notes.clone(),
        left_behind: baseline.left_behind.clone(),
        remaining: baseline.remaining.clone(),
    };
    let (up, down) = texts(&context.title(), "baseline", None, &baseline, &data);
    if options.dry_run {
        up.lines().for_each(|line| output.quoted(line));
    } else if proven {
        let version = form::next_version(&context.folder()?)?;
        document.files = form::write(&context.folder()?, &files::pair(&version, &name, up, down))?;
        document.version = Some(version.to_string());
    }
    tell(context, &document, &data);
    output.document(&DocumentJson::new("baseline", &context.name, document));
    Ok(if proven { Exit::Done } else { Exit::Found })
}

fn refuse_second(context: &Context<'_>) -> Result<()> {
    if !context.migrations.exists() {
        return Ok(());
    }
    let set = context.folder()?.load()?;
    let Some(first) = set.iter().next() else { return Ok(()) };
    let name = first.path().strip_prefix(&context.migrations).unwrap_or(first.path()).display();
    Err(Failure::usage(codes::BASELINE_FIRST, format!("the folder already has migrations, such as {name}"))
        .help("a baseline is the first migration of a folder: give an empty folder with --migrations DIR")
        .help("`cargo xtask baseline --mark` records the first migration of the folder as applied"))
}

/// The finding about the ledger of another tool in a database without a ledger of ours, if it is about these
/// migrations: that of a tool whose migrations were something else says nothing about them.
async fn other_ledger(context: &Context<'_>, set: &MigrationSet) -> Result<Option<Finding>> {
    let reading = MigratorOptions { set: Some(set.clone()), ..MigratorOptions::reading() };
    let mut migrator = context.migrator(CodeMigrations::none(), reading).await?;
    let (status, ledgers) = (migrator.status().await, migrator.ledgers_of_others().await);
    migrator.close().await;
    let is_about = |ledger: &ForeignLedger| ledger.rows.is_err() || !ledger.matched(set).applied.is_empty();
    if !set.is_empty() && !ledgers?.iter().any(is_about) {
        return Ok(None);
    }
    let is_meant = |finding: &Finding| [codes::OTHER_LEDGER, codes::OTHER_LEDGER_UNREADABLE].contains(&finding.code);
    Ok(status?.problems.into_iter().find(is_meant))
}

/// The two files. A large schema is created without a transaction, because every relation would hold a lock in it.
pub(super) fn texts(
    of: &str,
    command: &str,
    squashes: Option<&Version>,
    baseline: &shape::Baseline,
    data: &[TableData],
) -> (String, String) {
    let large = baseline.relations() > LOCKS;
    let script = |ddl: &Ddl| {
        let text = ddl.script(DdlStage::Main);
        if large { text.replacen("SET LOCAL ", "SET ", 1) } else { text }
    };
    let directive = if large { "-- migrate: no-transaction\n" } else { "" };
    let squashes = squashes.map_or(String::new(), |first| format!("-- migrate: squashes {first}\n"));
    let mut head = format!("{squashes}{directive}-- The schema of {of} when it was captured", of = visible::line(of));
    if !data.is_empty() {
        let tables: Vec<&str> = data.iter().map(|table| &*table.table.name).collect();
        let _ = write!(head, ", with the rows of {}", visible::line(&tables.join(", ")));
    }
    let _ = match baseline.left_out.len() {
        0 => writeln!(head, ". Written by `cargo xtask {command}`, and proven."),
        n => writeln!(head, ". Written by `cargo xtask {command}`, and proven except for {n} left out."),
    };
    for one in &baseline.left_out {
        for name in one.names() {
            let _ = writeln!(head, "{LEFT_OUT}{}", visible::line(&name));
        }
        let _ = writeln!(head, "--   {}", visible::line(&one.why));
    }
    let guard = role_guard(&baseline.roles);
    let up = script(&baseline.up);
    let up = if up.is_empty() { "SELECT;\n".to_owned() } else { up };
    let down = script(&baseline.down);
    let down = if down.is_empty() { "SELECT;\n".to_owned() } else { down };
    let mut what = format!("{directive}-- Removes everything that the up script creates.\n");
    for line in &baseline.left_behind {
        let _ = writeln!(what, "-- left behind: {}", visible::line(line));
    }
    (format!("{head}\n{guard}{up}"), format!("{what}\n{down}"))
}

fn tell(context: &Context<'_>, document: &BaselineJson, data: &[TableData]) {
    let output = context.output;
    for table in data {
        output.line(format!("  {DIM}{}: {}{DIM:#}", table.table, style::count(table.rows, "row")));
    }
    if !document.proven {
        output.line(format!("\n{}: nothing was written", paint(BAD, "the capture differs from the source")));
        output.next("report this as a bug, with the lines above");
        return;
    }
    let objects = style::count(document.objects, "object");
    let proven = match document.left_out.len() {
        0 => paint(GOOD, "proven"),
        n => paint(WARN, format!("proven except for {n} left out:")),
    };
    let rest = match document.left_behind.len() {
        0 => "rolled back with nothing left, reapplied".to_owned(),
        n => format!("rolled back except for {n}"),
    };
    output.line(format!("  {proven} {objects}: applied, identical, {rest}"));
    for path in &document.files {
        output.line(format!("  {}  {}", paint(GOOD, "created"), paint(BOLD, path.display())));
    }
    match document.files.is_empty() {
        true => output.next("run it without --dry-run to write the files"),
        false => output.next(format!(
            "`cargo xtask baseline --mark {}` records the baseline there as applied, without running it",
            context.aim()
        )),
    }
}

/// Records the migrations that a database already has, after comparing.
async fn mark(context: &Context<'_>, code: CodeMigrations, options: &BaselineArgs) -> Result<Exit> {
    let output = context.output;
    let set = context.folder()?.load()?;
    let first = set.iter().next().map(|migration| migration.version().clone());
    let Some(version) = options.to.clone().or(first) else {
        return Err(Failure::usage(codes::NO_MIGRATION, "there is no migration to mark")
            .help(format!("`cargo xtask baseline {}` writes the first one", context.aim())));
    };
    if set.get(&version).is_none() {
        return Err(Failure::usage(codes::NO_MIGRATION, format!("there is no migration {version}"))
            .help("`cargo xtask status` lists the migrations"));
    }
    // Without a version it is not known how much of the chain was applied, but the other ledger knows.
    if options.to.is_none()
        && let Some(finding) = other_ledger(context, &set).await?
    {
        return Err(Failure::Core(Error::new(ErrorKind::Plan, finding)));
    }
    let repeated = set.up_to(Some(&version)).iter().map(|one| one.version().clone()).collect();
    let chain = ComparedChain { set: &set, version: Some(&version), repeated, changed: &[] };
    let differences = upto::differences(context, &chain, &code).await?;
    let mut document = MarkJson { version: version.to_string(), marked: 0, differences };
    if document.differences.is_empty() {
        confirm(context, options.yes, "Its ledger will say that the migrations are applied.")?;
        let mut runner = Runner::new(context, code, RunOptions::default()).await?;
        context.name_commit(&mut runner.migrator).await;
        document.marked = runner.migrator.adopt(&version, "baseline").await?;
        runner.close().await;
        let marked = style::count(document.marked, "migration");
        output.line(format!("  {} {marked} up to {version}, without running anything", paint(GOOD, "marked")));
        output.next(format!("`cargo xtask status {}` shows what is applied", context.aim()));
    } else {
        upto::show(context, &document.differences, "not marked", Some(&version));
    }
    let exit = if document.differences.is_empty() { Exit::Done } else { Exit::Found };
    output.document(&DocumentJson::new("baseline", &context.name, document));
    Ok(exit)
}

/// A line that says what is left out, what depends on it, and why.
pub(super) fn left_out_line(one: &LeftOut) -> String {
    let with = one.with.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let with = if with.is_empty() { with } else { format!(", and what depends on it: {with}") };
    format!("{} {one}{with}: {}", paint(WARN, "left out"), one.why)
}
