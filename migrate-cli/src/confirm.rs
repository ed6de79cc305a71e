//! Asks for confirmation before something is changed or destroyed.

use migrate_base::codes;
use migrate_base::finding::Finding;

use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::invocation;
use crate::output::printer;

/// Asks for confirmation before a protected environment is changed.
pub(crate) fn confirm(context: &Context<'_>, yes: bool, what: &str) -> Result<()> {
    let is_meant = yes || !context.environment.protected;
    if is_meant { Ok(()) } else { ask(context, &format!("{} is protected", context.name), what) }
}

/// Asks for confirmation before data is permanently destroyed.
pub(crate) fn confirm_loss(context: &Context<'_>, yes: bool, what: &str) -> Result<()> {
    confirm_loss_of(context, yes, true, what)
}

/// Asks for confirmation before data is permanently destroyed, in a protected environment and in a database whose
/// purpose is unknown.
///
/// `is_certain` says whether data is certainly destroyed, or only may be.
pub(crate) fn confirm_loss_of(context: &Context<'_>, yes: bool, is_certain: bool, what: &str) -> Result<()> {
    if yes || !context.is_unnamed {
        return confirm(context, yes, what);
    }
    let word = if is_certain { "destroys" } else { "may destroy" };
    ask(context, &format!("this {word} data in {}", context.name), what)
}

/// Asks for confirmation before something is assumed that could not be checked, in every environment.
pub(crate) fn confirm_unseen(context: &Context<'_>, yes: bool, unseen: &str, what: &str) -> Result<()> {
    if yes { Ok(()) } else { ask(context, unseen, what) }
}

fn ask(context: &Context<'_>, why: &str, what: &str) -> Result<()> {
    use std::io::{BufRead, IsTerminal};
    let name = &context.name;
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() || context.output.is_json() {
        let failure =
            Failure::usage(codes::NEEDS_YES, format!("{why}, and there is no terminal to ask for confirmation"));
        let failure = failure.help(match invocation::can_look_first() {
            true => "check it with --dry-run, then confirm with --yes",
            false => "confirm with --yes",
        });
        return Err(match context.is_unnamed {
            true => failure.help("if it is a development database, add `--env development`"),
            false => failure,
        });
    }
    let mut answer = String::new();
    printer::ask(&format!("{why}. {what} Type {name} to continue: "));
    // A terminal that cannot be read gives no answer, and no answer means no.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if answer.trim() == name {
        return Ok(());
    }
    let finding = Finding::new(codes::NOT_CONFIRMED, "not confirmed; nothing was run");
    Err(Failure::Here(Exit::Usage, Box::new(finding)))
}
