//! Where to find the queries of a service: `[consumers.NAME]` in `migrate.toml`, and the `consumer.toml` of a folder.

use std::path::Path;
use std::sync::Arc;

use migrate_base::error::Result;
use migrate_base::finding::Place;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use crate::database_source::redact;
use crate::toml_file::wrong;

/// The declaration of a consumer.
#[derive(Debug, Clone, Default)]
pub struct ConsumerDeclaration {
    /// Files, folders and patterns with its queries in SQL.
    pub sql: Vec<PlacedText>,
    /// The folder with the data that sqlx stores for builds without a database.
    pub sqlx: Option<PlacedText>,
    /// The role with which it connects.
    pub role: Option<PlacedText>,
    /// Tables and columns that it reads.
    pub reads: Vec<PlacedText>,
    /// Tables and columns that it writes.
    pub writes: Vec<PlacedText>,
    /// How its queries write parameters, if that cannot be detected.
    pub style: Option<ParameterStyle>,
    /// The place of the declaration, if it is in a file.
    pub place: Option<Place>,
}

/// A text, and its place, if it is in a file.
#[derive(Debug, Clone)]
pub struct PlacedText {
    /// The text.
    pub text: String,
    /// Its place.
    pub place: Option<Place>,
}

/// How a query writes a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterStyle {
    /// `$1`: the server's own form.
    Dollar,
    /// `?`
    Question,
    /// `:name`
    Colon,
    /// `@name`
    At,
    /// `%s` and `%(name)s`
    Percent,
}

impl ParameterStyle {
    const ALL: [(&str, Self); 5] = [
        ("dollar", Self::Dollar),
        ("question", Self::Question),
        ("colon", Self::Colon),
        ("at", Self::At),
        ("percent", Self::Percent),
    ];
}

impl From<&str> for PlacedText {
    /// A text from the command line.
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), place: None }
    }
}

impl ConsumerDeclaration {
    /// Reads the `consumer.toml` of a folder.
    ///
    /// # Errors
    ///
    /// [`migrate_base::error::ErrorKind::Configuration`] with line and column for an invalid file.
    pub fn read(path: &Path, text: &str) -> Result<Self> {
        let written: WrittenDeclaration = toml::from_str(text).map_err(|error| wrong(path, text, &error))?;
        Ok(written.at(Place::file(path), &redact(text).into()))
    }
}

/// The keys as in the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WrittenDeclaration {
    sql: Vec<Spanned<String>>,
    sqlx: Option<Spanned<String>>,
    role: Option<Spanned<String>>,
    reads: Vec<Spanned<String>>,
    writes: Vec<Spanned<String>>,
    #[serde(deserialize_with = "style")]
    style: Option<ParameterStyle>,
}

impl WrittenDeclaration {
    /// Adds the places in the file.
    pub(crate) fn at(self, place: Place, text: &Arc<str>) -> ConsumerDeclaration {
        let said = |one: Spanned<String>| {
            let place = Place::within(place.path(), text.clone(), one.span());
            PlacedText { text: one.into_inner(), place: Some(place) }
        };
        let all = |list: Vec<Spanned<String>>| list.into_iter().map(said).collect();
        ConsumerDeclaration {
            sql: all(self.sql),
            sqlx: self.sqlx.map(said),
            role: self.role.map(said),
            reads: all(self.reads),
            writes: all(self.writes),
            style: self.style,
            place: Some(place.clone()),
        }
    }
}

fn style<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<ParameterStyle>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let found = ParameterStyle::ALL.into_iter().find(|(word, _)| *word == text).map(|(_, style)| style);
    let known = ParameterStyle::ALL.map(|(word, _)| word).join(", ");
    found.map(Some).ok_or_else(|| de::Error::custom(format!("the parameter styles are {known}")))
}
