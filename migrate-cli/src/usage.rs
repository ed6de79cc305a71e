//! Parses the command line. Errors go to people as text and to programs as JSON.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};
use migrate_base::codes;
use migrate_base::hint;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::invocation;
use crate::output::{CliOutput, clean, printer, style};

/// Parses the arguments; the first one is the program.
///
/// # Errors
///
/// The exit code, if help was requested or the arguments are wrong. The output has already been printed.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, ExitCode> {
    let program = invocation::program(arguments.first().map(OsString::as_os_str));
    // Clap needs a static name, and the process has only one.
    let name: &'static str = Box::leak(program.clone().into_boxed_str());
    let mut command = unwrapped(Cli::command()).name(name).bin_name(name);
    let parsed = command.try_get_matches_from_mut(&arguments);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    match parsed {
        Ok((cli, matches)) => {
            invocation::set(&program, &matches);
            Ok(cli)
        }
        Err(error) => {
            // The message repeats arguments, so it is created again from arguments that are safe to show.
            let shown = arguments.iter().map(|argument| presentable(argument));
            let error = command.try_get_matches_from_mut(shown).err().unwrap_or(error);
            say(&error, &arguments, &program);
            Err(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8)))
        }
    }
}

/// Replaces the blanks in examples, so that the help is not wrapped within them: they can be pasted as they stand.
fn unwrapped(command: Command) -> Command {
    let Some(text) = command.get_after_help().map(ToString::to_string) else {
        return command.mut_subcommands(unwrapped);
    };
    let mut is_example = false;
    let lines = text.split('\n').map(|line| {
        is_example = if line.starts_with(' ') { is_example } else { line.starts_with("Example") };
        if is_example { line.replace(' ', UNBROKEN) } else { line.to_owned() }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    command.after_help(text).mut_subcommands(unwrapped)
}

/// The text with the blanks that it had before.
fn wrapped(text: &str) -> String {
    text.replace(UNBROKEN, " ")
}

/// A blank at which no line is broken.
const UNBROKEN: &str = "\u{a0}";

/// Prints the requested help, or the error.
fn say(error: &clap::Error, arguments: &[OsString], program: &str) {
    let wants = |option: &str, value: &str| wants(arguments, option, value);
    match (wants("--color", "always"), wants("--color", "never")) {
        (true, _) => anstream::ColorChoice::Always.write_global(),
        (_, true) => anstream::ColorChoice::Never.write_global(),
        _ => {}
    }
    // The help contains only our own text.
    let help = || wrapped(&error.render().ansi().to_string()).replace(hint::PROGRAM, program);
    if !error.use_stderr() {
        return printer::help(&help());
    }
    if wants("--format", "json") {
        let text = wrapped(&error.to_string());
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        let (message, rest) = message.split_once("\n\n").unwrap_or((message, ""));
        let failure = Failure::usage(codes::USAGE, message);
        let rest = rest.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
        return CliOutput::for_programs().failure(&rest.fold(failure, Failure::help));
    }
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => printer::help_beside(&help()),
        // A message repeats arguments, which are not ours.
        _ => printer::quoted_err(style::marked(&error.render().ansi().to_string()).trim_end()),
    }
}

/// Whether an option was given with this value, as far as wrong arguments can be parsed.
fn wants(arguments: &[OsString], option: &str, value: &str) -> bool {
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let words: Vec<&str> = ours.map(|argument| argument.to_str().unwrap_or_default()).collect();
    words.windows(2).any(|pair| pair == [option, value])
        || words.iter().any(|word| word.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) == Some(value))
}

/// An argument in a form that is safe to show: without addresses, which may contain a password, and with visible
/// control characters.
fn presentable(argument: &OsStr) -> OsString {
    let text = argument.to_string_lossy();
    let shown = match text.split_once('=') {
        _ if !text.contains("://") => clean::line(&migrate_review::config::redact(&text)).into_owned(),
        Some((option, value)) if value.contains("://") && !option.contains("://") => format!("{option}=…"),
        _ => "…".to_owned(),
    };
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_shown_without_an_address() {
        let shown = |text: &str| presentable(OsStr::new(text)).into_string().unwrap();
        assert_eq!(shown("postgres://a:s=3cret@h/d"), "…");
        assert_eq!(shown("--databse=postgres://a:s3c=ret@h/d"), "--databse=…");
        assert_eq!(shown("a\u{1b}=b"), "a\\x1b=b");
    }

    #[test]
    fn an_example_stays_on_its_line() {
        let text = "Text that is longer than a line.\n\nExamples:\n  echo 'a b' | cargo xtask new --derive";
        let mut command = unwrapped(Cli::command().after_help(text).term_width(20));
        let help = wrapped(&command.render_help().to_string());
        assert!(help.contains("\n  echo 'a b' | cargo xtask new --derive"), "{help}");
        assert!(help.contains("Text that is longer\nthan a line."), "{help}");
    }

    #[test]
    fn what_was_wanted_is_found_in_wrong_arguments() {
        let given = |words: &[&str]| wants(&words.iter().map(OsString::from).collect::<Vec<_>>(), "--format", "json");
        assert!(given(&["x", "--format", "json", "nonsense"]) && given(&["x", "status", "--format=json", "--no"]));
        assert!(!given(&["x", "db", "psql", "--", "--format=json"]) && !given(&["x", "--formatjson"]));
    }
}
