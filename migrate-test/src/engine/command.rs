//! Runs the commands of a tool: with the address of a shadow database, and with none of our secrets.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use migrate_core::Database;
use migrate_review::config::redact;

use super::{EngineDriver, EngineStep};
use crate::ephemeral::statement_limit;
use crate::provider::child::{ChildEnvironment, command};

/// Why a command did not end well.
#[derive(Debug)]
pub(super) struct CommandFailure {
    /// In a few words, after the command.
    pub(super) summary: String,
    /// The last lines that it printed.
    pub(super) output: Vec<String>,
    /// Whether the shell did not find the program.
    pub(super) is_not_found: bool,
}

/// How long the streams of a command that has ended may be silent before they count as held open by something else.
const SILENCE: Duration = Duration::from_secs(2);
/// How many of the last lines of its output are shown.
const LINES: usize = 12;
/// How much of its output is kept.
const KEPT: usize = 1 << 20;

/// Writes the values for a migration into the text of a command.
pub(super) fn filled(template: &str, step: &EngineStep, before: &[&str], folder: &Path) -> String {
    let (app, name) = step.key.split_once('.').unwrap_or(("", &step.key));
    // In a tool whose keys have an app, the one before is the one of the same app.
    let previous = match app {
        "" => before.last().copied().unwrap_or_default(),
        app => before.iter().rev().find_map(|key| key.strip_prefix(app)?.strip_prefix('.')).unwrap_or("zero"),
    };
    let file = step.file.as_deref().unwrap_or(folder);
    let values = [
        ("{revision}", &*step.key),
        ("{previous}", previous),
        ("{target}", &step.target),
        ("{app}", app),
        ("{name}", name),
        ("{file}", &file.to_string_lossy()),
        ("{folder}", &folder.to_string_lossy()),
    ];
    // In one pass: a value may look like a mark.
    let (mut text, mut rest) = (String::new(), template);
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = values.iter().find(|(mark, _)| rest.starts_with(mark));
        let (written, taken) = found.map_or(("{".to_owned(), 1), |(mark, value)| (quoted(value), mark.len()));
        text.push_str(&written);
        rest = &rest[taken..];
    }
    text + rest
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "_-./:@+,%=".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Parts of the messages with which the server refuses rows, in the language of a shadow server, and their SQLSTATE.
/// The rows may be at fault then, and not the migration.
const REFUSALS: [(&str, &str); 18] = [
    ("contains null values", "23502"),
    ("violates not-null constraint", "23502"),
    ("violates foreign key constraint", "23503"),
    ("violates unique constraint", "23505"),
    ("could not create unique index", "23505"),
    ("violates check constraint", "23514"),
    ("is violated by some row", "23514"),
    ("violates exclusion constraint", "23P01"),
    ("could not create exclusion constraint", "23P01"),
    ("value too long for type", "22001"),
    ("integer out of range", "22003"),
    ("bigint out of range", "22003"),
    ("smallint out of range", "22003"),
    ("is out of range for type", "22003"),
    ("timestamp out of range", "22008"),
    ("field value out of range", "22008"),
    ("numeric field overflow", "22003"),
    ("invalid input syntax for type", "22P02"),
];

/// The SQLSTATE of a refusal in a line that a tool printed.
pub(super) fn sqlstate(line: &str) -> Option<&'static str> {
    REFUSALS.iter().find(|(part, _)| line.contains(part)).map(|(_, sqlstate)| *sqlstate)
}

/// Runs a command in the shell, and returns what it printed to its standard output.
pub(super) async fn run(driver: &EngineDriver, text: &str, database: &Database) -> Result<String, CommandFailure> {
    let mut shell = command("/bin/sh", ChildEnvironment::Engine);
    let passed = driver.config.pass.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    shell.args(["-c", text]).current_dir(&driver.project).envs(passed).envs(database.variables());
    // It gets its own process group, so that all of it can be ended.
    shell.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let cannot = |error: std::io::Error| CommandFailure {
        summary: format!("cannot be run: {error}"),
        output: Vec::new(),
        is_not_found: true,
    };
    let mut child = shell.spawn().map_err(cannot)?;
    let streams = [child.stdout.take().map(gather), child.stderr.take().map(gather)];
    let mut running = RunningCommand(Some(child));
    let ended = running.wait(limit()).await;
    // What it left running may still hold its streams open, in another process group.
    let (mut read, mut since) = (0, Instant::now());
    while streams.iter().flatten().any(|stream| !stream.thread.is_finished()) && since.elapsed() < SILENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = streams.iter().flatten().map(|stream| stream.read.load(Ordering::Relaxed)).sum();
        if now != read {
            (read, since) = (now, Instant::now());
        }
    }
    let [printed, errors] = streams.map(|stream| stream.map(|stream| stream.text()).unwrap_or_default());
    let summary = match ended {
        Ok(status) if status.success() => return Ok(printed),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
        },
        Err(why) => why,
    };
    let lines = printed.lines().chain(errors.lines()).map(str::trim_end).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(|line| without_secrets(driver, database, line)).collect();
    let output = lines[lines.len().saturating_sub(LINES)..].to_vec();
    let is_not_found = summary.ends_with(" 127");
    Err(CommandFailure { summary, output, is_not_found })
}

