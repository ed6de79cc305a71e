//! What a run would do to a database that is in use, gathered before the confirmation: its SQL, the data that it
//! destroys, the locks that it needs, who is connected, what may block it, and whether to roll back or fix forward.

mod advice;
mod loss;
mod show;

use std::collections::BTreeSet;
use std::time::Duration;

use migrate_base::db::ReadOnlySession;
use migrate_base::ident::{QualifiedName, plain};
use migrate_base::lock_mode::LockMode;
use migrate_core::source::title;
use migrate_core::{Direction, Plan, PlanStep, StepWork};
use migrate_review::effect::{self, Effects};
use migrate_review::evidence::{self, RowCount, ServerSituation};
use migrate_review::locks::{self, StatementLock};
use migrate_schema::Schema;
use serde::{Serialize, Serializer};

use crate::exit::Result;
use crate::output::style;

pub(crate) use advice::Advice;

/// A transaction that has been open for this long is reported.
const LONG: Duration = Duration::from_secs(30);

/// What a run would do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Brief {
    pub(crate) steps: Vec<StepBrief>,
    /// The data that is lost, counted in the database.
    pub(crate) losses: Vec<LossBrief>,
    pub(crate) situation: SituationJson,
    /// Tables that the run changes and that belong to a role of which the connecting role is not a member.
    pub(crate) not_owned: Vec<String>,
    /// Only for a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<Advice>,
}

/// One script.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepBrief {
    pub(crate) direction: &'static str,
    pub(crate) version: String,
    pub(crate) name: String,
    /// `additive`, `changing` or `destructive`; `unknown` if it cannot be read from the script.
    pub(crate) kind: &'static str,
    pub(crate) no_transaction: bool,
    pub(crate) locks: Vec<LockBrief>,
    /// Statements whose effects cannot be read from the script.
    pub(crate) unknown: Vec<String>,
    /// `None` for a migration in Rust.
    pub(crate) sql: Option<String>,
}

/// A lock that a script needs on an existing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LockBrief {
    pub(crate) table: String,
    pub(crate) mode: &'static str,
    pub(crate) blocks: &'static str,
    /// What happens to all rows while it is held: `read`, `rewritten`; `unknown` for a table that is not in the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<&'static str>,
}

impl LockBrief {
    /// A lock for reading blocks nobody in practice, and is left out.
    fn of(wanted: &StatementLock) -> Option<Self> {
        if wanted.mode < LockMode::RowExclusive {
            return None;
        }
        let table = match &wanted.table.schema {
            Some(schema) => shown(&QualifiedName::new(&**schema, &*wanted.table.name)),
            None => plain(&wanted.table.name),
        };
        let rows = match wanted.work {
            locks::RowWork::Nothing => None,
            locks::RowWork::Unknown => Some("unknown"),
            locks::RowWork::Reads => Some("read"),
            locks::RowWork::Rewrites => Some("rewritten"),
        };
        let (mode, blocks) = (wanted.mode.as_str(), wanted.mode.blocks());
        Some(Self { table, mode, blocks, rows })
    }
}

/// What a table loses.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LossBrief {
    pub(crate) version: String,
    pub(crate) table: String,
    /// `DROP TABLE`, `DROP COLUMN`, `DELETE`, `new values`.
    pub(crate) by: &'static str,
    /// Whether a condition decides which of the rows are lost.
    pub(crate) at_most: bool,
    #[serde(serialize_with = "count")]
    pub(crate) rows: RowCount,
    /// The lost columns, with how many rows have a value in them.
    pub(crate) columns: Vec<ColumnLossBrief>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ColumnLossBrief {
    pub(crate) column: String,
    #[serde(serialize_with = "count")]
    pub(crate) values: RowCount,
}

/// The situation in which a run would start.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct SituationJson {
    pub(crate) server: String,
    pub(crate) read_only: bool,
    pub(crate) sessions: Vec<SessionJson>,
    pub(crate) long_transactions: Vec<LongTransactionJson>,
    pub(crate) replicas: u64,
    pub(crate) replica_lag_bytes: Option<u64>,
    pub(crate) replica_lag_seconds: Option<u64>,
    pub(crate) idle_slots: Vec<SlotJson>,
    pub(crate) invalid_indexes: Vec<String>,
    /// The size of the database on disk.
    pub(crate) bytes: u64,
    /// Whether the role may write into the ledger.
    pub(crate) may_record: bool,
    /// The schema for unqualified names, if the role may not create objects in it.
    pub(crate) closed_schema: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SessionJson {
    pub(crate) application: String,
    pub(crate) role: String,
    pub(crate) count: u64,
}

