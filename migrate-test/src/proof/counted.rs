//! Where sequences stand that a migration drops or moves: a sequence that a down makes again begins at its start, and the
//! next row collides with one that is there.
//!
//! Without rows a sequence stands at its start in any case. So the migration goes up and down once more, on a database where
//! its sequences stand elsewhere.

use std::collections::BTreeSet;

use migrate_core::ident::{QualifiedName, literal};
use migrate_core::ledger::Direction;
use migrate_core::schema::{Change, Id, Kind, Object, Schema, Sides, Wanted};

use super::stage::{Stage, positioned};
use super::{ProofError, Prover};

/// The positions that a rollback loses, a sentence each. `up` is what the migration changes.
pub(super) async fn lost(
    prover: &Prover<'_>,
    at: usize,
    up: &Change,
    sides: Sides<'_>,
) -> Result<Vec<String>, ProofError> {
    let migration = &prover.chain[at];
    let gone: BTreeSet<(&str, &str)> = up.objects().filter(|one| is_gone(one)).map(|(id, ..)| names(id)).collect();
    if gone.is_empty() || migration.lossy().is_some() {
        return Ok(Vec::new());
    }
    let mut stage = Stage::at(&prover.chain[..at], prover.code, true).await?;
    let said = positioned(migration);
    // Where a script says where one stands, that is compared, or follows rows.
    let wanted = |one: &Wanted<'_>| gone.contains(&(one.schema, one.name)) && !said.may_mean(one.name, one.of);
    let sequences = stage.around.positions(wanted).await?;
    let move_on: String = sequences.sequences().map(|one| moved_on(&one)).collect();
    let mut lost = Change::default();
    if !move_on.is_empty() {
        stage.ground.rehearsal.query(&move_on).await?;
        let before = stage.around.positions(wanted).await?;
        if stage.go(migration, Direction::Up).await?.is_ok() {
            let above = stage.schema().clone();
            // The values of a column that is gone are lost as well, and that is a matter of rows.
            let stays = |one: &Wanted<'_>| wanted(one) && one.of.is_none_or(|of| has(&above, one.schema, of));
            if stage.go(migration, Direction::Down).await?.is_ok() {
                lost = before.until(&stage.around.positions(stays).await?);
            }
        }
    }
    stage.end().await?;
    Ok(lost.sentences(sides))
}

/// Whether a sequence is there no more, or counts for another column.
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

/// The statement that lets a sequence stand some values after its start.
fn moved_on(one: &Wanted<'_>) -> String {
    let name = literal(&QualifiedName::new(one.schema, one.name).to_string());
    format!(
        "SELECT pg_catalog.setval({name}, least(s.seqmax::numeric, greatest(s.seqmin::numeric, \
         s.seqstart::numeric + 41 * s.seqincrement::numeric))::bigint) \
         FROM pg_catalog.pg_sequence s WHERE s.seqrelid = {name}::pg_catalog.regclass;"
    )
}
