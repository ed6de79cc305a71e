//! `adopt`: take over the ledger of another tool, after comparing it with the files and the schema.

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::Finding;
use migrate_base::ident::QualifiedName;
use migrate_core::CodeMigrations;
use migrate_core::foreign::{ForeignChecksum, ForeignLedger, ForeignTool};
use migrate_core::runner::{AdoptedMigration, Adoption};
use serde::Serialize;

use super::run::{RunOptions, Runner};
use super::upto::ComparedChain;
use super::{capture, convert, upto};
use crate::cli::AdoptArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::style::{self, BOLD, DIM, GOOD, PLAIN, WARN, paint};
use crate::output::{DocumentJson, TextTable};

#[derive(Serialize)]
struct AdoptJson {
    tool: &'static str,
    table: String,
    /// How many migrations the other tool has applied, and the newest of them as its ledger names it.
    applied: usize,
    newest: Option<String>,
    /// What is recorded as applied, and as rolled back.
    taken: Vec<AdoptedMigrationJson>,
    given_back: Vec<String>,
    /// Whether the schema was compared with what the migrations make, and how it differs.
    compared: bool,
    differences: Vec<String>,
    /// Whether it was recorded.
    written: bool,
}

#[derive(Serialize)]
struct AdoptedMigrationJson {
    version: String,
    name: String,
    at: Option<String>,
    by: Option<String>,
    checksum: &'static str,
}

impl From<&AdoptedMigration> for AdoptedMigrationJson {
    fn from(one: &AdoptedMigration) -> Self {
        Self {
            version: one.migration.version().to_string(),
            name: one.migration.name().to_owned(),
            at: one.row.at.clone(),
            by: one.row.by.clone(),
            checksum: checksum(one.checksum),
        }
    }
}

/// The length of a time without fractions of a second.
const SECONDS: usize = "2024-01-01 00:00:00".len();

fn checksum(of: ForeignChecksum) -> &'static str {
    match of {
        ForeignChecksum::Same => "verified",
        ForeignChecksum::Differs => "differs",
        ForeignChecksum::NotKept => "not kept",
        ForeignChecksum::NotCompared => "not compared",
    }
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &AdoptArgs) -> Result<Exit> {
    if let Some(folder) = &options.capture {
        return capture::run(context, folder).await;
    }
    if options.convert {
        return convert::run(context, options.yes);
    }
    let mut runner = Runner::new(context, code.clone(), RunOptions::default()).await?;
    let outcome = adopt(&mut runner, &code, options).await;
    runner.close().await;
    let (document, exit) = outcome?;
    context.output.document(&DocumentJson::new("adopt", &context.name, document));
    Ok(exit)
}

async fn adopt(runner: &mut Runner<'_>, code: &CodeMigrations, options: &AdoptArgs) -> Result<(AdoptJson, Exit)> {
    let context = runner.context;
    let ledger = match options.from.as_deref().and_then(named_table) {
        Some((tool, table)) => {
            let found = runner.migrator.ledger_of_other(tool, &table).await?;
            chosen(found.into_iter().collect(), None)?
        }
        None => chosen(runner.migrator.ledgers_of_others().await?, options.from.as_deref())?,
    };
    let state = runner.migrator.state().await?;
    let set = runner.migrator.migrations().clone();
    let adoption = Adoption::plan(&ledger, &set, &state)
        .map_err(|findings| Failure::Core(Error::of(ErrorKind::Plan, findings).note("nothing was recorded")))?;
    let mut document = document(&adoption);
    show(context, &document);
    if adoption.is_empty() {
        context.output.line(format!("nothing to do: this ledger has everything that {} applied", document.tool));
        context.output.next("`cargo xtask migrate` applies what is pending");
        return Ok((document, Exit::Done));
    }
    let newest = adoption.newest.as_ref();
    if options.without_comparison {
        let told =
            format!("{}: nobody knows whether the schema is what the migrations make", paint(WARN, "not compared"));
        context.output.line(format!("  {told}"));
    } else {
        let taken = adoption.taken.iter().map(|one| one.migration.version());
        let before = set.repeatables().iter().filter(|one| state.ran_as_it_is(one) == Some(true));
        let chain = ComparedChain {
            set: &set,
            version: newest,
            repeated: taken.chain(before.map(|one| one.version())).cloned().collect(),
            changed: &adoption.changed,
        };
        document.differences = upto::differences(context, &chain, code).await?;
        document.compared = true;
        if !document.differences.is_empty() {
            upto::show(context, &document.differences, "not adopted", newest);
            return Ok((document, Exit::Found));
        }
        let same = format!("the schema is what the migrations {} make", upto::reach(newest));
        context.output.line(format!("  {} {same}", paint(GOOD, "compared:")));
        for one in &adoption.changed {
            let told = format!(
                "{one} was changed since it ran: `cargo xtask migrate` runs it, and what it makes was not compared"
            );
            context.output.line(format!("  {} {told}", paint(WARN, "note:")));
        }
    }
    if !options.yes {
        let count = style::count(document.taken.len() + document.given_back.len(), "migration");
        context.output.line(format!("\n{DIM}{count} would be recorded; nothing was changed{DIM:#}"));
        context.output.next(format!("`cargo xtask adopt {} --yes` records this; it runs nothing", context.aim()));
        return Ok((document, Exit::Done));
    }
    context.name_commit(&mut runner.migrator).await;
    runner.migrator.take_over(&adoption, &state).await?;
    document.written = true;
    tell(context, &document);
    Ok((document, Exit::Done))
}

