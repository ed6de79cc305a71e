//! Scripts that may come from `pg_dump`, and that are sent to the server without psql.

use std::path::Path;
use std::sync::Arc;

use super::split::{FlawKind, split};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// Whether a psql command is `\restrict` or `\unrestrict`: between them psql accepts no other command. They do nothing
/// else.
pub(super) fn is_guard(command: &str) -> bool {
    matches!(command.split_whitespace().next(), Some("\\restrict" | "\\unrestrict"))
}

/// A script without the guards that `pg_dump` puts around it. Everything else keeps its place.
pub fn without_guards(text: &str) -> String {
    let mut made = text.to_owned();
    for flaw in split(text).1 {
        if flaw.kind == FlawKind::MetaCommand && is_guard(&text[flaw.span.clone()]) {
            made.replace_range(flaw.span.clone(), &" ".repeat(flaw.span.len()));
        }
    }
    made
}

/// A script that creates a schema, in a form that the server accepts.
///
/// # Errors
///
/// [`ErrorKind::Files`] with a finding for each command that only psql knows.
pub fn schema_script(path: &Path, text: &str) -> Result<Arc<str>> {
    let text: Arc<str> = without_guards(text).into();
    let mut flaws = split(&text).1;
    flaws.retain(|flaw| flaw.kind == FlawKind::MetaCommand);
    let findings: Vec<Finding> = super::refused(path, &text, &[], &flaws, false);
    if findings.is_empty() { Ok(text) } else { Err(Error::of(ErrorKind::Files, findings)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_go_and_other_commands_are_refused_where_they_stand() {
        let text = "\\restrict aB1\nSELECT '\n\\restrict x\n';\n\\unrestrict aB1\n";
        let blank = format!("{}\nSELECT '\n\\restrict x\n';\n{}\n", " ".repeat(13), " ".repeat(15));
        assert_eq!(*schema_script(Path::new("a.sql"), text).unwrap(), *blank);
        let error = schema_script(Path::new("a.sql"), "\\restrict a\n\\connect other\n").unwrap_err();
        let [finding] = error.findings() else { panic!("{:?}", error.findings()) };
        assert_eq!(finding.place.as_ref().unwrap().to_string(), "a.sql:2:1");
        assert!(finding.message.contains("`\\connect`"), "{}", finding.message);
    }
}
