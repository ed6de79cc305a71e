//! The difference of two schemas as statements that are proven.

use migrate_core::schema::Described;
use migrate_core::schema::ddl::{Ddl, Statement, Style, between};

use super::baseline::{LeftOut, baseline, role_guard};
use super::start::start;
use super::{Shadow, for_roles, remaining};
use crate::proof::ProofError;

/// The way from one schema to another.
#[derive(Debug)]
pub struct Difference {
    /// The statements.
    pub ddl: Ddl,
    /// What the first schema has that could not be made on the throw-away database.
    pub left_out: Vec<LeftOut>,
    /// What is still different when they have been run; empty where they are proven.
    pub remaining: Vec<String>,
    /// The statement that failed, and why.
    pub failed: Option<(Statement, String)>,
}

impl Difference {
    /// Whether they lead from the first schema to the second.
    pub fn is_proven(&self) -> bool {
        self.remaining.is_empty() && self.failed.is_none() && self.ddl.uncovered.is_empty()
    }
}

/// Writes the difference of two schemas as statements, and runs them on a throw-away copy of the first.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or the first schema cannot be made on it.
pub async fn difference(from: Described, to: Described, style: Style) -> Result<Difference, ProofError> {
    for_roles(&[&from.schema.clone(), &to.schema.clone()], difference_of(from, to, style)).await
}

async fn difference_of(mut from: Described, mut to: Described, style: Style) -> Result<Difference, ProofError> {
    if let Some(start) = start().await? {
        start.place(&mut from);
        start.place(&mut to);
    }
    let ddl = between(&from, &to, style);
    if ddl.is_empty() && ddl.uncovered.is_empty() {
        return Ok(Difference { ddl, left_out: Vec::new(), remaining: Vec::new(), failed: None });
    }
    let (mut there, mut wanted) = (from.clone(), to);
    let first = baseline(from).await?;
    for id in first.left_out.iter().flat_map(|one| one.with.iter().chain([&one.object])) {
        there.leave_out(id);
        wanted.leave_out(id);
    }
    let mut shadow = Shadow::blank().await?;
    let mut roles = first.roles.clone();
    roles.extend(migrate_core::schema::ddl::roles(&wanted.schema));
    shadow.rehearsal().query(&role_guard(&roles)).await?;
    shadow.run(&first.up).await.map_err(|(_, error)| error)?;
    let shown = if first.left_out.is_empty() { ddl.clone() } else { between(&there, &wanted, style) };
    let failed = shadow.run(&shown).await.err().map(|(statement, error)| {
        let why = error.findings().first().map_or_else(String::new, |finding| finding.message.clone());
        (statement, why)
    });
    let made = shadow.describe().await?;
    let remaining = if failed.is_none() { remaining(&wanted.schema, &made.schema) } else { Vec::new() };
    shadow.end().await?;
    Ok(Difference { ddl, left_out: first.left_out, remaining, failed })
}
