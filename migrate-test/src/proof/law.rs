//! The five laws, and how each can end.

use std::fmt;

use migrate_core::finding::Finding;
use migrate_core::ledger::Direction;

use crate::rows::Loss;

/// What is proven of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// Apply, then rollback, leaves the schema as it was.
    Identity,
    /// Applied again after a rollback, the schema is that of the first time.
    Reapply,
    /// However one gets to a version, the schema is the same.
    Path,
    /// Rows are there, unchanged, after a rollback, and after applying again.
    Data,
    /// What is declared lossy or irreversible is, and nothing else.
    Declared,
}

impl Fault<'_> {
    /// What is wrong, in a line.
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
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Identity, Self::Reapply, Self::Path, Self::Data, Self::Declared];

    /// The word for it, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Reapply => "reapply",
            Self::Path => "path",
            Self::Data => "data",
            Self::Declared => "declared",
        }
    }

    /// What it says, as a sentence.
    pub fn claim(self) -> &'static str {
        match self {
            Self::Identity => "rolling back restores the schema",
            Self::Reapply => "applying again gives the same schema as the first time",
            Self::Path => "every path to a version gives the same schema",
            Self::Data => "no row is lost or changed by rolling back and applying again",
            Self::Declared => "a migration is lossy or irreversible only if it says so",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a law ended for a migration.
#[derive(Debug, Clone, Default)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Broken(Box<Story>),
    /// It does not, and the migration says so, and why.
    Declared(String, Box<Story>),
    /// It was not looked at, and why.
    #[default]
    Unknown,
    /// It could not be looked at, and why.
    Skipped(String),
}

impl Verdict {
    /// The word for it, as in JSON.
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

    /// What happened, where something did.
    pub fn story(&self) -> Option<&Story> {
        match self {
            Self::Broken(story) | Self::Declared(_, story) => Some(story),
            _ => None,
        }
    }
}

/// What happened when a law did not hold.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// What was done, in a sentence.
    pub summary: String,
    /// The shortest way on which it happens: `up to 20250217143000`, `down to 0`.
    pub walk: Vec<String>,
    /// The difference of the schemas, a sentence each.
    pub difference: Vec<String>,
    /// Whether statements from one schema to another can say the difference: owners and what is around a schema are beyond them.
    pub is_of_schema: bool,
    /// The rows that are lost.
    pub losses: Vec<Loss>,
    /// Rows that a check returned: the columns, then each row.
    pub rows: Vec<Vec<String>>,
    /// What the server refused, with its place.
    pub findings: Vec<Finding>,
    /// The server's code for it.
    pub sqlstate: Option<String>,
    /// The script that does not run, where that is what happened: the up on the first way up, so that no rollback can be to
    /// blame, or the down.
    pub fails: Option<Direction>,
    /// The law whose break is the cause of this one too.
    pub follows: Option<Law>,
}

/// A cause that breaks one law or several, or keeps a migration from being applied.
#[derive(Debug, Clone)]
pub struct Fault<'a> {
    /// The law that shows it; `None` where the migration does not apply at all.
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

    /// The whole story as plain lines.
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

    /// The same as the failure of a script.
    pub(super) fn of_script(self, direction: Direction) -> Self {
        Self { fails: Some(direction), ..self }
    }

    /// The same as something of which the cause is the break of another law.
    pub(super) fn after(self, law: Option<Law>) -> Self {
        Self { follows: law, ..self }
    }

    /// Whether the server refused the same thing at the same place.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let (Some(one), Some(two)) = (self.findings.first(), other.findings.first()) else { return false };
        let place = |finding: &Finding| finding.place.as_ref().map(ToString::to_string);
        one.code == two.code && place(one).is_some() && place(one) == place(two)
    }

    pub(super) fn broken(self) -> Verdict {
        Verdict::Broken(Box::new(self))
    }
}
