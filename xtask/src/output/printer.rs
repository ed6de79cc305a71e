//! The only place that prints. Whatever goes through it is the command as this process was called, and shows what is hidden
//! in it; styles of ours pass, and are removed where they are not wanted.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use super::clean;
use crate::invocation::spoken;

/// Why something for standard output could not be written, the first time.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Remembers what could not be written. A reader that went away, as `head` does, has what it wanted.
fn written(outcome: io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNWRITTEN.get_or_init(|| error.to_string());
    }
}

/// Says at the end of the process whether a part of the result is lost, and that it is.
pub(crate) fn is_incomplete() -> bool {
    written(io::stdout().lock().flush());
    let Some(why) = UNWRITTEN.get() else { return false };
    err(&format!(
        "{}: the result could not be written to standard output: {why}; what the command did stays done",
        super::style::paint(super::style::BAD, "error")
    ));
    true
}

/// A line on standard output. A reader that went away, as `head` does, is no error.
pub(crate) fn out(text: &str) {
    quoted(&spoken(text));
}

/// The same for a text that is not ours, whose commands stay as they are.
pub(crate) fn quoted(text: &str) {
    written(writeln!(anstream::stdout().lock(), "{}", clean::printed(&guarded(text))));
}

/// A line on standard error.
pub(crate) fn err(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", clean::printed(&guarded(&spoken(text))));
}

/// A question on standard error; the answer follows it on the same line.
pub(crate) fn ask(text: &str) {
    let mut terminal = anstream::stderr().lock();
    // A terminal that cannot be written to gives no answer, and no answer is no.
    let _ = write!(terminal, "{}", clean::printed(text)).and_then(|()| terminal.flush());
}

/// Help that was asked for, with the styles of whoever wrote it: all of it is ours.
pub(crate) fn help(text: &str) {
    written(write!(anstream::stdout().lock(), "{text}"));
}

/// Help that was not asked for.
pub(crate) fn help_beside(text: &str) {
    let _ = write!(anstream::stderr().lock(), "{text}");
}

/// Lines that GitHub's runner reads commands in.
pub(crate) fn commands(text: &str) {
    written(writeln!(anstream::stdout().lock(), "{}", clean::printed(text)));
}

/// A document.
pub(crate) fn json(text: &str) {
    written(writeln!(std::io::stdout().lock(), "{}", clean::json(text)));
}

/// One line for programs, beside the document: what happens while a command works.
pub(crate) fn event(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", clean::json(line));
}

/// A text for a file, as it is; only where a terminal shows it, it shows what is hidden in it.
pub(crate) fn verbatim(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let text = if stdout.is_terminal() { clean::lines(text) } else { text.into() };
    written(stdout.write_all(text.as_bytes()));
}

/// In GitHub Actions a line of ours must not be a command that somebody put into a name.
fn guarded(text: &str) -> std::borrow::Cow<'_, str> {
    match std::env::var_os("GITHUB_ACTIONS") {
        Some(_) => clean::without_commands(text),
        None => text.into(),
    }
}
