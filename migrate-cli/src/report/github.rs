//! Output for the GitHub runner: workflow commands, which it shows beside the lines of a pull request, and the
//! file of the step summary.
//!
//! The runner shows ten annotations of each kind for a step and drops the rest, which is why there is SARIF, too.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use migrate_base::finding::{Finding, Severity};

use super::{CiReport, place};
use crate::invocation::spoken_finding;
use crate::output::clean;

/// A command for each finding, one per line.
pub(crate) fn commands(report: &CiReport) -> String {
    report.findings().map(|finding| command(finding) + "\n").collect()
}

fn command(finding: &Finding) -> String {
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = &finding.place {
        properties.push(("file", place::path(place)));
        if let Some(region) = place::region(place) {
            properties.push(("line", region.line.to_string()));
            properties.push(("endLine", region.end_line.to_string()));
            properties.push(("col", region.column.to_string()));
            // The runner refuses an end column in a region of several lines; the start column alone is accepted.
            if region.line == region.end_line {
                properties.push(("endColumn", region.end_column.to_string()));
            }
        }
    }
    properties.push(("title", finding.code.to_string()));
    let properties: Vec<String> = properties.iter().map(|(key, value)| format!("{key}={}", property(value))).collect();
    format!("::{kind} {}::{}", properties.join(","), data(&told(finding)))
}

/// The message with its notes and help, one line each.
pub(super) fn told(finding: &Finding) -> String {
    let finding = spoken_finding(finding);
    let lines = std::iter::once(finding.message.clone());
    let notes = finding.notes.iter().map(|note| format!("note: {note}"));
    let help = finding.help.iter().map(|help| format!("next: {help}"));
    clean::lines(&lines.chain(notes).chain(help).collect::<Vec<_>>().join("\n")).into_owned()
}

/// Escapes a message, which ends at the end of its line. The percent sign comes first, or the others would be escaped
/// twice.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property; the characters that end one are escaped as well.
fn property(text: &str) -> String {
    data(&clean::line(text)).replace(':', "%3A").replace(',', "%2C")
}

/// Appends a text to a file, which need not exist, because several steps write to one summary.
pub(crate) fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(text.as_bytes())?;
    if text.ends_with('\n') { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use migrate_base::finding::Place;
    use proptest::prelude::*;

    use migrate_base::codes::Code;

    use super::*;
    use crate::report::sample;

    #[test]
    fn the_sample() {
        sample::check("commands.txt", commands(&sample::report()));
    }

    #[test]
    fn a_summary_is_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.md");
        append(&file, "one").unwrap();
        append(&file, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\n");
    }

    /// What the runner reads: the kind, the properties, the message.
    fn read(command: &str) -> (String, Vec<(String, String)>, String) {
        let (head, message) = command.strip_prefix("::").unwrap().split_once("::").unwrap();
        let (kind, properties) = head.split_once(' ').unwrap();
        let plain = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap();
            (key.to_owned(), plain(&value.replace("%3A", ":").replace("%2C", ",")))
        };
        (kind.to_owned(), properties.split(',').map(pair).collect(), plain(message))
    }

    proptest! {
        #[test]
        fn a_command_is_one_line_and_reads_back(
            message in "(?s)([%:,0-9A-D\r\n]|.){0,40}",
            file in "[a-z%:,= /]{1,20}",
        ) {
            let place = Place::within(&file, "SELECT 1;".into(), 0..6);
            let command = command(&Finding::new(Code::new("some-code", Severity::Warning), &message).at(place));
            prop_assert!(!command.contains(['\r', '\n']));
            let (kind, properties, read) = read(&command);
            prop_assert_eq!(kind, "warning");
            prop_assert_eq!(read, clean::lines(&message));
            let expected = [("file", file.as_str()), ("line", "1"), ("endLine", "1"), ("col", "1"), ("endColumn", "7"),
                ("title", "some-code")];
            prop_assert_eq!(properties, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec());
        }
    }
}