/// An inactive replication slot, and how much WAL the server retains for it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SlotJson {
    pub(crate) slot: String,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct LongTransactionJson {
    pub(crate) pid: u32,
    pub(crate) role: String,
    pub(crate) application: String,
    pub(crate) seconds: u64,
    pub(crate) state: String,
    pub(crate) word: String,
}

impl Brief {
    /// Gathers it. Nothing is written, and no lock is taken that could block anybody.
    ///
    /// `ledger` is the ledger of the environment. `own` is the application name of our other connection to the
    /// database, which is not reported. `keeps` says whether the data that is destroyed is kept.
    pub(crate) async fn gather(
        reader: &mut ReadOnlySession,
        plan: &Plan,
        schema: &Schema,
        ledger: &QualifiedName,
        exact: u64,
        own: &str,
        keeps: bool,
    ) -> Result<Self> {
        let effects: Vec<Effects> = plan.steps().iter().map(effects).collect();
        let losses = loss::count(reader, plan, &effects, schema, exact).await?;
        let mut situation = SituationJson::from(evidence::situation(reader, ledger, LONG).await?);
        let steps = step_briefs(plan.steps(), effects, schema, major(&situation.server));
        situation.leave_out(own);
        let not_owned = not_owned(reader, &steps).await?;
        let is_rollback = plan.steps().first().is_some_and(|step| step.direction == Direction::Down);
        let advice = is_rollback.then(|| Advice::of(plan, &losses, keeps));
        Ok(Self { steps, losses, situation, not_owned, advice })
    }
}

impl Brief {
    /// What destroys data, one sentence each.
    pub(crate) fn destroyed(&self) -> LossSummary {
        let unknown = self
            .steps
            .iter()
            .flat_map(|step| step.unknown.iter().map(|what| unknown_of(&title(&step.version, &step.name), what)));
        LossSummary::of(&self.losses, unknown.collect())
    }
}

/// What a run destroys, and what it may destroy, one sentence each.
#[derive(Debug, Default)]
pub(crate) struct LossSummary {
    lost: Vec<String>,
    /// What cannot be read from the scripts.
    unknown: Vec<String>,
}

impl LossSummary {
    fn of(losses: &[LossBrief], unknown: Vec<String>) -> Self {
        Self { lost: losses.iter().filter(|loss| loss.is_real()).map(LossBrief::sentence).collect(), unknown }
    }

    /// Whether it is certain that nothing is destroyed.
    pub(crate) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.unknown.is_empty()
    }

    /// Whether it is certain that something is destroyed.
    pub(crate) fn is_certain(&self) -> bool {
        !self.lost.is_empty()
    }

    /// The lines for the terminal.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lost = self.lost.iter().map(|loss| format!("{} {loss}", style::paint(style::BAD, "would be lost:")));
        let unknown = self.unknown.iter();
        let unknown = unknown.map(|what| format!("{} {what}", style::paint(style::WARN, "may destroy data")));
        lost.chain(unknown).collect()
    }
}

/// Whether it can be read from the script of a step that it destroys no data.
pub(crate) fn is_harmless(step: &PlanStep) -> bool {
    let effects = effects(step);
    effects.taken.is_empty() && effects.unknown.is_empty()
}

/// What the steps destroy of the existing data, one sentence each.
pub(crate) async fn destroyed(
    reader: &mut ReadOnlySession,
    plan: &Plan,
    schema: &Schema,
    exact: u64,
) -> Result<LossSummary> {
    let effects: Vec<Effects> = plan.steps().iter().map(effects).collect();
    let losses = loss::count(reader, plan, &effects, schema, exact).await?;
    let unknown = plan.steps().iter().zip(effects).flat_map(|(step, effects)| {
        let title = step.version.title(&step.name);
        effects.unknown.into_iter().map(move |what| unknown_of(&title, &what))
    });
    Ok(LossSummary::of(&losses, unknown.collect()))
}

fn unknown_of(title: &str, what: &str) -> String {
    format!("{title}: the effects of {what} cannot be read from the script")
}

impl LossBrief {
    /// Whether any data exists that could be lost.
    fn is_real(&self) -> bool {
        self.rows.number() > 0
            && (self.columns.is_empty() || self.columns.iter().any(|column| column.values.number() > 0))
    }
}

