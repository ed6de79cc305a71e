//! A consumer in one file: handed over by another repository, or read from a server. docs/FORMATS.md describes it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::QualifiedName;
use serde::{Deserialize, Serialize};

use super::{Consumer, DeclaredUse, Query, QueryOrigin, RepositoryPlace, files, json_error, json_text};

/// The version of the format; it changes when a field is removed or changes its meaning.
const FORMAT: u32 = 1;
const KIND: &str = "consumer";

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedConsumer {
    format: u32,
    kind: String,
    /// The consumer's name.
    pub name: String,
    /// The role that it connects as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// When its queries were read, as RFC 3339.
    pub taken: String,
    /// The commit of its repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The tool that wrote the file.
    #[serde(default)]
    pub tool: String,
    /// Its queries.
    pub queries: Vec<ExportedQuery>,
    /// The tables and columns that it declares.
    #[serde(default)]
    pub uses: Vec<ExportedUse>,
}

/// A query in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExportedQuery {
    /// The name that the service gives it.
    pub name: String,
    /// The text as the server accepts it.
    pub text: String,
    /// The file that contains it, in the repository of the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line on which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// How often it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Whether its `*` is expanded when the service is built.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expands: bool,
}

/// A table or a column in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedUse {
    schema: String,
    table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default)]
    writes: bool,
}

/// The differences between two documents of a consumer: queries by name and text, each list in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportChanges {
    /// Names of queries that only the later one has.
    pub new: Vec<String>,
    /// Names of queries that only the earlier one has.
    pub gone: Vec<String>,
    /// How many queries both have.
    pub same: usize,
}

/// The fields that must be right before the others are read.
#[derive(Deserialize)]
struct ExportHeader {
    format: Option<u32>,
    kind: Option<String>,
}

