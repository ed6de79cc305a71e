//! Compares an environment with what its ledger and the files say it should be: finds the differences, when they came
//! about, and who made them.

mod between;
mod json;
mod partly;
mod sides;
mod text;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use migrate_base::codes::{self, Code};
use migrate_base::db::ReadOnlySession;
use migrate_base::finding::{Finding, Severity};
use migrate_core::audit::{self, AuditState, DdlFilter, DdlRecord};
use migrate_core::drift::{self, ChangePeriod, DriftDifference, FingerprintHistory};
use migrate_core::{
    CodeMigrations, Database, Error, ErrorKind, HistoryEntry, Migration, MigrationSet, Status, Version,
};
use migrate_schema::ddl::LEFT_OUT;
use migrate_schema::{Id, Object, Schema, SchemaChange, SchemaDescription};
use migrate_test::shape::{self, ChainSplit, LeftOut, NamedChain, ObjectHistory, TranslatedSchema};

use crate::context::{Context, MigratorOptions};
use crate::exit::{Failure, Result};
use crate::invocation::quote;
use crate::shadow;

pub(crate) use json::{DriftJson, PendingPartsJson};
pub(crate) use partly::{PendingParts, not_compared, warnings};
pub(crate) use text::lines;

/// The chain according to the ledger and the files.
#[derive(Clone)]
pub(crate) struct DriftChain {
    pub(crate) database: Database,
    /// The applied migrations, from the folder.
    pub(crate) applied: Vec<Arc<Migration>>,
    /// The pending migrations.
    pub(crate) pending: Vec<Arc<Migration>>,
    history: Vec<HistoryEntry>,
    /// The objects that baselines declare as left out.
    excused: Vec<String>,
    set: MigrationSet,
    /// The repeatable migrations that ran and have to run again: what they make is not compared.
    due: Vec<Version>,
}

/// The result of a comparison, with everything that is needed to act on it.
pub(crate) struct DriftComparison {
    pub(crate) database: String,
    pub(crate) version: Option<Version>,
    pub(crate) found: Vec<TracedDifference>,
    /// Differences that are not drift: the order of columns.
    pub(crate) notes: Vec<String>,
    /// The repeatable migrations that have to run again: what they make was not compared.
    pub(crate) due: Vec<Version>,
    /// How many differences the rules of `migrate.toml` leave out.
    pub(crate) ignored: usize,
    /// What was not compared, because it cannot be created on the shadow server.
    pub(crate) left_out: Vec<LeftOut>,
    /// When the last run ended that left a fingerprint, if the schema has changed since.
    pub(crate) changed_since: Option<String>,
    pub(crate) recording: AuditState,
    /// The versions of the server of the database and of the shadow server, if they differ.
    pub(crate) versions: Option<(u32, u32)>,
    pub(crate) expected: SchemaDescription,
    pub(crate) there: DatabaseSchema,
}

impl DriftComparison {
    /// Whether everything was compared, and nothing differs.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty() && self.left_out.is_empty()
    }
}

/// A difference with its origin.
pub(crate) struct TracedDifference {
    pub(crate) difference: DriftDifference,
    pub(crate) origin: ObjectHistory,
    pub(crate) bounds: ChangePeriod,
    pub(crate) record: Option<DdlRecord>,
}

impl DriftChain {
    /// Reads the ledger and the folder. Nothing is written.
    pub(crate) async fn read(context: &Context<'_>, code: &CodeMigrations) -> Result<Self> {
        let mut migrator = context.migrator(code.clone(), MigratorOptions::reading()).await?;
        let (status, history) = (migrator.status().await?, migrator.history().await?);
        let (database, set) = (migrator.database().clone(), migrator.migrations().clone());
        migrator.close().await;
        refuse_unknown(context, &status)?;
        let is_pending = |one: &Arc<Migration>| status.pending.iter().any(|pending| pending.version == *one.version());
        let (pending, mut applied): (Vec<_>, Vec<_>) = set.iter().cloned().partition(is_pending);
        applied.extend(set.repeatables().iter().filter(|one| !is_pending(one)).cloned());
        let ran = |version: &Version| history.iter().any(|row| row.version.as_deref() == Some(version.as_str()));
        let due = set.repeatables().iter().filter(|one| is_pending(one) && ran(one.version()));
        let due = due.map(|one| one.version().clone()).collect();
        let excused = status.version.as_ref().map(|version| excused(&set, version)).unwrap_or_default();
        Ok(Self { database, applied, pending, history, excused, set, due })
    }

