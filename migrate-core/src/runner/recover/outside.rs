//! For a run that failed because an object already exists or does not exist: finds out whether somebody else created or
//! removed it.
//!
//! This happens after the failure, on a separate connection and for a limited time, and only adds to the error: if
//! anything is uncertain or fails, the error stays as it is.

use std::time::Duration;

use migrate_base::db::{Database, ReadOnlySession};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::ident::{QualifiedName, literal};
use migrate_schema::{self as schema, Id, Schema};

use crate::audit::{self, DdlFilter, DdlRecord};
use crate::drift::{self, ChangePeriod, DriftDifference, DriftKind, ExistenceFault, FingerprintHistory, ReportedName};
use crate::ledger::HistoryEntry;
use crate::ours;
use crate::runner::{LedgerState, Migrator};
use crate::source::{Migration, MigrationBody};

/// How long the investigation of a failure may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of a database after a failure.
struct FailureState {
    schema: Schema,
    records: Vec<DdlRecord>,
    /// Whether a migration wrote a catalog row with this name.
    is_ours: bool,
}

impl Migrator {
    /// Adds to an error what is known for certain about the object that it names.
    pub(in crate::runner) async fn tell_of_others(&mut self, error: Error) -> Error {
        let fault = error.sqlstate().and_then(ExistenceFault::of).filter(|_| error.kind() == ErrorKind::Statement);
        let named = error.findings().first().and_then(|finding| ReportedName::read(&finding.message));
        let Some((fault, named)) = fault.zip(named) else { return error };
        match tokio::time::timeout(PATIENCE, self.story(fault, &named)).await {
            Ok(Ok(story)) => story.into_iter().fold(error, |error, told| match told {
                ErrorRemark::Note(note) => error.note(note),
                ErrorRemark::Help(help) => error.help(help),
            }),
            Ok(Err(_)) | Err(_) => error,
        }
    }

    async fn story(&mut self, fault: ExistenceFault, named: &ReportedName) -> Result<Vec<ErrorRemark>> {
        let state = self.state().await?;
        let history = self.history().await?;
        let ledger = &self.options.ledger;
        let scene = look(&self.database, ledger, named).await?;
        let applied: Option<Vec<&Migration>> =
            state.applied().map(|one| self.set.get(&one.version).map(|migration| &**migration)).collect();
        let candidates: Vec<&Id> = scene.schema.objects().map(|one| &*one.id).filter(|id| named.fits(id)).collect();
        // Objects that the failed transaction created are gone with it, and a name with several matches is ambiguous.
        let (id, is_there) = match candidates.as_slice() {
            [id] => (Some(*id), true),
            several => (None, !several.is_empty()),
        };
        let told = match fault {
            ExistenceFault::Exists if id.is_none() => return Ok(Vec::new()),
            ExistenceFault::Missing if is_there => return Ok(Vec::new()),
            fault => drift::culprit(fault, named, id, &scene.records),
        };
        let is_known = told.is_some()
            || match (fault, &applied) {
                (_, None) => false,
                (ExistenceFault::Exists, Some(applied)) => is_strange(&state, applied, named) && !scene.is_ours,
                (ExistenceFault::Missing, Some(applied)) => drift::made_by(applied, named).is_some(),
            };
        if !is_known {
            return Ok(Vec::new());
        }
        let maker = applied.as_deref().and_then(|applied| drift::made_by(applied, named));
        let what = id.map_or_else(|| shown(named), ToString::to_string);
        Ok(tell(fault, &what, told, maker, &bounds(fault, id, &scene.schema, &history)))
    }
}

enum ErrorRemark {
    Note(String),
    Help(String),
}

fn tell(
    fault: ExistenceFault,
    what: &str,
    record: Option<&DdlRecord>,
    maker: Option<&Migration>,
    bounds: &ChangePeriod,
) -> Vec<ErrorRemark> {
    let made = match fault {
        ExistenceFault::Exists => "created",
        ExistenceFault::Missing => "removed",
    };
    let mut first = format!("{what} was {made} outside the migrations");
    if let Some(record) = record {
        first += &format!(", at {} by {}", record.at, record.by());
    } else if fault == ExistenceFault::Exists {
        first += ": no migration applied here names it";
    } else if let Some(maker) = maker {
        first += &format!(": {}_{} created it, and no later migration removed it", maker.version(), maker.name());
    }
    let mut all = vec![ErrorRemark::Note(first)];
    all.extend(record.and_then(|one| one.statement.as_ref()).map(|text| {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        ErrorRemark::Note(format!("the statement was: {}", flat.chars().take(300).collect::<String>()))
    }));
    let when = match (&bounds.after, &bounds.before) {
        _ if record.is_some() => None,
        (Some(after), Some(before)) => Some(format!(
            "that was after {after} and before {before}: a run saw the schema without it, then a run saw it"
        )),
        (Some(after), None) => Some(format!("that was after {after}, when a run saw the schema without it")),
        (None, Some(before)) => Some(format!("that was before {before}, when the last run ended")),
        (None, None) => None,
    };
    all.extend(when.map(ErrorRemark::Note));
    let help = match fault {
        ExistenceFault::Exists => {
            "`cargo xtask drift` shows every difference; if a pending migration creates it, \
             `cargo xtask drift --mark VERSION` records that migration as applied, and `--sql` shows what is still \
             missing; `--adopt NAME` writes a migration for what exists"
        }
        ExistenceFault::Missing => {
            "`cargo xtask drift` shows every difference, and with --sql the statements that restore it"
        }
    };
    all.push(ErrorRemark::Help(help.to_owned()));
    all
}

