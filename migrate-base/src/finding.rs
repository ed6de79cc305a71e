//! Findings: what is wrong, where, and what to do next.
//!
//! Errors, problems in a folder, obstacles to a plan and lint results are all findings, so that they look alike in a
//! terminal, in JSON and in a pull request. The code that prints them decides how they look.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Information; no action is needed.
    Note,
    /// Probably wrong; the work continues.
    Warning,
    /// Wrong; the work stops.
    Error,
}

impl Severity {
    /// The name of the severity, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A stable identifier of what was found, such as `file-name`; scripts may match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    name: &'static str,
    severity: Severity,
}

impl Code {
    /// A code with this name. Findings with it have this severity unless they say otherwise.
    ///
    /// Only this table and the rules for SQL make codes: anything else would have no page.
    pub const fn new(name: &'static str, severity: Severity) -> Self {
        Self { name, severity }
    }

    /// The code as a word: `file-name`.
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// The severity of findings with this code.
    pub const fn severity(self) -> Severity {
        self.severity
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl PartialEq<str> for Code {
    fn eq(&self, other: &str) -> bool {
        self.name == other
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, other: &&str) -> bool {
        self.name == *other
    }
}

/// One problem, with its place and what to do about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of problem it is; scripts may match on it.
    pub code: Code,
    /// Its severity; usually that of the code.
    pub severity: Severity,
    /// What is wrong, as one sentence without a final full stop.
    pub message: String,
    /// The file and the part of it, if there is one.
    pub place: Option<Place>,
    /// Facts that explain the problem, one sentence each.
    pub notes: Vec<String>,
    /// What to do next, one sentence each.
    pub help: Vec<String>,
}

impl Finding {
    /// Creates a finding with this message and the severity of the code; the methods below add place, notes and help.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            place: None,
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Sets the severity, where it is not that of the code.
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// Sets the place.
    pub fn at(mut self, place: impl Into<Option<Place>>) -> Self {
        self.place = place.into();
        self
    }

    /// Adds a fact that explains the problem.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a next step.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// Writes `path:line:column: message`, as compilers do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A file, or a part of one.
#[derive(Debug, Clone)]
pub struct Place {
    path: PathBuf,
    part: Option<SourceSpan>,
}

/// The text of a file and the relevant byte range.
#[derive(Debug, Clone)]
pub struct SourceSpan {
    text: Arc<str>,
    span: Range<usize>,
    label: String,
}

impl Place {
    /// A whole file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), part: None }
    }

    /// The bytes `span` of a file with this text.
    ///
    /// A span that does not fit the text is moved to the nearest character boundaries inside it: a place that is
    /// slightly off is better than none.
    pub fn within(path: impl Into<PathBuf>, text: Arc<str>, span: Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        Self { path: path.into(), part: Some(SourceSpan { text, span: start..end, label: String::new() }) }
    }

    /// Sets the label next to the caret.
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        if let Some(part) = &mut self.part {
            part.label = label.into();
        }
        self
    }

    /// Returns the same place with a different path, for example one relative to another folder.
    pub fn renamed(self, path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of the file, the relevant byte range, and the label next to the caret.
    pub fn source(&self) -> Option<(&str, Range<usize>, &str)> {
        self.part.as_ref().map(|part| (&*part.text, part.span.clone(), part.label.as_str()))
    }

    /// Line and column, both counted from 1, the column in characters.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        self.part.as_ref().map(|part| line_column(&part.text, part.span.start))
    }

    /// Line and column of the first character after it, counted the same way.
    pub fn end_line_column(&self) -> Option<(usize, usize)> {
        self.part.as_ref().map(|part| line_column(&part.text, part.span.end))
    }
}

/// Writes `path`, or `path:line:column` if the place is a part of a file.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.line_column() {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// The line and the column, in characters, of the byte `offset`; both counted from 1.
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        assert_eq!(line_column("ab\nüü x", 8), (2, 4));
        assert_eq!(line_column("", 5), (1, 1));
    }

    #[test]
    fn a_span_outside_the_text_is_moved_inside() {
        let place = Place::within("a.sql", "üb".into(), 1..99);
        assert_eq!(place.source().map(|(_, span, _)| span), Some(0..3));
    }
}
