//! The difference between two schemas as statements that are proven.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::drift;
use migrate_schema::ddl::{Ddl, DdlStage, DdlStatement, DdlStyle, between, owners, roles};
use migrate_schema::{Id, Schema, SchemaDescription};

use super::baseline::{Baseline, baseline};
use super::capture::{CapturedSchema, LeftOut, reason};
use super::complete::Completion;
use super::pair::SchemaPair;
use super::start::start;
use super::{ShadowDatabase, for_roles, remaining};
use crate::proof::ProofError;

/// The step from one schema to another.
#[derive(Debug)]
pub struct DifferenceScript {
    /// The statements; what they cannot express is listed there.
    pub ddl: Ddl,
    /// What the first schema has that could not be created on the shadow server, so that nothing is proven
    /// about it.
    pub left_out: Vec<LeftOut>,
    /// What still differs after they have been run; empty if they are proven.
    pub remaining: Vec<String>,
    /// The statement that failed, and why.
    pub failed: Option<(DdlStatement, String)>,
}

impl DifferenceScript {
    /// Whether they lead from the first schema to the second, except for what is reported as left out.
    pub fn is_proven(&self) -> bool {
        self.remaining.is_empty() && self.failed.is_none()
    }

    /// How much is left out of the statements or of the proof.
    pub fn gaps(&self) -> usize {
        self.ddl.uncovered.len() + self.left_out.len()
    }
}

/// Additions to a difference for a database that has rows, and in which some names still have to be changed.
#[derive(Debug, Clone, Default)]
pub struct DifferenceAdditions {
    /// Statements that may give rows a value before a column becomes NOT NULL; `None` if rows do not matter.
    pub updates: Option<Vec<String>>,
    /// The statements that rename objects, after all others.
    pub renames: Vec<DdlStatement>,
    /// The names before the renames, and the names required after them.
    pub names: Vec<(Arc<Id>, Arc<Id>)>,
}

impl DifferenceAdditions {
    /// The statements from one schema to another, except for the names.
    pub(super) fn between(&self, from: &SchemaDescription, to: &SchemaDescription, style: DdlStyle) -> Ddl {
        let mut ddl = between(from, to, style);
        if let Some(updates) = &self.updates {
            drift::fill(&mut ddl, from, &to.schema, updates);
        }
        ddl
    }

    /// Only the renames.
    fn renaming(&self) -> Ddl {
        Ddl { statements: self.renames.clone(), uncovered: Vec::new() }
    }

    /// What was created and does not have its new name after the renames.
    fn unnamed(&self, made: &Schema, renamed: &Schema) -> Vec<String> {
        let lacks = |(now, then): &&(Arc<Id>, Arc<Id>)| made.get(now).is_some() && renamed.get(then).is_none();
        self.names.iter().filter(lacks).map(|(now, then)| format!("{now}: is not renamed to {then}")).collect()
    }

    /// The renames, in a stage after all others.
    fn behind(&self, ddl: &Ddl) -> Vec<DdlStatement> {
        let is_main = ddl.statements.iter().all(|one| one.stage == DdlStage::Main);
        let stage = if is_main { DdlStage::Main } else { DdlStage::Validate };
        self.renames.iter().map(|one| DdlStatement { stage, ..one.clone() }).collect()
    }
}

/// How many times something is left out before giving up.
const TRIES: usize = 20;

/// Writes the difference between two schemas as statements, and runs them on a shadow copy of the first. What
/// cannot be created there is left out by name. `hear` receives each phase of the work as it begins.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or the first schema cannot be created on it.
pub async fn difference(
    from: SchemaDescription,
    to: SchemaDescription,
    style: DdlStyle,
    hear: &mut dyn FnMut(&str),
) -> Result<DifferenceScript, ProofError> {
    finished(from, to, style, DifferenceAdditions::default(), hear).await
}

/// The same with additions for a database in which somebody has already made some of the changes.
///
/// # Errors
///
/// Those of [`difference`].
pub async fn finished(
    from: SchemaDescription,
    to: SchemaDescription,
    style: DdlStyle,
    finish: DifferenceAdditions,
    hear: &mut dyn FnMut(&str),
) -> Result<DifferenceScript, ProofError> {
    let mut named = roles(&from.schema);
    named.extend(roles(&to.schema));
    named.extend(from.owners());
    for_roles(&named, Box::pin(difference_of(from, to, style, finish, hear))).await
}

