//! The laws for repeatable migrations: they run after the whole chain, in the order of their names, and a second run
//! of each changes neither the schema nor the rows.

use std::sync::Arc;
use std::time::Instant;

use migrate_core::runner::WrittenTables;
use migrate_core::{CodeMigrations, Direction, Migration};
use migrate_schema::{Schema, SideNames};

use super::stage::WatchedDatabase;
use super::{FilledDatabase, Law, MigrationProof, Proof, ProofError, RowKind, Story, Verdict, title};

const SIDES: SideNames<'_> = SideNames { before: "after the first run", after: "after the second run" };

/// The schemas before and after the first run of a repeatable migration.
struct RunSchemas {
    before: Schema,
    after: Schema,
}

/// Proves repeatable migrations on top of their chain; `chosen` says for which of them a result is wanted.
///
/// The second run of each comes when all of them have run, because later ones may depend on what earlier ones made.
pub(super) async fn prove_repeatables(
    chain: &[Arc<Migration>],
    repeatables: &[Arc<Migration>],
    code: &CodeMigrations,
    proof: &Proof,
    chosen: &dyn Fn(&Migration) -> bool,
) -> Result<Vec<MigrationProof>, ProofError> {
    let mut results: Vec<MigrationProof> = repeatables.iter().map(|one| MigrationProof::new(one)).collect();
    let mut stage = WatchedDatabase::at(chain, code, true).await?;
    let mut seen = Vec::new();
    for (one, proven) in repeatables.iter().zip(&mut results) {
        let (begin, before) = (Instant::now(), stage.schema().clone());
        match stage.go(one, Direction::Up).await? {
            Ok(_) => seen.push(RunSchemas { before, after: stage.schema().clone() }),
            Err(error) => {
                let story = Story::error("it cannot be applied after the chain", &error).of_script(Direction::Up);
                proven.failure = Some(Box::new(story));
                proven.skip_rest("it does not apply");
                break;
            }
        }
        proven.elapsed += begin.elapsed();
    }
    let applied = seen.len();
    for (one, proven) in repeatables.iter().zip(&mut results).take(applied) {
        let begin = Instant::now();
        proven.set(Law::Reapply, second_run(&mut stage, one).await?);
        proven.elapsed += begin.elapsed();
    }
    stage.end().await?;
    with_rows(chain, repeatables, &seen, code, proof, &mut results).await?;
    if let Some(failed) = repeatables.get(applied) {
        let why = format!("{} does not apply", title(failed));
        for proven in &mut results[applied + 1..] {
            proven.skip_rest(&why);
            proven.unreached = Some(why.clone());
        }
    }
    for proven in &mut results {
        proven.skip_rest("a repeatable migration has no down script");
    }
    let chosen = repeatables.iter().zip(results).filter(|(one, _)| chosen(one));
    Ok(chosen.map(|(_, proven)| proven).collect())
}

/// Runs one again, and compares the schema.
async fn second_run(stage: &mut WatchedDatabase, one: &Arc<Migration>) -> Result<Verdict, ProofError> {
    Ok(match stage.go(one, Direction::Up).await? {
        Ok(change) if change.is_empty() => Verdict::Holds,
        Ok(change) => {
            let difference = change.sentences(SIDES);
            let summary = "it applies, but a second run changes the schema again";
            Story { difference, is_of_schema: true, ..Story::of(summary) }.broken()
        }
        Err(error) => Story::error("it applies, but a second run fails", &error).broken(),
    })
}

/// Runs each twice on a database with rows, and compares the rows.
async fn with_rows(
    chain: &[Arc<Migration>],
    repeatables: &[Arc<Migration>],
    seen: &[RunSchemas],
    code: &CodeMigrations,
    proof: &Proof,
    results: &mut [MigrationProof],
) -> Result<(), ProofError> {
    let mut filled = FilledDatabase::at(chain, code, proof.seed).await?;
    for ((one, schemas), proven) in repeatables.iter().zip(seen).zip(results.iter_mut()) {
        let begin = Instant::now();
        let verdict = match twice(&mut filled, one, schemas, proven).await? {
            Ok(verdict) => verdict,
            // The rows that are there now are not those that the next one can build on.
            Err(why) => {
                proven.set(Law::Data, Verdict::Skipped(why));
                break;
            }
        };
        proven.set(Law::Data, verdict);
        proven.elapsed += begin.elapsed();
    }
    let is_open = |one: &&mut MigrationProof| matches!(one.laws.get(&Law::Data), Some(Verdict::Unknown));
    for proven in results.iter_mut().take(seen.len()).filter(is_open) {
        proven.set(Law::Data, Verdict::Skipped("an earlier one does not run with these rows".to_owned()));
    }
    filled.ground.end().await
}

/// Fills the tables, runs one twice, and compares the rows after the first run with those after the second. The inner
/// `Err` says why it was not tried.
async fn twice(
    filled: &mut FilledDatabase,
    one: &Arc<Migration>,
    schemas: &RunSchemas,
    proven: &mut MigrationProof,
) -> Result<Result<Verdict, String>, ProofError> {
    let basis = filled.fill(one, &schemas.before, &schemas.after, &RowKind::default()).await?;
    let basis = match basis {
        Ok(basis) => basis,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if let Err(error) = filled.ground.run(one, Direction::Up).await? {
        return Ok(Err(format!("it fails with generated rows: {error}")));
    }
    filled.read(&schemas.after, &WrittenTables::Unknown).await?;
    let first = filled.rows.clone();
    let is_empty = first.count() == 0;
    // What the server refuses without any rows is a matter of the schema.
    if let Err(error) = filled.ground.run(one, Direction::Up).await? {
        return Ok(match proven.laws.get(&Law::Reapply).is_some_and(Verdict::is_broken) {
            true => Err("a second run fails".to_owned()),
            false => Ok(Story::error("it applies, but a second run fails with rows", &error).broken()),
        });
    }
    filled.read(&schemas.after, &WrittenTables::Unknown).await?;
    let losses = first.losses(&filled.rows);
    proven.rests = basis;
    Ok(Ok(match losses.is_empty() {
        true if is_empty => Verdict::Skipped("there were no rows".to_owned()),
        true => Verdict::Holds,
        false => Story { losses, ..Story::of("a second run changes rows again") }.broken(),
    }))
}