/// A tool with its table: `goose:public.versions`.
fn named_table(from: &str) -> Option<(&'static ForeignTool, QualifiedName)> {
    let (tool, table) = from.split_once(':')?;
    Some((ForeignTool::named(tool)?, QualifiedName::parse(table)?))
}

/// The ledger to adopt.
fn chosen(found: Vec<ForeignLedger>, from: Option<&str>) -> Result<ForeignLedger> {
    let is_meant =
        |ledger: &ForeignLedger| from.is_none_or(|from| from == ledger.tool.name() || from == ledger.table.plain());
    let (mut meant, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_meant);
    let names = |ledgers: &[ForeignLedger]| {
        let one = |ledger: &ForeignLedger| format!("{} ({})", ledger.table.plain(), ledger.tool.name());
        ledgers.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let finding = match (meant.len(), others.len()) {
        (1, _) => return Ok(meant.remove(0)),
        (0, 0) => Finding::new(codes::OTHER_LEDGER_NONE, "this database has no ledger of another tool")
            .note("looked for the tables of every tool that is known: `cargo xtask explain other-ledger` names them")
            .help("if the tool uses a table with another name: `--from TOOL:SCHEMA.TABLE`")
            .help("`cargo xtask baseline --mark` records migrations as applied if the schema is what they make"),
        (0, _) => Finding::new(codes::OTHER_LEDGER_NONE, "this database has no such ledger")
            .note(format!("it has {}", names(&others)))
            .help("name the tool or the table with --from"),
        (..) => Finding::new(codes::OTHER_LEDGER_SEVERAL, "this database has more than one ledger of another tool")
            .note(format!("it has {}", names(&meant)))
            .help("name the table with --from"),
    };
    Err(Failure::Core(Error::new(ErrorKind::Plan, finding)))
}

fn document(adoption: &Adoption) -> AdoptJson {
    let ledger = &adoption.ledger;
    AdoptJson {
        tool: ledger.tool.name(),
        table: ledger.table.plain(),
        applied: adoption.applied,
        newest: ledger.applied().last().map(|row| row.key.clone()),
        taken: adoption.taken.iter().map(AdoptedMigrationJson::from).collect(),
        given_back: adoption.given_back.iter().map(ToString::to_string).collect(),
        compared: false,
        differences: Vec::new(),
        written: false,
    }
}

/// What would be recorded.
fn show(context: &Context<'_>, document: &AdoptJson) {
    let output = context.output;
    let applied = style::count(document.applied, "migration");
    output.line(format!("{BOLD}{}{BOLD:#}: {applied} applied according to {}", document.tool, document.table));
    let mut lines = TextTable::default();
    for one in &document.taken {
        let at = one.at.as_deref().map(|at| at.get(..SECONDS).unwrap_or(at));
        let when = [at, one.by.as_deref().map(|_| "by"), one.by.as_deref()];
        let when: Vec<&str> = when.into_iter().flatten().collect();
        lines.row([
            (GOOD, "applied".to_owned()),
            (BOLD, one.version.clone()),
            (PLAIN, one.name.clone()),
            (DIM, when.join(" ")),
            (DIM, format!("checksum {}", one.checksum)),
        ]);
    }
    for version in &document.given_back {
        lines.row([(WARN, "rolled back".to_owned()), (BOLD, version.clone())]);
    }
    output.lines(&lines.lines());
    if ForeignTool::named(document.tool).is_some_and(ForeignTool::has_only_newest) && !document.taken.is_empty() {
        let remark = format!("{} records only its newest version: every older file counts as applied", document.tool);
        output.line(format!("  {} {remark}", paint(WARN, "note:")));
    }
}

/// What was recorded.
fn tell(context: &Context<'_>, document: &AdoptJson) {
    let (output, tool) = (context.output, document.tool);
    if !document.taken.is_empty() {
        let taken = style::count(document.taken.len(), "migration");
        output.line(format!("  {} {taken} from {tool}, without running anything", paint(GOOD, "adopted")));
    }
    if !document.given_back.is_empty() {
        let back = style::count(document.given_back.len(), "migration");
        output.line(format!("  {} {back} as rolled back by {tool}", paint(GOOD, "recorded")));
    }
    output.line(format!(
        "  {DIM}{} is unchanged: {tool} still works, but it would run again what is applied from now on{DIM:#}",
        document.table
    ));
    output.next(format!("`cargo xtask status {}` shows what is applied and pending", context.aim()));
}
