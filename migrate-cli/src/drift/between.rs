//! How far somebody ran pending migrations by hand: the steps after which the schema is as it is in the database.

use std::sync::Arc;

use migrate_core::drift::PendingStep;
use migrate_core::{CodeMigrations, Migration, Version};
use migrate_schema::{Id, Schema, SchemaDescription};
use migrate_test::shape;

use super::text::one_line;
use super::{DatabaseSchema, DriftChain};
use crate::context::Context;
use crate::exit::Result;

/// A place between two steps of pending migrations.
pub(super) struct StepPosition {
    /// How many migrations before it have not begun.
    pub(super) skipped: usize,
    /// The steps of the other migrations.
    pub(super) steps: Vec<PendingStep>,
    /// After how many of these steps it is, at least and at most, because steps that change only rows are invisible.
    pub(super) taken: (usize, usize),
    /// Whether the database is exactly what these steps make.
    pub(super) is_exact: bool,
    /// The schema that these steps make, in comparable form.
    pub(super) made: Schema,
}

/// How many steps are tried in total.
const MOST: usize = 400;

impl StepPosition {
    /// The first place at which the schema is that of the database; else the nearest one that has a name of `unknown`.
    pub(super) async fn find(
        context: &Context<'_>,
        code: &CodeMigrations,
        (chain, there): (&DriftChain, &DatabaseSchema),
        (applied, pending): (&[Arc<Migration>], &[Arc<Migration>]),
        unknown: &[Arc<Id>],
    ) -> Result<Option<Self>> {
        let mut nearest: Option<(usize, Self)> = None;
        let mut tried = 0;
        for skipped in 0..pending.len() {
            let steps = PendingStep::all(&pending[skipped..]);
            tried += steps.len();
            if tried > MOST {
                break;
            }
            // A migration may not run without those before it.
            let Ok(states) = shape::stepped(applied, &pending[skipped..], code).await else { continue };
            let is_all = states.len() == steps.len() + 1;
            let mut exact: Option<Self> = None;
            // Steps at the beginning that do not change the schema leave no trace.
            let untouched = states.iter().take_while(|state| **state == states[0]).count();
            for (at, state) in states.iter().enumerate().skip(untouched) {
                if exact.is_some() && Arc::ptr_eq(state, &states[at - 1]) {
                    exact.iter_mut().for_each(|one| one.taken.1 = at);
                    continue;
                }
                let state = SchemaDescription::default().with_schema((**state).clone(), &[]);
                let expected = there.expects(context, chain, state).await?;
                let (made, count) = (expected.described.schema, expected.differences.len());
                let found =
                    |is_exact| Self { skipped, steps: steps.clone(), taken: (at, at), is_exact, made: made.clone() };
                if count == 0 {
                    match &mut exact {
                        Some(exact) => exact.taken.1 = at,
                        None => exact = Some(found(true)),
                    }
                } else if exact.is_some() {
                    break;
                } else if is_all && knows(&made, unknown) && nearest.as_ref().is_none_or(|(other, _)| count < *other) {
                    nearest = Some((count, found(false)));
                }
            }
            if exact.as_ref().is_some_and(|_| is_all) {
                return Ok(exact);
            }
        }
        Ok(nearest.map(|(_, one)| one))
    }

    /// The first and the last of the migrations that have begun.
    pub(super) fn versions(&self) -> (Version, Version) {
        let of = |at: usize| self.steps[at].migration.version().clone();
        (of(0), of(self.taken.0 - 1))
    }

    /// What was done, one sentence for each migration.
    pub(super) fn sentences(&self) -> Vec<String> {
        let taken = &self.steps[..self.taken.0];
        let by_migration = taken.chunk_by(|one, other| Arc::ptr_eq(&one.migration, &other.migration));
        let sentence = |part: &[PendingStep]| {
            let migration = &part[0].migration;
            let of = self.steps.iter().filter(|one| Arc::ptr_eq(&one.migration, migration)).count();
            let last = part.last().and_then(PendingStep::text).unwrap_or_default();
            let flat = one_line(last);
            let version = migration.version();
            match part.len() {
                n if n == of => format!("all of {version}"),
                1 => format!("the first of {of} statements of {version}: {flat}"),
                n => format!("the first {n} of {of} statements of {version}, up to: {flat}"),
            }
        };
        by_migration.map(sentence).collect()
    }
}

/// Whether a schema has one of these objects.
fn knows(schema: &Schema, unknown: &[Arc<Id>]) -> bool {
    unknown.iter().any(|id| schema.get(id).is_some())
}
