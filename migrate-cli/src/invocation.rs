//! How this process was called, so that every command in its messages can be pasted as it stands: the name of the
//! program, and the options that select the environment, the database and the folder.
//!
//! It applies to the whole process, as the arguments do. Before it is set, and in unit tests, messages stay as they are
//! written.

use std::borrow::Cow;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory};
use migrate_base::finding::Finding;
use migrate_base::hint;
pub(crate) use migrate_base::hint::quote;
use migrate_core::Database;
use migrate_review::config::DatabaseSource;

use crate::cli::Cli;

static INVOCATION: OnceLock<Invocation> = OnceLock::new();

/// The command line, built when a message contains the first command.
static COMMAND: LazyLock<Command> = LazyLock::new(Cli::command);

/// The binary that the alias `cargo xtask` runs.
const ALIAS: &str = "xtask";

/// The options that select what a command works on. The others control its output.
const AIMS: [&str; 5] = ["env", "database", "migrations", "layout", "config"];

/// How the program was called.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    program: String,
    matches: ArgMatches,
    aims: Vec<TargetOption>,
}

/// An option that selects what a command works on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TargetOption {
    id: &'static str,
    /// The value as it was given.
    value: String,
    /// The value quoted for a shell.
    quoted: String,
}

/// Sets how this process was called. Only the first call counts.
pub(crate) fn set(program: &str, matches: &ArgMatches) {
    let aims = AIMS.into_iter().filter_map(|id| TargetOption::of(id, matches)).collect();
    let _ = INVOCATION.set(Invocation { program: program.to_owned(), matches: matches.clone(), aims });
}

/// Whether the command as it was given also accepts `--dry-run`, which would show what it does.
pub(crate) fn can_look_first() -> bool {
    INVOCATION.get().is_some_and(|invocation| has_dry_run(&COMMAND, &invocation.matches))
}

fn has_dry_run(command: &Command, matches: &ArgMatches) -> bool {
    let (mut leaf, mut given) = (command, matches);
    while let Some((name, matches)) = given.subcommand()
        && let Some(command) = leaf.find_subcommand(name)
    {
        (leaf, given) = (command, matches);
    }
    let Some(dry_run) = leaf.get_arguments().find(|arg| arg.get_id() == "dry_run") else { return false };
    let excludes = |one: &clap::Arg, other: &clap::Arg| {
        leaf.get_arg_conflicts_with(one).iter().any(|excluded| excluded.get_id() == other.get_id())
    };
    let is_given = |arg: &&clap::Arg| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    !leaf.get_arguments().filter(is_given).any(|arg| excludes(arg, dry_run) || excludes(dry_run, arg))
}

/// Whether an option was given by this name, which may be an old one.
pub(crate) fn is_typed(option: &str) -> bool {
    let ours = env::args_os().take_while(|argument| argument != "--");
    let name = |argument: &OsStr| Some(argument.to_str()?.split('=').next()? == option);
    ours.into_iter().any(|argument| name(&argument) == Some(true))
}

/// The name of the program for shell completion, which does not know `cargo xtask`.
pub(crate) fn name() -> String {
    let program = INVOCATION.get().map_or(hint::PROGRAM, |invocation| &invocation.program);
    match Path::new(program).file_name() {
        Some(name) if program != hint::PROGRAM => name.to_string_lossy().into_owned(),
        _ => ALIAS.to_owned(),
    }
}

/// Rewrites every command in a message to match how this process was called.
pub(crate) fn spoken(text: &str) -> Cow<'_, str> {
    match INVOCATION.get() {
        Some(invocation) => invocation.rewrite(text),
        None => Cow::Borrowed(text),
    }
}

/// The same for a page whose commands name their environment themselves: only the program, the folder and the
/// configuration are rewritten.
pub(crate) fn spoken_page(text: &str) -> Cow<'_, str> {
    let Some(invocation) = INVOCATION.get() else { return Cow::Borrowed(text) };
    let aims = invocation.aims.iter().filter(|aim| !["env", "database"].contains(&aim.id)).cloned().collect();
    let of_page = Invocation { aims, ..invocation.clone() };
    Cow::Owned(of_page.rewrite(text).into_owned())
}

/// Rewrites every command in a finding to match how this process was called.
pub(crate) fn spoken_finding(finding: &Finding) -> Finding {
    let texts = |texts: &[String]| texts.iter().map(|text| spoken(text).into_owned()).collect();
    let mut said = finding.clone();
    said.message = spoken(&finding.message).into_owned();
    (said.notes, said.help) = (texts(&finding.notes), texts(&finding.help));
    said
}

