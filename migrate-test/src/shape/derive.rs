//! The down script of a migration, generated from what its up script does, and proven.

use migrate_base::codes;
use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Direction, Error, Migration, MigrationSet, Version};
use migrate_schema::ddl::{Ddl, DdlStage, DdlStatement, DdlStyle, between, renames_back};
use migrate_schema::{Kind, Schema, SchemaDescription};

use super::ShadowDatabase;
use super::came::RowKeys;
use super::capture::CapturedSchema;
use super::complete::Completion;
use crate::ephemeral::{migrated, suited};
use crate::proof::{self, Law, MigrationProof, Proof, ProofError, Story, Verdict};

/// A generated down script, and what was proven about it.
#[derive(Debug)]
pub struct DerivedScript {
    /// The text of the file.
    pub text: String,
    /// The data that it cannot restore: tables and columns.
    pub lossy: Vec<String>,
    /// The result of proving the migration with it.
    pub proven: MigrationProof,
    /// How many steps the walks of that proof made, including steps over other migrations.
    pub steps: usize,
    /// What no statement can be written for.
    pub uncovered: Vec<String>,
}

impl DerivedScript {
    /// Whether it undoes the up script: laws 1 and 2 hold, and losses are declared. An up script that refuses
    /// rows is not a fault of the down script.
    pub fn is_proven(&self) -> bool {
        let is_wrong =
            |(law, verdict): (&Law, &Verdict)| verdict.is_broken() && !(*law == Law::Data && self.refused().is_some());
        self.proven.failure.is_none() && !self.proven.laws.iter().any(is_wrong)
    }

    /// The story if the up script itself cannot be applied to generated rows, so that only the schema is
    /// proven.
    pub fn refused(&self) -> Option<&Story> {
        let verdict = self.proven.laws.get(&Law::Data)?;
        verdict.story().filter(|story| verdict.is_broken() && story.fails == Some(Direction::Up))
    }
}

/// How many walks are drawn. They include only the new migration, because the others were proven when they were
/// new.
const WALKS: u32 = 2;

/// Generates the down script of a migration. `load` reads the folder as if the migration had this down script;
/// `hear` receives each phase of the work as it begins.
///
/// # Errors
///
/// [`ProofError`] when there is no server, the folder cannot be read, or the migrations up to this one do not
/// apply.
pub async fn derive(
    load: &dyn Fn(&str) -> Result<MigrationSet, Error>,
    code: &CodeMigrations,
    version: &Version,
    hear: &mut dyn FnMut(&str),
) -> Result<DerivedScript, ProofError> {
    // Any statement will do, because it is not run.
    let set = load("SELECT 1;\n")?;
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    suited(&chain, Box::pin(derived(load, &set, code, version, hear))).await
}

async fn derived(
    load: &dyn Fn(&str) -> Result<MigrationSet, Error>,
    set: &MigrationSet,
    code: &CodeMigrations,
    version: &Version,
    hear: &mut dyn FnMut(&str),
) -> Result<DerivedScript, ProofError> {
    let name = set.get(version).map_or_else(|| version.to_string(), |one| version.title(one.name()));
    hear(&format!("{name}: applying it to see what it changes"));
    let (way, gone, no_transaction) = way_back(set, code, version).await?;
    let uncovered = way.uncovered.iter().map(|gap| format!("{gap}: {}", gap.why)).collect();
    let mut lossy = gone;
    hear(&format!("{name}: proving the rollback, {}", statements(&way)));
    let (mut proven, mut steps) = prove(&load(&text(&way, &lossy, no_transaction))?, code, version).await?;
    let losses = proven.laws.get(&Law::Data).filter(|verdict| verdict.is_broken()).and_then(|verdict| verdict.story());
    // Rows that are left behind are not a loss: the down script forgets to delete them.
    let losses = losses.into_iter().flat_map(|story| &story.losses).filter(|loss| !loss.came);
    let losses: Vec<String> = losses.map(crate::rows::RowLoss::place).collect();
    let new: BTreeSet<String> = losses.into_iter().filter(|loss| !lossy.contains(loss)).collect();
    if !new.is_empty() {
        lossy.extend(new);
        hear(&format!("{name}: proving it again, with the losses declared"));
        (proven, steps) = prove(&load(&text(&way, &lossy, no_transaction))?, code, version).await?;
    }
    Ok(DerivedScript { text: text(&way, &lossy, no_transaction), lossy, proven, steps, uncovered })
}

fn statements(way: &Ddl) -> String {
    match way.statements.len() {
        1 => "1 statement".to_owned(),
        n => format!("{n} statements"),
    }
}