fn shown(named: &ReportedName) -> String {
    named.parent.as_ref().map_or_else(|| named.name.clone(), |parent| format!("{} of {parent}", named.name))
}

/// Whether no migration that is applied or started can have created it.
fn is_strange(state: &LedgerState, applied: &[&Migration], named: &ReportedName) -> bool {
    let is_sql = |one: &&Migration| matches!(one.body(), MigrationBody::Sql { .. });
    state.unfinished().is_none() && applied.iter().all(is_sql) && !applied.iter().any(|one| drift::may_make(one, named))
}

/// When it appeared or disappeared, according to the fingerprints in the ledger.
fn bounds(fault: ExistenceFault, id: Option<&Id>, schema: &Schema, history: &[HistoryEntry]) -> ChangePeriod {
    let Some(id) = id.filter(|_| fault == ExistenceFault::Exists) else {
        let now = schema.fingerprint();
        let last = history.iter().rev().find_map(|row| Some((row.at.clone(), row.fingerprint.as_ref()?)));
        return ChangePeriod { after: None, before: last.filter(|(_, print)| **print == now).map(|(at, _)| at) };
    };
    let difference = DriftDifference { object: id.clone().into(), what: DriftKind::Extra, sentences: Vec::new() };
    let expected = schema.clone().as_in(&Schema::default(), |object| drift::belongs(&object.id, id));
    FingerprintHistory::new(history, &expected, schema, &[difference]).bounds(0)
}

/// Reads the present state, in read-only transactions.
async fn look(database: &Database, ledger: &QualifiedName, named: &ReportedName) -> Result<FailureState> {
    let recording = audit::recording(database, ledger).await?;
    let mut reader = ReadOnlySession::open(database).await?;
    let schema = ours::without(schema::read_with(&mut reader).await?, ledger);
    let records = match recording.has_records && recording.readable {
        true => audit::list(&mut reader, ledger, &DdlFilter::recent()).await?,
        false => Vec::new(),
    };
    let rows = reader.ask("find out who wrote to a catalog", &written_by_us(ledger, named)).await?;
    reader.close().await;
    let is_ours = rows.first().and_then(|row| row.first()?.as_deref()) != Some("f");
    Ok(FailureState { schema, records, is_ours })
}

/// Whether a catalog row with this name was written by a transaction that also wrote to the ledger.
fn written_by_us(ledger: &QualifiedName, named: &ReportedName) -> String {
    let name = literal(&named.name);
    let rows = match &named.parent {
        Some(parent) => {
            let of = |column: &str| {
                format!("{column} IN (SELECT oid FROM pg_catalog.pg_class WHERE relname = {})", literal(parent))
            };
            [
                ("pg_attribute", "attname", "attrelid"),
                ("pg_constraint", "conname", "conrelid"),
                ("pg_trigger", "tgname", "tgrelid"),
                ("pg_policy", "polname", "polrelid"),
            ]
            .map(|(catalog, column, relation)| {
                format!("SELECT xmin FROM pg_catalog.{catalog} WHERE {column} = {name} AND {}", of(relation))
            })
            .join(" UNION ALL ")
        }
        None => {
            let columns = format!(
                "SELECT a.xmin FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
                 WHERE c.relname = {name} AND a.attnum > 0"
            );
            [
                ("pg_class", "relname"),
                ("pg_type", "typname"),
                ("pg_proc", "proname"),
                ("pg_namespace", "nspname"),
                ("pg_extension", "extname"),
            ]
            .map(|(catalog, column)| format!("SELECT xmin FROM pg_catalog.{catalog} WHERE {column} = {name}"))
            .into_iter()
            .chain([columns])
            .collect::<Vec<_>>()
            .join(" UNION ALL ")
        }
    };
    format!("SELECT EXISTS (SELECT FROM ({rows}) AS written JOIN {ledger} l ON l.xmin = written.xmin)")
}
