//! Pending migrations of which somebody made a part by hand: what is there, what is missing, and how to continue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_core::drift::{self, ChangeState, PendingChange};
use migrate_core::{CodeMigrations, Migration, Version};
use migrate_review::effect::Effects;
use migrate_schema::ddl::{Ddl, DdlStatement};
use migrate_schema::{Id, SchemaDescription};
use migrate_test::shape::{self, ChainSplit, DifferenceAdditions, DifferenceScript, ObjectHistory};

use super::between::StepPosition;
use super::sides::SchemaComparison;
use super::text::one_line;
use super::{DatabaseSchema, DriftChain};
use crate::context::Context;
use crate::exit::Result;
use crate::output::style::{BAD, BOLD, DIM, GOOD, WARN, paint};

/// Pending migrations, and which parts of them are there.
pub(crate) struct PendingParts {
    /// All migrations in question.
    pub(crate) versions: Vec<Version>,
    /// The migrations that change something that was also changed by hand, from the first to the last.
    pub(crate) begun: Vec<Version>,
    /// How far somebody ran them by hand, if nothing else was changed by hand.
    pub(crate) by_hand: Vec<String>,
    /// The last migration that has to be applied before the others can be finished.
    pub(crate) waits_for: Option<Version>,
    /// The parts of their changes, each with the migrations that make it.
    parts: Vec<(PendingChange, BTreeSet<Version>)>,
    /// Their statements that a comparison of schemas cannot see.
    pub(crate) not_compared: Vec<String>,
    /// Other differences, which are not part of them.
    pub(crate) others: Vec<String>,
    after: SchemaDescription,
    there: SchemaDescription,
    /// The schema of the database with everything that is still missing, except for renames.
    goal: SchemaDescription,
    /// The statements that rename the objects that still have their old names.
    renames: Vec<DdlStatement>,
    /// The name of every object before and after these statements.
    names: Vec<(Arc<Id>, Arc<Id>)>,
    /// The schema that the chain makes without the migrations, except for renames, and the statements that revert the
    /// renames.
    back: (SchemaDescription, Vec<DdlStatement>),
    /// The name of every object before and after the statements that revert the changes made by hand.
    former: Vec<(Arc<Id>, Arc<Id>)>,
    /// The remaining statements of the migrations themselves, if they were begun in their order.
    rest: Option<Vec<DdlStatement>>,
}

impl PendingParts {
    /// Compares the database with the chain without and with some migrations; `None` if no part of them is there.
    pub(crate) async fn of(
        context: &Context<'_>,
        code: &CodeMigrations,
        (with, there): (&DriftChain, &DatabaseSchema),
        meant: &[Arc<Migration>],
    ) -> Result<Option<Self>> {
        let (applied, pending) = with.split(meant.len());
        let ahead = ChainSplit { applied, pending, begun: 0 };
        let plain = SchemaComparison::of(context, code, (with, there), ahead, None).await?;
        let unknown = plain.unknown();
        let between = StepPosition::find(context, code, (with, there), (applied, pending), &unknown).await?;
        let mut waits_for = None;
        let sides = match &between {
            // Intermediate names show how far the migrations were run.
            Some(place) if !place.is_exact || !unknown.is_empty() || !plain.others(context).is_empty() => {
                let (skipped, pending) = pending.split_at(place.skipped);
                waits_for = skipped.last().map(|last| last.version().clone());
                let ahead = ChainSplit { applied, pending, begun: place.taken.0 };
                SchemaComparison::of(context, code, (with, there), ahead, Some(place)).await?
            }
            _ => plain,
        };
        if between.is_none() && !sides.parts.iter().any(|part| part.done != ChangeState::Missing) {
            return Ok(None);
        }
        let versions = meant_versions(meant);
        let origins = shape::origins(&with.applied, code, None).await?;
        let begun = begun(&sides, between.as_ref(), &versions, &origins);
        let by = |part: &PendingChange| {
            origins_of(part, &origins, &sides.later).flat_map(|origin| &origin.by).cloned().collect()
        };
        let parts = sides.parts.iter().map(|part| (part.clone(), by(part))).collect();
        let before = &sides.first;
        let exact = between.as_ref().filter(|place| place.is_exact);
        let rest = exact.filter(|place| place.skipped == 0).and_then(|place| {
            let is_beyond = |text: &str| !Effects::beyond_schema(text).is_empty();
            let begun = drift::ManualSteps {
                steps: &place.steps,
                taken: place.taken,
                before: &before.schema,
                there: &there.described.schema,
                is_beyond: &is_beyond,
            };
            begun.rest()
        });
        Ok(Some(Self {
            versions,
            begun,
            by_hand: exact.map(StepPosition::sentences).unwrap_or_default(),
            waits_for,
            others: sides.others(context),
            goal: there.described.clone().with_schema(sides.goal(), &[&sides.after]),
            not_compared: not_compared(meant),
            parts,
            names: sides.names(),
            former: sides.former,
            after: sides.after,
            there: there.described.clone(),
            renames: sides.renames,
            back: sides.back,
            rest,
        }))
    }