/// The options that another command needs to use the same database, as they were given.
pub(crate) fn aim_of_database() -> Option<String> {
    INVOCATION.get()?.aims.iter().find(|aim| aim.id == "database").map(|aim| format!("--database {}", aim.quoted))
}

/// What to call the program: `cargo xtask` if cargo runs it, its name if the shell finds it by name, else its path.
pub(crate) fn program(typed: Option<&OsStr>) -> String {
    let typed = Path::new(typed.unwrap_or(OsStr::new("xtask")));
    let Some(name) = typed.file_name() else { return hint::PROGRAM.to_owned() };
    if is_run_by_cargo(typed) {
        return hint::PROGRAM.to_owned();
    }
    let is_plain = typed.parent().is_none_or(|folder| folder.as_os_str().is_empty());
    if is_plain || is_on_path(typed, name) {
        return quote(&name.to_string_lossy());
    }
    quote(&typed.to_string_lossy())
}

/// Whether `cargo run` started it, which is what the alias `cargo xtask` stands for.
fn is_run_by_cargo(typed: &Path) -> bool {
    let is_ours = typed.file_stem() == Some(OsStr::new(ALIAS));
    let is_built_here = typed.parent().is_some_and(|folder| folder.join("deps").is_dir());
    is_ours && is_built_here && env::var_os("CARGO").is_some()
}

/// Whether the shell finds this file by its name alone.
fn is_on_path(typed: &Path, name: &OsStr) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let first = env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    let same = |file: &Path| Some(file.canonicalize().ok()? == typed.canonicalize().ok()?);
    first.and_then(|file| same(&file)).unwrap_or(false)
}

impl TargetOption {
    /// The option, if it was given.
    fn of(id: &'static str, matches: &ArgMatches) -> Option<Self> {
        if matches.value_source(id).is_none_or(|source| source == ValueSource::DefaultValue) {
            return None;
        }
        let raw: Vec<OsString> = matches.get_raw(id)?.map(OsStr::to_owned).collect();
        let value = raw.last()?.to_string_lossy().into_owned();
        let quoted = if id == "database" { quote(&repeatable(&value)) } else { quote(&value) };
        Some(Self { id, value, quoted })
    }
}

/// A value for `--database` that selects the same database. A password is never repeated: if a variable holds the URL,
/// the variable is named; else the password is left out, and a password file or PGPASSWORD has to provide it.
fn repeatable(value: &str) -> String {
    match value.parse() {
        Ok(DatabaseSource::Url(_)) => {}
        Ok(_) => return value.to_owned(),
        // It may be anything, even a password.
        Err(_) => return "URL".to_owned(),
    }
    let mut names: Vec<String> = env::vars_os()
        .filter(|(_, held)| held.to_str() == Some(value))
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    names.sort_by_key(|name| (name != "DATABASE_URL", name.clone()));
    names.into_iter().next().map_or_else(|| without_password(value), |name| format!("env:{name}"))
}

/// An argument that names a schema, such as an address, quoted for a shell and without a password.
pub(crate) fn address(text: &str) -> String {
    let is_address = text.contains("://") || matches!(text.parse(), Ok(DatabaseSource::Url(_)));
    if is_address { quote(&without_password(text)) } else { quote(text) }
}

fn without_password(url: &str) -> String {
    // Nothing of an invalid URL is repeated.
    let bare = Database::parse(url).and_then(|_| migrate_base::db::without_password(url));
    bare.map_or_else(|_| "URL".to_owned(), |(bare, _)| bare)
}

impl Invocation {
    fn rewrite<'t>(&self, text: &'t str) -> Cow<'t, str> {
        hint::rewrite(text, &|arguments| self.call(arguments))
    }

    /// A command as it has to be typed here. Its own options for environment and database stay.
    fn call(&self, arguments: &str) -> String {
        if arguments.is_empty() {
            return self.program.clone();
        }
        let (path, leaf) = leaf(arguments);
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let own = |id: &str| value(leaf, id, &words).or_else(|| value(&COMMAND, id, &words));
        // If a command names another environment or database, our options would be wrong for it.
        let is_elsewhere = ["env", "database"].into_iter().any(|id| {
            own(id).is_some_and(|own| {
                !self.aims.iter().any(|aim| aim.id == id && [&aim.value, &aim.quoted].contains(&&own))
            })
        });
        let options: String = self
            .aims
            .iter()
            .filter(|aim| own(aim.id).is_none() && !(is_elsewhere && ["env", "database"].contains(&aim.id)))
            .filter_map(|aim| {
                let long = COMMAND.get_arguments().find(|arg| arg.get_id() == aim.id)?.get_long()?;
                Some(format!(" --{long} {}", aim.quoted))
            })
            .collect();
        // The arguments of a command that passes them on are not options of ours.
        let passes_on = leaf.get_positionals().any(clap::Arg::is_trailing_var_arg_set);
        let (head, tail) = if passes_on { arguments.split_at(path) } else { (arguments, "") };
        format!("{} {head}{options}{tail}", self.program)
    }
}