impl ExportedConsumer {
    /// The document of a consumer at this moment.
    pub fn of(consumer: &Consumer, taken: String, commit: Option<String>, tool: String) -> Self {
        let query = |query: &Query| ExportedQuery {
            name: query.name.clone(),
            text: query.text.to_string(),
            file: query.found.as_ref().map(|found| found.file.clone()),
            line: query.found.as_ref().and_then(|found| found.line),
            calls: query.calls,
            expands: query.expands,
        };
        let used = |used: &DeclaredUse| ExportedUse {
            schema: used.table.schema().to_owned(),
            table: used.table.name().to_owned(),
            column: used.column.clone(),
            writes: used.writes,
        };
        Self {
            format: FORMAT,
            kind: KIND.to_owned(),
            name: consumer.name.clone(),
            role: consumer.role.clone(),
            taken,
            commit,
            tool,
            queries: consumer.queries.iter().map(query).collect(),
            uses: consumer.uses.iter().map(used).collect(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// A finding with its place if the file is damaged, of another kind, or in an unknown format.
    pub fn read(path: &Path, text: &Arc<str>) -> Result<Self, Box<Finding>> {
        let help = "export it again with `cargo xtask consumers export NAME -o FILE`";
        let damaged = |error| {
            let finding =
                json_error(codes::CONSUMER_FORMAT, "this exported consumer cannot be read", path, text, &error);
            Box::new(finding.help(help))
        };
        let wrong = |message: String| Finding::new(codes::CONSUMER_FORMAT, message).at(Place::file(path));
        let head: ExportHeader = serde_json::from_str(text).map_err(damaged)?;
        if head.kind.as_deref() != Some(KIND) {
            return Err(Box::new(wrong("this is not an exported consumer".to_owned()).help(help)));
        }
        match head.format {
            Some(FORMAT) => {}
            Some(newer) if newer > FORMAT => {
                let finding =
                    wrong(format!("this consumer has format {newer}, but only format {FORMAT} is known here"));
                return Err(Box::new(finding.help("update this tool, or export with the version that you use here")));
            }
            _ => return Err(Box::new(wrong("this consumer does not state its format".to_owned()).help(help))),
        }
        let exported: Self = serde_json::from_str(text).map_err(damaged)?;
        match super::is_name(&exported.name) {
            true => Ok(exported),
            false => Err(Box::new(super::misnamed(&exported.name).at(Place::file(path)))),
        }
    }

    /// Opens a file and reads the document in it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read`], and a finding for a file that cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Box<Finding>> {
        Self::read(path, &files::read(path)?)
    }

    /// The differences from an earlier document.
    pub fn changes(&self, before: &Self) -> ExportChanges {
        let identities = |one: &Self| -> BTreeSet<(String, String)> {
            one.queries.iter().map(|query| (query.name.clone(), query.text.clone())).collect()
        };
        let (earlier, later) = (identities(before), identities(self));
        let names = |a: &BTreeSet<(String, String)>, b| a.difference(b).map(|(name, _)| name.clone()).collect();
        ExportChanges {
            new: names(&later, &earlier),
            gone: names(&earlier, &later),
            same: later.intersection(&earlier).count(),
        }
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Its queries, with their places in the document.
    pub(super) fn queries(&self, path: &Path, text: &Arc<str>) -> Vec<Query> {
        let texts = json_text::texts(text);
        let mut strings = texts.into_iter().filter(|one| one.depth == 3 && one.key == "text");
        let query = |query: &ExportedQuery| {
            let span = strings.next().map_or(0..text.len(), |string| string.span);
            let pieces = json_text::pieces(text, &span);
            Query {
                name: query.name.clone(),
                text: query.text.as_str().into(),
                origin: QueryOrigin { path: path.to_owned(), text: text.clone(), span, pieces },
                calls: query.calls,
                found: query.file.clone().map(|file| RepositoryPlace { file, line: query.line }),
                expands: query.expands,
            }
        };
        self.queries.iter().map(query).collect()
    }

    /// The tables and columns that it declares, with their places in the document.
    pub(super) fn uses(&self, path: &Path, text: &Arc<str>) -> Vec<DeclaredUse> {
        let texts = json_text::texts(text);
        let mut strings = texts.into_iter().filter(|one| one.depth == 3 && one.key == "table");
        let used = |used: &ExportedUse| DeclaredUse {
            table: QualifiedName::new(&used.schema, &used.table),
            column: used.column.clone(),
            writes: used.writes,
            place: strings.next().map_or(Place::file(path), |string| Place::within(path, text.clone(), string.span)),
        };
        self.uses.iter().map(used).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let finding = ExportedConsumer::read(Path::new("a.consumer.json"), &text.into()).unwrap_err();
        assert_eq!(finding.code.as_str(), if text.contains("../") { "consumer-name" } else { "consumer-format" });
        finding.to_string()
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        assert!(refused("{\"format\": 1,\n \"kind\"").starts_with("a.consumer.json:2:"));
        assert!(refused("{\"format\": 1, \"command\": \"ci\"}").contains("not an exported consumer"));
        assert!(refused("{\"format\": 2, \"kind\": \"consumer\", \"queries\": 7}").contains("has format 2"));
        assert!(refused("{\"kind\": \"consumer\"}").contains("does not state its format"));
        assert!(
            refused("{\"format\": 1, \"kind\": \"consumer\", \"name\": \"a\",\n\"taken\": \"\", \"queries\": [7]}")
                .starts_with("a.consumer.json:2:")
        );
        let outside = "{\"format\": 1, \"kind\": \"consumer\", \"name\": \"../a\", \"taken\": \"\", \"queries\": []}";
        assert!(refused(outside).contains("cannot be the name"));
    }

    #[test]
    fn changes_are_told_by_name_and_text() {
        let with = |queries: &[(&str, &str)]| {
            let queries = queries.iter().map(|(name, text)| ExportedQuery {
                name: (*name).to_owned(),
                text: (*text).to_owned(),
                file: None,
                line: None,
                calls: None,
                expands: false,
            });
            let queries = queries.collect();
            ExportedConsumer {
                queries,
                ..ExportedConsumer::of(&Consumer::default(), String::new(), None, String::new())
            }
        };
        let before = with(&[("a", "SELECT 1"), ("b", "SELECT 2"), ("c", "SELECT 3")]);
        let changes = with(&[("a", "SELECT 1"), ("b", "SELECT 4"), ("d", "SELECT 3")]).changes(&before);
        assert_eq!(
            (changes.new, changes.gone, changes.same),
            (vec!["b".to_owned(), "d".to_owned()], vec!["b".to_owned(), "c".to_owned()], 1)
        );
    }

    proptest::proptest! {
        /// A document that was cut off or changed anywhere is either refused or read, and nothing panics.
        #[test]
        fn a_damaged_document_is_no_accident(cut in 0..200_usize, at in 0..200_usize, sign in "[\"{}\\\\,:a0ü]") {
            let text = "{\"format\":1,\"kind\":\"consumer\",\"name\":\"a\",\"taken\":\"x\",\
                        \"queries\":[{\"name\":\"ü\",\"text\":\"SELECT \\\"a\\\"\"}],\
                        \"uses\":[{\"schema\":\"p\",\"table\":\"t\"}]}";
            let (cut, at) = (text.floor_char_boundary(cut), text.floor_char_boundary(at));
            for damaged in [
                text[..cut].to_owned(),
                format!("{}{sign}{}", &text[..at], &text[at..]),
                format!("{}{}", &text[..at], &text[cut.max(at)..]),
            ] {
                let damaged: Arc<str> = damaged.into();
                if let Ok(exported) = ExportedConsumer::read(Path::new("a"), &damaged) {
                    for query in exported.queries(Path::new("a"), &damaged) {
                        let _ = query.part(0..query.text.len());
                    }
                    let _ = exported.uses(Path::new("a"), &damaged);
                }
            }
        }

        /// A written document can be read again, and each query is found in the document.
        #[test]
        fn a_document_reads_back(texts in proptest::collection::vec("[a-z\"\\\\\nü ]{0,12}", 0..4)) {
            let queries = texts.iter().map(|text| Query {
                name: "text".to_owned(),
                text: text.as_str().into(),
                origin: QueryOrigin { path: "q.sql".into(), text: "".into(), span: 0..0, pieces: vec![(0, 0)] },
                calls: Some(7),
                found: None,
                expands: true,
            });
            let consumer = Consumer { name: "billing".to_owned(), queries: queries.collect(), ..Consumer::default() };
            let exported = ExportedConsumer::of(&consumer, "2026-01-01T00:00:00Z".to_owned(), None, "x".to_owned());
            let text: Arc<str> = exported.text().into();
            let again = ExportedConsumer::read(Path::new("a"), &text).unwrap();
            proptest::prop_assert_eq!(&again, &exported);
            for (query, expected) in again.queries(Path::new("a"), &text).iter().zip(&texts) {
                let whole = query.part(0..query.text.len());
                let (text, span, _) = whole.source().unwrap();
                let read: String = serde_json::from_str(&format!("\"{}\"", &text[span])).unwrap();
                proptest::prop_assert_eq!(&read, expected);
            }
        }
    }
}