    /// The pending migrations that are partly there, without the others; `None` if no part of any of them is there.
    pub(crate) async fn begun(
        context: &Context<'_>,
        code: &CodeMigrations,
        chain: &DriftChain,
        there: &DatabaseSchema,
    ) -> Result<Option<Self>> {
        let Some(all) = Self::of(context, code, (&chain.with_applied(|_| true), there), &chain.pending).await? else {
            return Ok(None);
        };
        let is_begun = |version: &Version| all.begun.contains(version);
        let meant: Vec<Arc<Migration>> = chain.pending.iter().filter(|one| is_begun(one.version())).cloned().collect();
        // Migrations that are partly there may need those before them.
        let found = match all.begun == all.versions {
            true => None,
            false => Self::of(context, code, (&chain.with_applied(is_begun), there), &meant).await.ok().flatten(),
        };
        let mut found = match found {
            Some(found) => Self { versions: all.versions, ..found },
            None => all,
        };
        let begun: BTreeSet<Version> = found.begun.iter().cloned().collect();
        found.parts.retain(|(part, by)| part.done != ChangeState::Missing || by.is_empty() || !by.is_disjoint(&begun));
        Ok(Some(found))
    }

    /// Whether all of their changes are there, and nothing else differs.
    pub(crate) fn is_complete(&self) -> bool {
        let is_there = self.parts.iter().all(|(part, _)| part.done == ChangeState::There);
        is_there && self.others.is_empty() && self.renames.is_empty()
    }

    /// The parts in this state, in sentences.
    pub(crate) fn sentences(&self, done: ChangeState) -> Vec<String> {
        let parts = self.parts.iter().filter(|(part, _)| part.done == done);
        parts.flat_map(|(part, _)| part.sentences.iter().cloned()).collect()
    }

    /// The versions before those that have begun: they can be applied as usual.
    pub(crate) fn earlier(&self) -> &[Version] {
        let first = self.begun.first().and_then(|first| self.versions.iter().position(|one| one == first));
        self.versions.get(..first.unwrap_or_default()).unwrap_or_default()
    }

    /// The schema of the database, and the same with the missing statements; other changes made by hand are left alone.
    pub(crate) fn missing(&self) -> (SchemaDescription, SchemaDescription, DifferenceAdditions) {
        let (updates, renames, names) = (Some(self.not_compared.clone()), self.renames.clone(), self.names.clone());
        let finish = DifferenceAdditions { updates, renames, names };
        (self.there.clone(), self.goal.clone(), finish)
    }

    /// The remaining statements of the migrations themselves, if somebody ran them in their order.
    pub(crate) fn rest(&self) -> Option<DifferenceScript> {
        let ddl = Ddl { statements: self.rest.clone()?, uncovered: Vec::new() };
        Some(DifferenceScript { ddl, left_out: Vec::new(), remaining: Vec::new(), failed: None })
    }