/// The subcommand, and the byte at which its name ends.
fn leaf(arguments: &str) -> (usize, &'static Command) {
    let (mut leaf, mut end): (&Command, usize) = (&COMMAND, 0);
    for word in arguments.split_whitespace() {
        let Some(command) = leaf.find_subcommand(word) else { break };
        leaf = command;
        end = word.as_ptr() as usize - arguments.as_ptr() as usize + word.len();
    }
    (end, leaf)
}

/// The value of an option among the words of a command, as it is written there.
fn value(command: &Command, id: &str, words: &[&str]) -> Option<String> {
    let argument = command.get_arguments().find(|arg| arg.get_id() == id)?;
    let long = argument.get_long().map(|long| format!("--{long}"));
    let short = argument.get_short().map(|short| format!("-{short}"));
    let is_it = |word: &str| long.as_deref() == Some(word) || short.as_deref() == Some(word);
    let behind = words.iter().position(|word| is_it(word)).map(|at| words.get(at + 1).copied().unwrap_or_default());
    let joined = || words.iter().find_map(|word| word.strip_prefix(&format!("{}=", long.as_deref()?)));
    behind.or_else(joined).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn called(program: &str, arguments: &[&str]) -> Invocation {
        let matches = Cli::command().get_matches_from([&["xtask"], arguments].concat());
        Cli::from_arg_matches(&matches).unwrap();
        let aims = AIMS.into_iter().filter_map(|id| TargetOption::of(id, &matches)).collect();
        Invocation { program: program.to_owned(), matches, aims }
    }

    #[test]
    fn dry_run_is_an_option_where_the_command_has_it() {
        let can = |command: &[&str]| has_dry_run(&COMMAND, &called("x", command).matches);
        assert!(can(&["migrate"]) && can(&["baseline"]));
        for command in [&["baseline", "--mark"][..], &["kept", "purge"], &["resolve", "--undo"], &["status"]] {
            assert!(!can(command), "{command:?}");
        }
    }

    #[test]
    fn a_command_goes_where_this_one_went() {
        let here = called("roundtrip", &["-e", "staging", "status", "--migrations", "it's", "--config=x y"]);
        let all = r"--env staging --migrations 'it'\''s' --config 'x y'";
        assert_eq!(
            here.rewrite("`cargo xtask resolve 1 --undo`, or"),
            format!("`roundtrip resolve 1 --undo {all}`, or")
        );
        assert_eq!(here.rewrite("  cargo xtask status"), format!("  roundtrip status {all}"));
        assert_eq!(here.rewrite("`cargo xtask db psql -c x`"), format!("`roundtrip db psql {all} -c x`"));
        assert_eq!(here.rewrite("`cargo xtask` and cargo xtask ci"), "`roundtrip` and roundtrip ci");
        let twice = here.rewrite("`cargo xtask kept list`").replace("roundtrip", hint::PROGRAM);
        assert_eq!(here.rewrite(&twice), format!("`roundtrip kept list {all}`"));
    }

    #[test]
    fn a_command_that_says_where_it_goes_goes_there() {
        let here = called("x", &["status", "--env", "staging", "--database", "env:A", "--layout", "sqlx"]);
        assert_eq!(here.call("status --env production"), "x status --env production --layout sqlx");
        assert_eq!(here.call("status -e production --layout goose"), "x status -e production --layout goose");
        assert_eq!(here.call("status --database=env:B"), "x status --database=env:B --layout sqlx");
        assert_eq!(here.call("status --env staging"), "x status --env staging --database env:A --layout sqlx");
        assert_eq!(called("x", &["status", "--env", "development"]).call("ci"), "x ci --env development");
        assert_eq!(called("x", &["status"]).call("ci"), "x ci");
    }

    #[test]
    fn a_password_is_not_repeated() {
        let here = called("x", &["status", "--database", "postgres://ann:s3cret@h:5/shop"]);
        assert_eq!(here.call("ci"), "x ci --database postgres://ann@h:5/shop");
        let here = called("x", &["status", "--database", "postgres://ann:s3cret@h:port/shop"]);
        assert_eq!(here.call("ci"), "x ci --database URL");
    }
}