/// How long a command may take: ten times as long as a statement.
fn limit() -> Duration {
    match statement_limit() {
        Duration::ZERO => Duration::MAX,
        each => each * 10,
    }
}

/// A line of the output without the values of the variables that were passed, and without passwords: that of the
/// database, and those of addresses.
fn without_secrets(driver: &EngineDriver, database: &Database, line: &str) -> String {
    let passed = driver.config.pass.iter().filter_map(|name| std::env::var(name).ok());
    let given = database.variables().into_iter().filter(|(name, _)| *name == "PGPASSWORD").map(|(_, value)| value);
    let values = passed.chain(given).filter(|value| value.len() > 3);
    redact(&values.fold(line.to_owned(), |line, value| line.replace(&value, "******")))
}

/// A stream that a thread reads.
struct GatheredStream {
    thread: std::thread::JoinHandle<()>,
    kept: Arc<Mutex<Vec<u8>>>,
    /// How many bytes were read.
    read: Arc<AtomicUsize>,
}

impl GatheredStream {
    /// What was read until now.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Reads a stream on a thread, and keeps its last part.
fn gather(mut stream: impl Read + Send + 'static) -> GatheredStream {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let read = Arc::new(AtomicUsize::new(0));
    let (shared, counted) = (kept.clone(), read.clone());
    let thread = std::thread::spawn(move || {
        let mut part = [0; 8192];
        while let Ok(count @ 1..) = stream.read(&mut part) {
            counted.fetch_add(count, Ordering::Relaxed);
            let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&part[..count]);
            let excess = kept.len().saturating_sub(KEPT);
            if excess > KEPT {
                kept.drain(..excess);
            }
        }
    });
    GatheredStream { thread, kept, read }
}

/// A command with everything that it started; all of it ends with this value.
struct RunningCommand(Option<Child>);

impl RunningCommand {
    async fn wait(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(2);
        while let Some(child) = &mut self.0 {
            match child.try_wait() {
                Ok(Some(status)) => {
                    // What it left running in the background still has the shadow database.
                    self.kill();
                    self.0 = None;
                    return Ok(status);
                }
                Ok(None) if begin.elapsed() < limit => tokio::time::sleep(pause).await,
                Ok(None) => break,
                Err(error) => return Err(format!("cannot be waited for: {error}")),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        self.kill();
        Err(format!("did not end within {} s, and was stopped", limit.as_secs()))
    }

    fn kill(&self) {
        let group = self.0.as_ref().and_then(|child| rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?));
        // If it is gone, there is nothing to end.
        let _ = group.map(|group| rustix::process::kill_process_group(group, rustix::process::Signal::KILL));
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut child) = self.0.take() {
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(key: &str) -> EngineStep {
        EngineStep { key: key.to_owned(), file: Some("m/a b.js".into()), ..EngineStep::unknown() }
    }

    #[test]
    fn values_are_words_of_the_shell() {
        let fill = |template: &str, key: &str| filled(template, &step(key), &["one.a", "two.b"], Path::new("m"));
        assert_eq!(fill("x {revision} {folder}", "ae10"), "x ae10 m");
        assert_eq!(fill("x {revision}", "a'; rm -rf /"), r"x 'a'\''; rm -rf /'");
        assert_eq!(fill("m {app} {name} {previous}", "one.c"), "m one c a");
        assert_eq!(fill("m {app} {name} {previous}", "three.c"), "m three c zero");
        assert_eq!(fill("{previous} {file}", "c"), "two.b 'm/a b.js'");
    }
}