    /// The schema of the database, and the schema that the chain makes without the migrations.
    pub(crate) fn taken_back(self) -> (SchemaDescription, SchemaDescription, DifferenceAdditions) {
        let (made, renames) = self.back;
        (self.there, made, DifferenceAdditions { updates: None, renames, names: self.former })
    }

    /// Whether the other changes made by hand can be adopted separately: their objects already have the names that they
    /// have after the migrations.
    pub(crate) fn can_be_adopted(&self) -> bool {
        !self.others.is_empty() && self.renames.is_empty()
    }

    /// The other changes made by hand: the schema that the chain makes, and the schema that it should make.
    pub(crate) fn beyond(&self) -> (SchemaDescription, SchemaDescription) {
        let goal = self.after.clone().with_schema(self.goal.schema.clone(), &[&self.there]);
        (self.after.clone(), goal)
    }

    /// The lines for the terminal: which parts of the migrations are there.
    pub(crate) fn lines(&self) -> Vec<String> {
        let names: Vec<String> = self.begun.iter().map(ToString::to_string).collect();
        let much = if self.is_complete() { "already there" } else { "partly there" };
        let mut lines = vec![format!("\n{BOLD}{much}{BOLD:#} {}, not applied yet", names.join(", "))];
        lines.extend(self.by_hand.iter().map(|sentence| format!("  {}  {sentence}", paint(GOOD, "by hand"))));
        for (done, word) in [
            (ChangeState::There, paint(GOOD, "there")),
            (ChangeState::Missing, paint(WARN, "missing")),
            (ChangeState::Differs, paint(BAD, "differs")),
        ] {
            lines.extend(self.sentences(done).iter().map(|sentence| format!("  {word}  {sentence}")));
        }
        lines.extend(self.others.iter().map(|other| format!("  {}  {other}", paint(DIM, "not part of it"))));
        lines.extend(warnings(&self.not_compared).map(|line| paint(DIM, format!("  {line}"))));
        lines
    }
}

/// The statements of migrations that a comparison of schemas cannot see.
pub(crate) fn not_compared(meant: &[Arc<Migration>]) -> Vec<String> {
    meant.iter().filter_map(|one| one.up_script()).flat_map(|script| Effects::beyond_schema(script.text())).collect()
}

/// A warning for each statement that was not compared, on one line.
pub(crate) fn warnings(statements: &[String]) -> impl Iterator<Item = String> {
    statements.iter().map(|text| format!("not compared, because it changes rows or runs code: {}", one_line(text)))
}

fn meant_versions(meant: &[Arc<Migration>]) -> Vec<Version> {
    meant.iter().map(|one| one.version().clone()).collect()
}

/// The migrations that change something that was also changed by hand, from the first to the last.
fn begun(
    sides: &SchemaComparison,
    between: Option<&StepPosition>,
    versions: &[Version],
    origins: &BTreeMap<Arc<Id>, ObjectHistory>,
) -> Vec<Version> {
    let place = between.map(StepPosition::versions);
    let is_begun = |version: &Version| {
        let is_placed = place.as_ref().is_some_and(|(first, last)| (first..=last).contains(&version));
        let touched = sides.parts.iter().filter(|part| part.done != ChangeState::Missing);
        let is_exact = between.is_some_and(|place| place.is_exact);
        let mut origins = touched.filter(|_| !is_exact).flat_map(|part| origins_of(part, origins, &sides.later));
        is_placed || origins.any(|origin| origin.by.contains(version))
    };
    let first = versions.iter().position(is_begun).unwrap_or_default();
    let last = versions.iter().rposition(is_begun).unwrap_or(versions.len().saturating_sub(1));
    versions.iter().take(last + 1).skip(first).cloned().collect()
}

/// The origins of an object, under its current and its future name.
fn origins_of<'a>(
    part: &PendingChange,
    origins: &'a BTreeMap<Arc<Id>, ObjectHistory>,
    later: &BTreeMap<Arc<Id>, Arc<Id>>,
) -> impl Iterator<Item = &'a ObjectHistory> {
    let names = [Some(part.object.clone()), later.get(&part.object).cloned()];
    names.into_iter().flatten().filter_map(|id| origins.get(&id))
}