    /// The chain as it would be with these pending migrations applied.
    pub(crate) fn with_applied(&self, is_meant: impl Fn(&Version) -> bool) -> Self {
        let mut chain = self.clone();
        let all = std::mem::take(&mut chain.pending);
        let (more, pending): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| is_meant(one.version()));
        chain.applied.extend(more);
        chain.pending = pending;
        chain
    }

    /// The newest applied version.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.applied.iter().map(|migration| migration.version()).rfind(|version| !version.is_repeatable())
    }

    /// The schema that the chain makes on a shadow database.
    pub(crate) async fn make(&self, code: &CodeMigrations) -> Result<SchemaDescription> {
        shadow::replay(&self.database).await?;
        let made = shape::leads_to(&self.applied, code).await;
        made.map(Arc::unwrap_or_clone).map_err(|error| of_throwaway(error.into()))
    }

    /// Splits off the last migrations.
    fn split(&self, pending: usize) -> (&[Arc<Migration>], &[Arc<Migration>]) {
        self.applied.split_at(self.applied.len().saturating_sub(pending))
    }

    /// The schemas without and with the last migrations, under the names in the database.
    async fn make_named(&self, ahead: ChainSplit<'_>, code: &CodeMigrations, there: &Schema) -> Result<NamedChain> {
        shadow::replay(&self.database).await?;
        shape::named(ahead, code, there).await.map_err(|error| of_throwaway(error.into()))
    }
}

/// Adds a note: a chain can need something that the shadow server lacks, such as a role or an extension.
fn of_throwaway(failure: Failure) -> Failure {
    match failure {
        Failure::Core(error) => {
            let note =
                "this happened on the shadow server, where the chain is replayed; nothing was run in the environment";
            Failure::Core(error.note(note))
        }
        other => other,
    }
}

/// Refuses to compare if files are missing or edited, because the expected schema is unknown then.
fn refuse_unknown(context: &Context<'_>, status: &Status) -> Result<()> {
    if !status.has_ledger {
        let ledger = &context.environment.ledger;
        let message = format!("{} has no ledger {ledger}, so its expected schema is unknown", context.title());
        let failure = Failure::failed(codes::NO_LEDGER, message)
            .help(format!("`cargo xtask baseline --mark {}` creates a ledger for the existing schema", context.aim()));
        // The address of a database without a name may hold a password.
        let there = if context.named_database { "URL".to_owned() } else { quote(&format!("env:{}", context.name)) };
        return Err(failure
            .help(format!("`cargo xtask diff migrations {there}` compares it with all migrations of the folder")));
    }
    let is_obstacle = |code: Code| {
        matches!(
            code,
            codes::MODIFIED | codes::RENAMED | codes::MISSING_FILE | codes::HALF_SQUASHED | codes::UNFINISHED
        )
    };
    let is_problem = |one: &&Finding| one.severity == Severity::Error && is_obstacle(one.code) || one.code == "running";
    let problems = status.problems.iter().filter(is_problem);
    let mut problems: Vec<_> = problems.cloned().collect();
    // Migrations that are newer than the folder cannot be replayed, so no option accepts them.
    problems.iter_mut().for_each(|one| one.help.retain(|help| !help.contains("--allow-newer")));
    if problems.is_empty() {
        return Ok(());
    }
    let note = "so the expected schema is unknown: the files no longer contain what the ledger says was applied";
    Err(Failure::Core(Error::of(ErrorKind::Plan, problems).note(note)))
}

/// The schema of a database.
pub(crate) struct DatabaseSchema {
    /// In comparable form.
    pub(crate) described: SchemaDescription,
    /// As its own server describes it.
    seen: SchemaDescription,
    left_out: Vec<LeftOut>,
    /// The objects of repeatable migrations that have to run again.
    unknown: HashSet<Arc<Id>>,
    versions: Option<(u32, u32)>,
}

/// The schema that a chain makes, in a form that can be compared with the database.
struct ExpectedSchema {
    described: SchemaDescription,
    /// The same without applying the rules that leave something out.
    all: Schema,
    /// The differences, and how many more there are that a rule leaves out.
    differences: Vec<DriftDifference>,
    ignored: usize,
}

impl DatabaseSchema {
    async fn of(chain: &DriftChain, code: &CodeMigrations, seen: SchemaDescription) -> Result<Self> {
        let TranslatedSchema { there, left_out, versions } = shape::translated(seen.clone(), &chain.database).await?;
        let unknown = shadow::made_by(&chain.set, &chain.due, code).await?;
        Ok(Self { described: there, seen, left_out, unknown, versions })
    }

    /// Compares the database with the schema that a chain makes.
    async fn expects(
        &self,
        context: &Context<'_>,
        chain: &DriftChain,
        made: SchemaDescription,
    ) -> Result<ExpectedSchema> {
        let there = &self.described;
        let mut made = shadow::as_placed_in(made, there).await?;
        let mut not_made = self.unknown.clone();
        for one in &self.left_out {
            match &one.part {
                Some(part) => made.leave_out_part(&one.object, part),
                None => not_made.extend(one.objects().cloned()),
            }
        }
        for line in &chain.excused {
            excuse(&mut made, there, line);
        }
        let all = made.schema.clone();
        made.schema = without_ignored(context, &chain.excused, &not_made, made.schema, there);
        let count = |made: &Schema| drift::differences(made, &there.schema, &context.title());
        let differences = count(&made.schema);
        // Most environments have no rules.
        let has_rules = !(context.config.drift.ignore.is_empty() && not_made.is_empty() && chain.excused.is_empty());
        let ignored = if has_rules { count(&all).len().saturating_sub(differences.len()) } else { 0 };
        Ok(ExpectedSchema { described: made, all, differences, ignored })
    }
}