/// The major version of a server; a version that cannot be parsed counts as new.
fn major(version: &str) -> u32 {
    let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(u32::MAX)
}

fn step_briefs(steps: &[PlanStep], effects: Vec<Effects>, schema: &Schema, major: u32) -> Vec<StepBrief> {
    let script = |step: &'_ PlanStep| if let StepWork::Sql(script) = &step.work { Some(script.clone()) } else { None };
    let scripts: Vec<_> = steps.iter().filter_map(script).collect();
    let mut locks = effect::locks(scripts.iter().map(|script| &**script), schema, major).into_iter();
    let one = |(step, effects): (&PlanStep, Effects)| {
        let of_step = script(step).and_then(|_| locks.next()).unwrap_or_default();
        step_brief(step, effects, of_step.iter().filter_map(LockBrief::of).collect())
    };
    steps.iter().zip(effects).map(one).collect()
}

fn step_brief(step: &PlanStep, effects: Effects, locks: Vec<LockBrief>) -> StepBrief {
    StepBrief {
        direction: step.direction.as_str(),
        version: step.version.to_string(),
        name: step.name.clone(),
        kind: match step.work {
            StepWork::Code => "unknown",
            _ if !effects.taken.is_empty() => "destructive",
            _ if !effects.unknown.is_empty() => "unknown",
            _ if effects.changes => "changing",
            StepWork::Sql(_) => "additive",
        },
        no_transaction: step.no_transaction(),
        locks,
        sql: match &step.work {
            StepWork::Sql(script) => Some(script.text().to_string()),
            StepWork::Code => None,
        },
        unknown: effects.unknown,
    }
}

fn effects(step: &PlanStep) -> Effects {
    match &step.work {
        StepWork::Sql(script) => Effects::of(script),
        StepWork::Code => Effects { unknown: vec!["a function in Rust".to_owned()], ..Effects::default() },
    }
}

/// The tables with locks that only the owner can take, if the connecting role is not the owner.
async fn not_owned(reader: &mut ReadOnlySession, steps: &[StepBrief]) -> Result<Vec<String>> {
    let strong = steps.iter().flat_map(|step| &step.locks).filter(|lock| lock.mode != "row exclusive");
    let tables: BTreeSet<&str> = strong.map(|lock| lock.table.as_str()).collect();
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let list = tables.iter().map(|table| migrate_base::ident::literal(table)).collect::<Vec<_>>().join(", ");
    let query = format!(
        "SELECT t FROM pg_catalog.unnest(ARRAY[{list}]) AS t \
         JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t) \
         WHERE NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY t"
    );
    let rows = reader.ask("read who owns the tables", &query).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next()?).collect())
}

/// The qualified name of a table, quoted where the server needs it.
pub(crate) fn shown(table: &QualifiedName) -> String {
    format!("{}.{}", plain(table.schema()), plain(table.name()))
}

/// Writes `{"number": 12, "exact": true}`, because a plain number would hide whether it is an estimate.
pub(crate) fn count<S: Serializer>(count: &RowCount, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct CountJson {
        number: u64,
        exact: bool,
    }
    CountJson { number: count.number(), exact: count.is_exact() }.serialize(serializer)
}

impl SituationJson {
    /// Forgets one session of an application.
    fn leave_out(&mut self, application: &str) {
        if let Some(own) = self.sessions.iter_mut().find(|session| session.application == application) {
            own.count = own.count.saturating_sub(1);
        }
        self.sessions.retain(|session| session.count > 0);
    }
}

impl From<ServerSituation> for SituationJson {
    fn from(situation: ServerSituation) -> Self {
        let session = |(application, role, count)| SessionJson { application, role, count };
        let long = |one: evidence::LongTransaction| LongTransactionJson {
            pid: one.pid,
            role: one.role,
            application: one.application,
            seconds: one.seconds,
            state: one.state,
            word: one.word,
        };
        Self {
            server: situation.version,
            read_only: situation.read_only,
            sessions: situation.sessions.into_iter().map(session).collect(),
            long_transactions: situation.long.into_iter().map(long).collect(),
            replicas: situation.replicas.count,
            replica_lag_bytes: situation.replicas.bytes,
            replica_lag_seconds: situation.replicas.seconds,
            idle_slots: situation.idle_slots.into_iter().map(|(slot, bytes)| SlotJson { slot, bytes }).collect(),
            invalid_indexes: situation.invalid_indexes,
            bytes: situation.bytes,
            may_record: situation.may_record,
            closed_schema: situation.closed_schema,
        }
    }
}
