//! Statements that do not lead to the target schema are completed on a shadow database: what the server refuses
//! is dropped, and statements for the remaining difference are written from there.

use std::collections::BTreeSet;

use migrate_schema::ddl::{Ddl, DdlStatement, DdlStyle};

use super::ShadowDatabase;
use super::capture::CapturedSchema;
use super::difference::DifferenceAdditions;
use crate::proof::ProofError;

/// How many times statements for the rest are written.
const ROUNDS: usize = 4;

/// How many times a complete set of statements is searched for, each time with more left out.
const LOOKS: usize = 3;

/// The statements that were found.
#[derive(Default)]
pub(super) struct Completion {
    /// How much was left out in each search.
    looks: Vec<usize>,
    /// The statements that are to be proven next.
    pub(super) found: Option<Ddl>,
    /// What they get in addition.
    finish: DifferenceAdditions,
}

impl Completion {
    /// No statements yet. Those that are found fill columns according to `finish`.
    pub(super) fn of(finish: DifferenceAdditions) -> Self {
        Self { finish, ..Self::default() }
    }

    /// Searches for statements on a shadow database, starting with some that do not lead to the target; returns
    /// whether there are new ones.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when the server is gone.
    pub(super) async fn look(
        &mut self,
        shadow: impl Future<Output = Result<ShadowDatabase, ProofError>>,
        first: &Ddl,
        wanted: &CapturedSchema,
        style: DdlStyle,
    ) -> Result<bool, ProofError> {
        let gaps = wanted.left_out.len();
        if self.looks.len() < LOOKS && !self.looks.contains(&gaps) {
            self.looks.push(gaps);
            let mut shadow = shadow.await?;
            self.found = completed(&mut shadow, first, wanted, (&self.finish, style)).await?;
            shadow.end().await?;
        }
        Ok(self.found.is_some())
    }
}

/// Statements that lead from the content of a shadow database to a schema, starting with some that do not;
/// `None` if none are found. They were run one by one; the caller proves them as a whole.
///
/// # Errors
///
/// [`ProofError`] when the server is gone.
async fn completed(
    shadow: &mut ShadowDatabase,
    first: &Ddl,
    wanted: &CapturedSchema,
    (finish, style): (&DifferenceAdditions, DdlStyle),
) -> Result<Option<Ddl>, ProofError> {
    let (mut settings, mut done): (Vec<DdlStatement>, Vec<DdlStatement>) = (Vec::new(), Vec::new());
    let mut next = first.clone();
    for _ in 0..ROUNDS {
        let refused = shadow.run_each(&next).await?;
        // Statements that give rows their values cannot be dropped.
        if refused.iter().any(|one| !is_structural(&one.statement)) {
            return Ok(None);
        }
        let refused: BTreeSet<usize> = refused.into_iter().map(|one| one.at).collect();
        let (head, rest) = next.split_settings();
        settings.extend(head.into_iter().filter(|one| !settings.contains(one)).cloned().collect::<Vec<_>>());
        done.extend(rest.into_iter().enumerate().filter(|(at, _)| !refused.contains(at)).map(|(_, one)| one.clone()));
        // What is left out stays as it is.
        let made = wanted.seen(shadow.describe().await?);
        if wanted.is_made(&made) {
            settings.append(&mut done);
            return Ok(Some(Ddl { statements: settings, uncovered: Vec::new() }));
        }
        let rest = finish.between(&made, &wanted.source, style);
        if rest.is_empty() || rest.statements == next.statements {
            break;
        }
        next = rest;
    }
    Ok(None)
}

/// Whether a statement is only about structure, and not about rows.
fn is_structural(statement: &DdlStatement) -> bool {
    const WORDS: [&str; 8] = ["ALTER", "COMMENT", "CREATE", "DO", "DROP", "GRANT", "REVOKE", "SECURITY"];
    statement.text.split_whitespace().next().is_some_and(|word| WORDS.contains(&word))
}