/// The statements of the down script, the data in columns and tables that the up script removes, and whether
/// the statements must run without a transaction.
async fn way_back(
    set: &MigrationSet,
    code: &CodeMigrations,
    version: &Version,
) -> Result<(Ddl, Vec<String>, bool), ProofError> {
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    let at = chain.iter().position(|migration| migration.version() == version).unwrap_or(chain.len());
    let Some(migration) = chain.get(at).cloned() else {
        let finding =
            migrate_base::finding::Finding::new(codes::NO_SUCH_VERSION, format!("there is no migration {version}"));
        return Err(Error::new(migrate_core::ErrorKind::Plan, finding).into());
    };
    let mut shadow = before_it(&chain[..at], code).await?;
    let before = shadow.describe().await?;
    let keys = RowKeys::read(shadow.rehearsal(), &before).await?;
    up(shadow.rehearsal(), &migration).await?;
    let after = shadow.describe().await?;
    let renames = renames_back(&before, &after);
    let renamed = match renames.is_empty() {
        true => after,
        false => {
            shadow.run(&just(&renames)).await.map_err(|(_, error)| error)?;
            shadow.describe().await?
        }
    };
    let came = keys.removal(&RowKeys::read(shadow.rehearsal(), &renamed).await?, &renamed);
    let mut way = between(&renamed, &before, DdlStyle::Back);
    shadow.run_each(&just(&came)).await?;
    let wanted = CapturedSchema::of(before);
    let is_right = shadow.run(&way).await.is_ok() && wanted.is_made(&shadow.describe().await?);
    shadow.end().await?;
    if !is_right {
        let again = async {
            let mut shadow = before_it(&chain[..at], code).await?;
            up(shadow.rehearsal(), &migration).await?;
            shadow.run_each(&just(renames.iter().chain(&came))).await?;
            Ok(shadow)
        };
        let mut completion = Completion::default();
        completion.look(again, &way, &wanted, DdlStyle::Back).await?;
        way.statements = completion.found.map_or(way.statements, |found| found.statements);
    }
    let before = wanted.source;
    let settings = way.statements.iter().take_while(|one| one.text.starts_with("SET LOCAL ")).count();
    way.statements.splice(settings..settings, renames.into_iter().chain(came));
    let outside =
        migration.up_script().is_some_and(|up| up.directives().no_transaction) && only_drops_indexes(&mut way);
    Ok((way, gone(&before, &renamed.schema), outside))
}

/// A shadow database with the migrations before one.
async fn before_it(chain: &[Arc<Migration>], code: &CodeMigrations) -> Result<ShadowDatabase, ProofError> {
    ShadowDatabase::on(migrated(chain, code, true).await?, code.clone()).await
}

/// These statements and nothing else.
fn just<'a>(statements: impl IntoIterator<Item = &'a DdlStatement>) -> Ddl {
    Ddl { statements: statements.into_iter().cloned().collect(), uncovered: Vec::new() }
}

async fn up(rehearsal: &mut Rehearsal, migration: &Arc<Migration>) -> Result<(), ProofError> {
    rehearsal.run(migration, Direction::Up).await?;
    Ok(())
}

/// If an index was created without a transaction, it is also dropped without one.
fn only_drops_indexes(way: &mut Ddl) -> bool {
    let drops = |statement: &DdlStatement| statement.text.starts_with("DROP INDEX ");
    if way.statements.is_empty() || !way.statements.iter().all(drops) {
        return false;
    }
    for statement in &mut way.statements {
        statement.text = statement.text.replacen("DROP INDEX ", "DROP INDEX CONCURRENTLY IF EXISTS ", 1);
    }
    true
}

/// The tables and columns that exist before and not after.
fn gone(before: &SchemaDescription, after: &Schema) -> Vec<String> {
    let name = |parts: &[&str]| parts.join(".");
    let tables = before.schema.objects().filter(|one| one.id.kind == Kind::Table && after.get(&one.id).is_none());
    let tables: Vec<String> = tables.map(|one| format!("rows of {}", name(&[&one.id.schema, &one.id.name]))).collect();
    let columns = before
        .schema
        .objects()
        .filter(|one| one.id.kind == Kind::Column && one.fact("generated").is_none() && after.get(&one.id).is_none());
    let of_table = |one: &&Arc<migrate_schema::Object>| {
        let table = migrate_schema::Id {
            kind: Kind::Table,
            parent: "".into(),
            name: one.id.parent.clone(),
            ..(*one.id).clone()
        };
        before.schema.get(&table).is_some() && after.get(&table).is_some()
    };
    let columns = columns.filter(of_table).map(|one| name(&[&one.id.schema, &one.id.parent, &one.id.name]));
    tables.into_iter().chain(columns).collect()
}

fn text(way: &Ddl, lossy: &[String], no_transaction: bool) -> String {
    let mut text = String::new();
    if no_transaction {
        text += "-- migrate: no-transaction\n";
    }
    if !lossy.is_empty() {
        text += &format!("-- migrate: lossy the data in {} cannot be restored\n", lossy.join(", "));
    }
    let script = way.script(DdlStage::Main);
    text += if script.is_empty() {
        "-- The up script leaves no structure behind that a down script could remove.\nSELECT;\n"
    } else {
        &script
    };
    text
}

async fn prove(
    set: &MigrationSet,
    code: &CodeMigrations,
    version: &Version,
) -> Result<(MigrationProof, usize), ProofError> {
    let only = Some(BTreeSet::from([version.clone()]));
    let proof = Proof { only, walks: WALKS, lead: 0, keep: false, ..Proof::default() };
    let report = proof::prove(set, code, &proof, &mut |_| {}).await?;
    let steps = report.moves;
    report.migrations.into_iter().next().map(|proven| (proven, steps)).ok_or_else(|| {
        let finding =
            migrate_base::finding::Finding::new(codes::NO_SUCH_VERSION, format!("there is no migration {version}"));
        Error::new(migrate_core::ErrorKind::Plan, finding).into()
    })
}
