//! Checks the positions of sequences that a migration drops or moves. A sequence that a down script creates
//! again begins at its start value, and the next row then collides with an existing one.
//!
//! Without rows, every sequence is at its start value anyway. So the migration runs up and down once more, on a
//! database where its sequences have other positions.

use std::collections::BTreeSet;

use migrate_base::ident::{QualifiedName, literal};
use migrate_core::Direction;
use migrate_schema::{Id, Kind, Object, Schema, SchemaChange, SequenceName, SideNames};

use super::stage::{WatchedDatabase, positioned};
use super::{ProofError, Prover};

/// The positions that a rollback loses, one sentence each. `up` is the change that the migration makes.
pub(super) async fn lost(
    prover: &Prover<'_>,
    at: usize,
    up: &SchemaChange,
    sides: SideNames<'_>,
) -> Result<Vec<String>, ProofError> {
    let migration = &prover.chain[at];
    let gone: BTreeSet<(&str, &str)> = up.objects().filter(|one| is_gone(one)).map(|(id, ..)| names(id)).collect();
    if gone.is_empty() || migration.lossy().is_some() {
        return Ok(Vec::new());
    }
    let mut stage = WatchedDatabase::at(&prover.chain[..at], prover.code, true).await?;
    let said = positioned(migration);
    // If a script sets the position of a sequence, that position is compared elsewhere, or it follows from the
    // rows.
    let wanted = |one: &SequenceName<'_>| gone.contains(&(one.schema, one.name)) && !said.may_mean(one.name, one.of);
    let sequences = stage.around.positions(wanted).await?;
    let move_on: String = sequences.sequences().map(|one| moved_on(&one)).collect();
    let mut lost = SchemaChange::default();
    if !move_on.is_empty() {
        stage.ground.rehearsal.query(&move_on).await?;
        let before = stage.around.positions(wanted).await?;
        if stage.go(migration, Direction::Up).await?.is_ok() {
            let above = stage.schema().clone();
            // If the column is dropped, its values are lost too, and that is reported as a loss of rows.
            let stays = |one: &SequenceName<'_>| wanted(one) && one.of.is_none_or(|of| has(&above, one.schema, of));
            if stage.go(migration, Direction::Down).await?.is_ok() {
                lost = before.until(&stage.around.positions(stays).await?);
            }
        }
    }
    stage.end().await?;
    Ok(lost.sentences(sides))
}

/// Whether a sequence was dropped, or now belongs to another column.
fn is_gone((id, before, after): &(&Id, Option<&Object>, Option<&Object>)) -> bool {
    let owner = |one: &Option<&Object>| one.and_then(|one| one.fact("owned by")).map(str::to_owned);
    id.kind == Kind::Sequence && before.is_some() && (after.is_none() || owner(before) != owner(after))
}

fn names(id: &Id) -> (&str, &str) {
    (&id.schema, &id.name)
}

fn has(schema: &Schema, namespace: &str, (table, column): (&str, &str)) -> bool {
    schema.objects().any(|one| {
        one.id.kind == Kind::Column
            && *one.id.schema == *namespace
            && *one.id.parent == *table
            && *one.id.name == *column
    })
}

/// The statement that moves a sequence some values past its start.
fn moved_on(one: &SequenceName<'_>) -> String {
    let name = literal(&QualifiedName::new(one.schema, one.name).to_string());
    format!(
        "SELECT pg_catalog.setval({name}, least(s.seqmax::numeric, greatest(s.seqmin::numeric, \
         s.seqstart::numeric + 41 * s.seqincrement::numeric))::bigint) \
         FROM pg_catalog.pg_sequence s WHERE s.seqrelid = {name}::pg_catalog.regclass;"
    )
}
