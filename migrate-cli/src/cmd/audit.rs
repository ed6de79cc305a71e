//! `audit`: record every DDL command in a database, and show the records.

use migrate_base::codes;
use migrate_base::db::ReadOnlySession;
use migrate_core::audit::{self, AuditState, DdlFilter, DdlRecord};
use serde::Serialize;

use crate::cli;
use crate::confirm::confirm;
use crate::context::{APPLICATION, Context};
use crate::exit::{Exit, Failure, Result};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN, paint};
use crate::output::{DocumentJson, TextTable};
use crate::shared_json::DdlRecordJson;

#[derive(Serialize)]
struct AuditStatusJson {
    recording: bool,
    has_records: bool,
    readable: bool,
    table: String,
}

#[derive(Serialize)]
struct AuditShowJson {
    records: Vec<DdlRecordJson>,
}

pub(crate) async fn run(context: &Context<'_>, command: Option<&cli::AuditCommand>) -> Result<Exit> {
    let ledger = &context.environment.ledger;
    match command {
        None | Some(cli::AuditCommand::Status) => status(context).await,
        Some(cli::AuditCommand::Install { yes }) => {
            let database = context.reach().await?;
            confirm(context, *yes, "Its DDL will be recorded.")?;
            audit::install(&database, ledger, APPLICATION).await?;
            let name = context.title();
            context.output.line(format!("  {} every DDL command in {name} from now on", paint(GOOD, "recording")));
            context.output.next(format!(
                "`cargo xtask audit show {}` lists the records; `drift` uses them to report who made a change",
                context.aim()
            ));
            status_json(context, &audit::recording(&database, ledger).await?)
        }
        Some(cli::AuditCommand::Uninstall { purge, yes }) => {
            let database = context.reach().await?;
            let records = if *purge { " The records will be dropped." } else { "" };
            confirm(context, *yes, &format!("Its DDL will no longer be recorded.{records}"))?;
            let before = audit::recording(&database, ledger).await?;
            audit::uninstall(&database, ledger, APPLICATION, *purge).await?;
            context.output.line(stopped(&before, *purge, &context.title()));
            status_json(context, &audit::recording(&database, ledger).await?)
        }
        Some(cli::AuditCommand::Show { object, since, count }) => {
            let filter = DdlFilter { object: object.clone(), since: since.clone(), count: *count };
            show(context, &filter).await
        }
    }
}

/// What stopping did in a database that recorded as `before`.
fn stopped(before: &AuditState, purge: bool, name: &str) -> String {
    match (before.on, before.has_records && purge) {
        (true, true) => format!("{BOLD}recording stopped{BOLD:#} in {name}, and the records were dropped"),
        (true, false) => format!("{BOLD}recording stopped{BOLD:#} in {name}"),
        (false, true) => format!("{BOLD}records dropped{BOLD:#} in {name}; recording was off"),
        (false, false) => format!("nothing to do: DDL in {name} is not recorded"),
    }
}

async fn status(context: &Context<'_>) -> Result<Exit> {
    let recording = audit::recording(&context.reach().await?, &context.environment.ledger).await?;
    let output = context.output;
    let name = context.title();
    output.line(match (recording.on, recording.has_records) {
        (true, true) => format!("{} DDL in {name} is recorded", paint(GOOD, "on:")),
        (true, false) => {
            format!("{} the audit table is missing from {name}: nothing is recorded", paint(BAD, "broken:"))
        }
        (false, true) => {
            format!("{} DDL in {name} is no longer recorded; the existing records are still there", paint(WARN, "off:"))
        }
        (false, false) => format!("{} DDL in {name} was never recorded", paint(WARN, "off:")),
    });
    if recording.has_records && !recording.readable {
        let table = audit::table(&context.environment.ledger);
        output.line(format!("this role may not read the records: GRANT SELECT ON {table} TO …;"));
    }
    if !(recording.on && recording.has_records) {
        output.next(format!("`cargo xtask audit install {}` starts recording; it needs a superuser", context.aim()));
    }
    status_json(context, &recording)
}

fn status_json(context: &Context<'_>, recording: &AuditState) -> Result<Exit> {
    let AuditState { on, has_records, readable, .. } = *recording;
    let table = audit::table(&context.environment.ledger).to_string();
    let json = AuditStatusJson { recording: on && has_records, has_records, readable, table };
    context.output.document(&DocumentJson::new("audit", &context.name, json));
    Ok(Exit::Done)
}

async fn show(context: &Context<'_>, filter: &DdlFilter) -> Result<Exit> {
    let database = context.reach().await?;
    let ledger = &context.environment.ledger;
    let recording = audit::recording(&database, ledger).await?;
    if !recording.has_records {
        return Err(Failure::failed(codes::NO_AUDIT, format!("the DDL of {} was never recorded", context.title()))
            .help(format!("`cargo xtask audit install {}` starts recording; it needs a superuser", context.aim())));
    }
    let mut reader = ReadOnlySession::open(&database).await?;
    let records = audit::list(&mut reader, ledger, filter).await?;
    reader.close().await;
    if records.is_empty() {
        context.output.line("no matching records");
    }
    context.output.lines(&table(&records).lines());
    if context.output.verbose {
        for record in &records {
            let statement = record.statement.as_deref().unwrap_or("not recorded: it may hold a password");
            context.output.quoted(format!(
                "\n{DIM}-- {} {}{DIM:#}\n{statement}",
                style::moment(&record.at),
                record.command
            ));
        }
    }
    let records = records.into_iter().map(DdlRecordJson::from).collect();
    context.output.document(&DocumentJson::new("audit", &context.name, AuditShowJson { records }));
    Ok(Exit::Done)
}

fn table(records: &[DdlRecord]) -> TextTable {
    let plain = style::PLAIN;
    let mut table = TextTable::default();
    for record in records {
        let (style, who) = match &record.migration {
            Some(migration) => (DIM, migration.clone()),
            None => (WARN, record.by()),
        };
        let object = record.object.clone().unwrap_or_default();
        table.row([
            (DIM, style::moment(&record.at)),
            (BOLD, record.command.clone()),
            (plain, record.object_type.clone().unwrap_or_default()),
            (plain, object),
            (style, who),
        ]);
    }
    table
}
