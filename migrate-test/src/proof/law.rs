//! The five laws, and their possible verdicts.

use std::fmt;

use migrate_base::finding::Finding;
use migrate_core::Direction;

use crate::rows::RowLoss;

/// What is proven about a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// Apply, then roll back: the schema is as before.
    Identity,
    /// Applied again after a rollback, the migration gives the same schema as the first time.
    Reapply,
    /// Every path to a version gives the same schema.
    Path,
    /// Rows are still there, unchanged, after a rollback and after applying again.
    Data,
    /// A migration is lossy or irreversible only if it says so.
    Declared,
}

impl ProofFault<'_> {
    /// What is wrong, in one line.
    pub fn title(&self) -> String {
        match (self.story.fails, self.law) {
            (Some(Direction::Up), _) => "its up script fails".to_owned(),
            (Some(Direction::Down), _) => "its down script fails".to_owned(),
            (None, Some(law)) => format!("{law} is broken: {}", law.claim()),
            (None, None) => "it does not apply".to_owned(),
        }
    }
}

impl Law {
    /// All laws, in order.
    pub const ALL: [Self; 5] = [Self::Identity, Self::Reapply, Self::Path, Self::Data, Self::Declared];

    /// The name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Reapply => "reapply",
            Self::Path => "path",
            Self::Data => "data",
            Self::Declared => "declared",
        }
    }

    /// The law, as a sentence.
    pub fn claim(self) -> &'static str {
        match self {
            Self::Identity => "rolling back must restore the schema",
            Self::Reapply => "applying again must give the same schema as the first time",
            Self::Path => "every path to a version must give the same schema",
            Self::Data => "rolling back and applying again must not lose or change rows",
            Self::Declared => "a migration must be lossy or irreversible exactly when it says so",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The verdict on a law for a migration.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not hold.
    Broken(Box<Story>),
    /// It does not hold, and the migration declares that, with a reason.
    Declared(String, Box<Story>),
    /// It was not checked.
    #[default]
    Unknown,
    /// It could not be checked, with the reason.
    Skipped(String),
}

impl Verdict {
    /// The name, as in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Broken(_) => "broken",
            Self::Declared(..) => "declared",
            Self::Unknown | Self::Skipped(_) => "skipped",
        }
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// What happened, if anything did.
    pub fn story(&self) -> Option<&Story> {
        match self {
            Self::Broken(story) | Self::Declared(_, story) => Some(story),
            _ => None,
        }
    }
}

/// What happened when a law did not hold.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Story {
    /// A one-sentence summary.
    pub summary: String,
    /// The shortest walk on which it happens: `up to 20250217143000`, `down to 0`.
    pub walk: Vec<String>,
    /// The difference between the schemas, one sentence each.
    pub difference: Vec<String>,
    /// Whether statements that lead from one schema to the other can describe the difference. They cannot for
    /// owners, and for what lies outside of a schema.
    pub is_of_schema: bool,
    /// The rows that are lost.
    pub losses: Vec<RowLoss>,
    /// Rows that a check returned: first the columns, then each row.
    pub rows: Vec<Vec<String>>,
    /// What the server refused, with the location.
    pub findings: Vec<Finding>,
    /// The SQLSTATE of that error.
    pub sqlstate: Option<String>,
    /// The script that fails, if that is what happened: the up script when it is first applied, so that no
    /// rollback can be the cause, or the down script.
    pub fails: Option<Direction>,
    /// The broken law that is the cause of this one.
    pub follows: Option<Law>,
}

/// A cause that breaks one or more laws, or prevents a migration from being applied.
#[derive(Debug, Clone)]
pub struct ProofFault<'a> {
    /// The law that reveals it; `None` if the migration cannot be applied at all.
    pub law: Option<Law>,
    /// What happened.
    pub story: &'a Story,
    /// The other laws that it breaks.
    pub also: Vec<(Law, &'a Story)>,
}

impl Story {
    /// What happened, line by line, without the findings.
    pub fn details(&self) -> Vec<String> {
        let walk = self.walk.join(", ");
        let walk = (!walk.is_empty()).then(|| format!("the walk: from the newest version, {walk}, and up again"));
        let losses = self.losses.iter().map(ToString::to_string);
        let rows = self.rows.iter().map(|row| row.join(" | "));
        walk.into_iter().chain(self.difference.iter().cloned()).chain(losses).chain(rows).collect()
    }

    /// All of it as plain lines.
    pub fn lines(&self) -> Vec<String> {
        let findings = self.findings.iter().flat_map(|finding| {
            std::iter::once(finding.to_string()).chain(finding.notes.iter().map(|note| format!("  {note}")))
        });
        std::iter::once(self.summary.clone()).chain(self.details()).chain(findings).collect()
    }

    pub(super) fn of(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), ..Self::default() }
    }

    pub(super) fn error(summary: impl Into<String>, error: &migrate_core::Error) -> Self {
        let sqlstate = error.sqlstate().map(str::to_owned);
        Self { findings: error.findings().to_vec(), sqlstate, ..Self::of(summary) }
    }

    /// The same story, marked as the failure of a script.
    pub(super) fn of_script(self, direction: Direction) -> Self {
        Self { fails: Some(direction), ..self }
    }

    /// The same story, marked as caused by the break of another law.
    pub(super) fn after(self, law: Option<Law>) -> Self {
        Self { follows: law, ..self }
    }

    /// Whether the server refused the same thing at the same location.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (self.findings.first(), other.findings.first()) else { return false };
        let place = |finding: &Finding| finding.place.as_ref().map(ToString::to_string);
        one.code == two.code && place(one).is_some() && place(one) == place(two)
    }

    pub(super) fn broken(self) -> Verdict {
        Verdict::Broken(Box::new(self))
    }
}
