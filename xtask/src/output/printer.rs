//! The only place that prints. Whatever goes through it is the command as this process was called, and shows what is hidden
//! in it; styles of ours pass, and are removed where they are not wanted.

use std::io::{IsTerminal, Write};

use super::clean;
use crate::invocation::spoken;

/// A line on standard output. A reader that went away, as `head` does, is no error.
pub(crate) fn out(text: &str) {
    quoted(&spoken(text));
}

/// The same for a text that is not ours, whose commands stay as they are.
pub(crate) fn quoted(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{}", clean::printed(&guarded(text)));
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
    let _ = write!(anstream::stdout().lock(), "{text}");
}

/// Help that was not asked for.
pub(crate) fn help_beside(text: &str) {
    let _ = write!(anstream::stderr().lock(), "{text}");
}

/// Lines that GitHub's runner reads commands in.
pub(crate) fn commands(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{}", clean::printed(text));
}

/// A document.
pub(crate) fn json(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", clean::json(text));
}

/// A text for a file, as it is; only where a terminal shows it, it shows what is hidden in it.
pub(crate) fn verbatim(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let text = if stdout.is_terminal() { clean::lines(text) } else { text.into() };
    let _ = stdout.write_all(text.as_bytes());
}

/// In GitHub Actions a line of ours must not be a command that somebody put into a name.
fn guarded(text: &str) -> std::borrow::Cow<'_, str> {
    match std::env::var_os("GITHUB_ACTIONS") {
        Some(_) => clean::without_commands(text),
        None => text.into(),
    }
}
