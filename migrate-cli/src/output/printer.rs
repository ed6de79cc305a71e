//! The only module that prints. It rewrites commands to match how this process was called, and escapes invisible
//! characters; our own styles pass, and are removed if they are not wanted.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use super::clean;
use crate::invocation::spoken;

/// The first error of writing to standard output.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Remembers a write error. A reader that closes the pipe early, as `head` does, is not an error.
fn written(outcome: io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNWRITTEN.get_or_init(|| error.to_string());
    }
}

/// At the end of the process, reports whether a part of the result was lost.
pub(crate) fn is_incomplete() -> bool {
    written(io::stdout().lock().flush());
    let Some(why) = UNWRITTEN.get() else { return false };
    err(&format!(
        "{}: the result could not be written to standard output: {why}; the command itself was carried out",
        super::style::paint(super::style::BAD, "error")
    ));
    true
}

/// Prints a line on standard output. A reader that closes the pipe early, as `head` does, is not an error.
pub(crate) fn out(text: &str) {
    quoted(&spoken(text));
}

/// The same for foreign text, whose commands are not rewritten.
pub(crate) fn quoted(text: &str) {
    written(writeln!(anstream::stdout().lock(), "{}", clean::printed(&guarded(text))));
}

/// Prints a line on standard error.
pub(crate) fn err(text: &str) {
    quoted_err(&spoken(text));
}

/// The same for foreign text, whose commands are not rewritten.
pub(crate) fn quoted_err(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", clean::printed(&guarded(text)));
}

/// Prints a question on standard error; the answer follows on the same line.
pub(crate) fn ask(text: &str) {
    let mut terminal = anstream::stderr().lock();
    // A terminal that cannot be written to gives no answer, and no answer means no.
    let _ = write!(terminal, "{}", clean::printed(text)).and_then(|()| terminal.flush());
}

/// Prints requested help. Its styles pass, because all of its text is ours.
pub(crate) fn help(text: &str) {
    written(write!(anstream::stdout().lock(), "{text}"));
}

/// Prints help that was not requested.
pub(crate) fn help_beside(text: &str) {
    let _ = write!(anstream::stderr().lock(), "{text}");
}

/// Prints lines that the GitHub runner reads as commands.
pub(crate) fn commands(text: &str) {
    written(writeln!(anstream::stdout().lock(), "{}", clean::printed(text)));
}

/// Prints a JSON document.
pub(crate) fn json(text: &str) {
    written(writeln!(std::io::stdout().lock(), "{}", clean::json(text)));
}

/// Prints a progress event for programs on standard error.
pub(crate) fn event(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", clean::json(line));
}

/// Prints a text for a file unchanged; on a terminal, invisible characters are escaped.
pub(crate) fn verbatim(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let text = if stdout.is_terminal() { clean::lines(text) } else { text.into() };
    written(stdout.write_all(text.as_bytes()));
}

/// In GitHub Actions, makes sure that a name in our output cannot act as a command.
fn guarded(text: &str) -> std::borrow::Cow<'_, str> {
    match std::env::var_os("GITHUB_ACTIONS") {
        Some(_) => clean::without_commands(text),
        None => text.into(),
    }
}