/// Compares a database with the schema that its chain makes, which is replayed unless `made` already has it.
pub(crate) async fn look(
    context: &Context<'_>,
    code: &CodeMigrations,
    chain: &DriftChain,
    made: Option<SchemaDescription>,
) -> Result<DriftComparison> {
    let make = async {
        match made {
            Some(made) => Ok(made),
            None => chain.make(code).await,
        }
    };
    // The two servers work concurrently.
    let (made, seen) = tokio::join!(make, shadow::database(&chain.database, context));
    let (made, there) = (made?, DatabaseSchema::of(chain, code, seen?).await?);
    let end = made.schema.clone();
    let ExpectedSchema { described: expected, all, differences, ignored } = there.expects(context, chain, made).await?;
    let is_open = |one: &&LeftOut| !is_accepted(context, one, &there.seen.schema);
    let left_out = there.left_out.iter().filter(is_open).cloned().collect();
    let recording = audit::recording(&chain.database, &context.environment.ledger).await?;
    let seen = FingerprintHistory::new(&chain.history, &all, &there.seen.schema, &differences);
    let (records, origins) = match differences.is_empty() {
        true => (Vec::new(), BTreeMap::new()),
        false => {
            let origins = shape::origins(&chain.applied, code, Some(&end)).await?;
            (records(context, chain, &recording).await?, origins)
        }
    };
    let story = |(n, difference): (usize, DriftDifference)| TracedDifference {
        origin: origins.get(&difference.object).cloned().unwrap_or_default(),
        bounds: seen.bounds(n),
        record: drift::who(&difference, &records).cloned(),
        difference,
    };
    Ok(DriftComparison {
        database: chain.database.to_string(),
        version: chain.version().cloned(),
        found: differences.into_iter().enumerate().map(story).collect(),
        notes: SchemaChange::between(&expected.schema, &there.described.schema).order_notes(),
        due: chain.due.clone(),
        ignored,
        left_out,
        changed_since: seen.changed_since().map(str::to_owned),
        recording,
        versions: there.versions,
        expected,
        there,
    })
}

/// Takes over a fact that a baseline leaves out, `OBJECT: FACT`, from the database.
fn excuse(made: &mut SchemaDescription, there: &SchemaDescription, line: &str) {
    let Some((object, part)) = line.rsplit_once(": ") else { return };
    let is_it = |one: &&Arc<Object>| *migrate_base::visible::line(&one.id.to_string()) == *object;
    let Some(theirs) = there.schema.objects().find(is_it) else { return };
    let Some(ours) = made.schema.get(&theirs.id) else { return };
    let mut object = (**ours).clone();
    object.facts.retain(|fact| *fact.name != *part);
    object.facts.extend(theirs.facts.iter().filter(|fact| *fact.name == *part).cloned());
    object.facts.sort_unstable();
    made.schema = std::mem::take(&mut made.schema).with([Arc::new(object)]);
}

/// The expected schema, in which everything that a rule or a baseline leaves out is as in the database.
fn without_ignored(
    context: &Context<'_>,
    excused: &[String],
    left_out: &HashSet<Arc<Id>>,
    made: Schema,
    there: &SchemaDescription,
) -> Schema {
    let rules = &context.config.drift.ignore;
    if rules.is_empty() && left_out.is_empty() && excused.is_empty() {
        return made;
    }
    let exists = |id: &Id| made.get(id).or(there.schema.get(id)).is_some();
    let is_left_out = |object: &Object| {
        let is_excused = || {
            !excused.is_empty()
                && excused.contains(&migrate_base::visible::line(&object.id.to_string()).into_owned())
                && made.get(&object.id).is_none()
        };
        left_out.contains(&object.id) || rules.iter().any(|rule| rule.matches(object, &exists)) || is_excused()
    };
    drift::expected(made.clone(), &there.schema, is_left_out)
}

/// Whether a rule leaves out something that cannot be compared.
fn is_accepted(context: &Context<'_>, one: &LeftOut, there: &Schema) -> bool {
    let rules = &context.config.drift.ignore;
    let exists = |id: &Id| there.get(id).is_some();
    there.get(&one.object).is_some_and(|object| rules.iter().any(|rule| rule.matches(object, &exists)))
}

/// The audit records, if there are any that this role may read.
async fn records(context: &Context<'_>, chain: &DriftChain, recording: &AuditState) -> Result<Vec<DdlRecord>> {
    if !(recording.has_records && recording.readable) {
        return Ok(Vec::new());
    }
    let mut reader = ReadOnlySession::open(&chain.database).await?;
    let records = audit::list(&mut reader, &context.environment.ledger, &DdlFilter::recent()).await;
    reader.close().await;
    Ok(records?)
}

/// What the baselines up to a version declare as left out.
pub(crate) fn excused(set: &MigrationSet, upto: &Version) -> Vec<String> {
    let texts = set.iter().filter(|one| one.version() <= upto).filter_map(|one| one.up_script());
    let lines = texts.flat_map(|script| script.text().lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter_map(|line| line.strip_prefix(LEFT_OUT).map(str::to_owned)).collect()
}
