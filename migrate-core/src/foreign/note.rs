//! The note with which a ledger records that a migration was taken over from another tool.

use migrate_base::ident::{QualifiedName, first_name, literal, quoted};

use super::{ForeignLedger, ForeignRow, ForeignTool};

const ADOPTED: &str = "adopted from ";

/// The note for a migration that the other tool rolled back after it was taken over.
pub(crate) const GIVEN_BACK: &str = "rolled back by the tool it came from";

impl ForeignLedger {
    /// The note for a row, which may stand for a migration with another key: the tool and its table, and when, by whom
    /// and with which checksum it recorded the migration.
    pub fn note(&self, row: &ForeignRow, key: &str) -> String {
        let mut note = format!("{ADOPTED}{} {} as {}", self.tool.name, self.table, literal(key));
        let facts = [("applied", &row.at), ("by", &row.by), ("checksum", &row.checksum)];
        for (word, value) in facts {
            if let Some(value) = value {
                note += &format!(", {word} {value}");
            }
        }
        note
    }
}

/// Where a migration was taken over from.
pub(crate) struct AdoptionNote {
    pub(crate) tool: &'static ForeignTool,
    pub(crate) table: QualifiedName,
    /// What the tool identifies the migration by.
    pub(crate) key: String,
}

/// Reads a note that was written by [`ForeignLedger::note`].
pub(crate) fn adopted_from(note: &str) -> Option<AdoptionNote> {
    let (tool, rest) = note.strip_prefix(ADOPTED)?.split_once(' ')?;
    let (schema, rest) = first_name(rest)?;
    let (table, rest) = first_name(rest.strip_prefix('.')?)?;
    let (key, _) = quoted(rest.strip_prefix(" as '")?, '\'')?;
    Some(AdoptionNote { tool: ForeignTool::named(tool)?, table: QualifiedName::new(schema, table), key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::ForeignState;

    #[test]
    fn a_note_names_the_tool_and_the_table_again() {
        let tool = ForeignTool::named("flyway").unwrap();
        let table = QualifiedName::new("my \"app\", x", "Schema History");
        let row = ForeignRow {
            key: "it's, 1".to_owned(),
            name: None,
            checksum: Some("-12".to_owned()),
            state: ForeignState::Applied,
            at: Some("2024-01-01 10:00:00".to_owned()),
            by: None,
        };
        let ledger = ForeignLedger { tool, table: table.clone(), rows: Ok(Vec::new()), locked_by: None };
        let note = ledger.note(&row, &row.key);
        assert!(note.ends_with(", applied 2024-01-01 10:00:00, checksum -12"), "{note}");
        let found = adopted_from(&note).unwrap();
        assert_eq!((found.tool.name(), found.table, found.key), ("flyway", table, row.key));
        assert!(adopted_from("baseline").is_none() && adopted_from("adopted from x public.y").is_none());
    }
}