async fn difference_of(
    mut from: SchemaDescription,
    mut to: SchemaDescription,
    style: DdlStyle,
    finish: DifferenceAdditions,
    hear: &mut dyn FnMut(&str),
) -> Result<DifferenceScript, ProofError> {
    if let Some(start) = start().await? {
        start.place(&mut from);
        start.place(&mut to);
    }
    let ddl = between(&from, &to, style);
    let is_nothing = ddl.is_empty() && ddl.uncovered.is_empty() && remaining(&to.schema, &from.schema).is_empty();
    if is_nothing && finish.renames.is_empty() {
        return Ok(DifferenceScript { ddl, left_out: Vec::new(), remaining: Vec::new(), failed: None });
    }
    hear("creating the first schema on the shadow server");
    let first = Box::pin(baseline(from.clone())).await?;
    let mut pair = SchemaPair { there: from.clone(), wanted: CapturedSchema::of(to.clone()), from, to };
    pair.leave_out(&first.left_out);
    let mut roles_named = first.roles.clone();
    roles_named.extend(roles(&pair.wanted.source.schema));
    // Objects that are created again are given to these roles.
    roles_named.extend(pair.from.owners());
    let mut completion = Completion::of(finish.clone());
    let mut left = TRIES;
    loop {
        left -= 1;
        let since = pair.wanted.left_out.len();
        let found = completion.found.take();
        let is_completed = found.is_some();
        let shown = found.unwrap_or_else(|| finish.between(&pair.there, &pair.wanted.source, style));
        if left > 0 && pair.wanted.uncover(&shown, pair.there.schema.version()) {
            pair.follow(since);
            continue;
        }
        hear(&trial(shown.statements.len(), pair.wanted.left_out.len()));
        let mut shadow = there(&pair, &first, &roles_named).await?;
        let failed = shadow.run(&shown).await.err();
        let (mut made, mut not_renamed, mut unnamed) = (SchemaDescription::default(), None, Vec::new());
        if failed.is_none() {
            made = shadow.describe().await?;
            not_renamed = shadow.run(&finish.renaming()).await.err();
            if !finish.renames.is_empty() && not_renamed.is_none() {
                unnamed = finish.unnamed(&made.schema, &shadow.describe().await?.schema);
            }
        }
        shadow.end().await?;
        // What the shadow server lacks of the first schema is not in statements that are found there.
        let is_due = left > 0 && first.left_out.is_empty() && (failed.is_some() || !pair.wanted.is_made(&made));
        if is_due && completion.look(there(&pair, &first, &roles_named), &shown, &pair.wanted, style).await? {
            continue;
        }
        if let Some((statement, error)) = &failed
            && let Some(object) = statement.object.as_ref().filter(|_| left > 0)
            && pair.wanted.source.schema.get(object).is_some()
            && pair.wanted.leave_out(object, statement.part.as_deref(), reason(error))
        {
            pair.follow(since);
            continue;
        }
        let failed = failed.or(not_renamed).map(|(statement, error)| (statement, reason(&error)));
        let made = pair.wanted.seen(made);
        if failed.is_none() && left > 0 && pair.wanted.forget_differing(&made) {
            pair.follow(since);
            continue;
        }
        let wanted = &pair.wanted.source.schema;
        let mut remaining = if failed.is_none() { remaining(wanted, &made.schema) } else { Vec::new() };
        remaining.extend(unnamed);
        let mut ddl = if is_completed { shown } else { finish.between(&pair.from, &pair.to, style) };
        ddl.uncovered = pair.uncovered();
        ddl.statements.extend(finish.behind(&ddl));
        return Ok(DifferenceScript { ddl, left_out: first.left_out, remaining, failed });
    }
}

/// The first schema on a shadow database.
async fn there(pair: &SchemaPair, first: &Baseline, roles: &BTreeSet<String>) -> Result<ShadowDatabase, ProofError> {
    let mut shadow = ShadowDatabase::with_roles(roles).await?;
    shadow.run(&first.up).await.map_err(|(_, error)| error)?;
    // What the server refuses here belongs to a superuser.
    shadow.run_each(&Ddl { statements: owners(&pair.there), uncovered: Vec::new() }).await?;
    Ok(shadow)
}

/// A description of the current attempt.
fn trial(statements: usize, left_out: usize) -> String {
    let what = match statements {
        1 => "proving 1 statement".to_owned(),
        n => format!("proving {n} statements"),
    };
    match left_out {
        0 => what,
        n => format!("{what}; {n} left out so far"),
    }
}
