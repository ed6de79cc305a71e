//! The whole proof as a test binary, with one named test per migration.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use migrate_base::visible;
use migrate_core::{CodeMigrations, Migration, MigrationSet, Version};
use migrate_review::config::{Config, EngineConfig, RowsWanted};

use crate::Setup;
use crate::engine::{EngineChain, engine_chain, of_project};
use crate::proof::{self, Proof, ProofError, ProofReport};

/// Proves every migration of a folder, each in a test of its own name. The folder is read when the tests run,
/// so a new migration does not require a rebuild.
///
/// `tests/migrations.rs` contains this line, and `Cargo.toml` says that the file has its own `main`:
///
/// ```text
/// migrate_test::suite!("../migrations");
/// ```
/// ```toml
/// [[test]]
/// name = "migrations"
/// harness = false
/// ```
///
/// The path is relative to the package. A second argument provides the migrations written in Rust.
#[macro_export]
macro_rules! suite {
    ($folder:expr) => {
        $crate::suite!($folder, $crate::CodeMigrations::none());
    };
    ($folder:expr, $code:expr) => {
        fn main() -> ::std::process::ExitCode {
            $crate::suite(::std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join($folder), $code)
        }
    };
}

/// Runs the suite as the main function of a test binary. It understands the arguments of `cargo test` and
/// nextest.
pub fn suite(folder: impl AsRef<Path>, code: CodeMigrations) -> ExitCode {
    // This binary does not report errors in migrate.toml, but without its setup nothing can be proven.
    let mut wanted = RowsWanted::default();
    let config = Config::load(None, folder.as_ref()).ok();
    let setup = config.as_ref().map_or(Ok(()), |config| {
        config.shadow_limit.into_iter().for_each(crate::limit_statements);
        wanted = config.policy.rows;
        Setup::load(config).map(Setup::begin)
    });
    let arguments = Arguments::from_args();
    if let Err(error) = setup {
        return failing("the_shadow_can_be_set_up", told(&error), &arguments);
    }
    let engine = config.as_ref().and_then(|config| Some((config, config.engine.as_ref()?)));
    let (arguments, trials) = match engine {
        None => chosen(folder.as_ref(), &code, wanted, arguments),
        Some((config, engine)) => match driven(config, engine) {
            Ok(chain) => {
                let versions = of_project(config, &chain.set);
                (arguments, trials(Arc::new(chain.set), &chain.code, wanted, |version| versions.contains(version)))
            }
            Err(why) => return failing("the_engine_tells_its_chain", why, &arguments),
        },
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs one test that fails, whatever filter was given: there are no others to match it against.
fn failing(name: &str, why: String, arguments: &Arguments) -> ExitCode {
    let all = Arguments { list: arguments.list, format: arguments.format, ..Arguments::default() };
    let trial = Trial::test(name, move || Err(shown(&why)));
    libtest_mimic::run(&all, vec![trial]).exit_code()
}

/// The chain of another tool, which is asked for it.
fn driven(config: &Config, engine: &EngineConfig) -> Result<EngineChain, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(engine_chain(config, engine)).map_err(|error| match error {
        ProofError::Core(error) => told(&error),
        ProofError::Server(error) => format!("{error}\n{}", error.help().join("\n")),
    })
}

/// The tests of a folder, and the arguments to run them with. A folder that cannot be read, or has no
/// migrations, fails whatever filter was given: there are no tests to match it against.
fn chosen(folder: &Path, code: &CodeMigrations, wanted: RowsWanted, arguments: Arguments) -> (Arguments, Vec<Trial>) {
    let (name, why) = match MigrationSet::load(folder) {
        Ok(set) if set.is_empty() => ("there_are_migrations", empty(&set)),
        Ok(set) => return (arguments, trials(Arc::new(set), code, wanted, |_| true)),
        Err(error) => ("the_folder_can_be_read", told(&error)),
    };
    let all = Arguments { list: arguments.list, format: arguments.format, ..Arguments::default() };
    (all, vec![Trial::test(name, move || Err(shown(&why)))])
}

/// Why there is nothing to prove.
fn empty(set: &MigrationSet) -> String {
    let finding = set.why_empty();
    let told = [finding.message].into_iter().chain(finding.notes).chain(finding.help);
    told.collect::<Vec<_>>().join("\n")
}

fn trials(
    set: Arc<MigrationSet>,
    code: &CodeMigrations,
    wanted: RowsWanted,
    is_chosen: impl Fn(&Version) -> bool,
) -> Vec<Trial> {
    let trial = |migration: &Arc<Migration>| {
        let (set, code, version) = (set.clone(), code.clone(), migration.version().clone());
        let name = version.title(migration.name());
        Trial::test(visible::line(&name).into_owned(), move || prove(&set, &code, version, wanted))
    };
    set.iter().filter(|migration| is_chosen(migration.version())).map(trial).collect()
}

fn prove(set: &MigrationSet, code: &CodeMigrations, version: Version, wanted: RowsWanted) -> Result<(), Failed> {
    let proof = Proof { only: Some([version].into()), ..Proof::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(proof::prove(set, code, &proof, &mut |_| {}));
    match report {
        Ok(report) if report.holds() && (wanted == RowsWanted::Any || is_full(&report)) => Ok(()),
        Ok(report) => Err(shown(&story(&report))),
        Err(ProofError::Server(error)) => Err(shown(&format!("{error}\n{}", error.help().join("\n")))),
        Err(ProofError::Core(error)) => Err(shown(&told(&error))),
    }
}

/// Whether every table had rows.
fn is_full(report: &ProofReport) -> bool {
    report.migrations.iter().all(|proven| proven.rests.without.is_empty())
}

/// Text for a terminal, with control characters from server messages made harmless.
fn shown(text: &str) -> Failed {
    visible::lines(text).into_owned().into()
}

/// Everything that is broken, as text, and the basis of the law of data.
fn story(report: &ProofReport) -> String {
    let mut lines = Vec::new();
    for proven in &report.migrations {
        for fault in proven.faults() {
            lines.push(fault.title());
            lines.extend(fault.story.lines().into_iter().map(|line| format!("  {line}")));
            lines.extend(fault.also.iter().map(|(law, story)| format!("  so {law} is also broken: {}", story.summary)));
        }
        lines.extend(proven.unreached.iter().map(|why| format!("it was not checked: {why}")));
        lines.extend(proven.rests.words().map(|rests| format!("data was proven on this basis: {rests}")));
        lines.extend(proven.rests.without.iter().map(|one| format!("  {one}")));
        lines.extend(proven.kept.iter().map(|url| format!("the database is kept for 30 minutes: psql '{url}'")));
    }
    lines.push(format!("seed {}", report.seed));
    lines.join("\n")
}

fn told(error: &migrate_core::Error) -> String {
    error.findings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of tests that would run with these arguments, and whether any of them fails.
    fn asked(folder: &Path, words: &[&str]) -> (usize, bool) {
        let arguments = Arguments::from_iter(std::iter::once("suite").chain(words.iter().copied()));
        let (arguments, trials) = chosen(folder, &CodeMigrations::none(), RowsWanted::Any, arguments);
        let count = trials.len();
        (count, arguments.filter.is_none() && libtest_mimic::run(&arguments, trials).has_failed())
    }

    #[test]
    fn a_folder_that_cannot_be_proven_fails_whatever_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for folder in [folder.path(), &folder.path().join("nowhere")] {
            for words in [&[][..], &["orders"], &["orders", "--exact"], &["--skip", "the"], &["--ignored"]] {
                assert_eq!(asked(folder, words), (1, true), "{words:?}");
            }
        }
        std::fs::write(folder.path().join("20250101000001_a.up.sql"), "SELECT 1;").unwrap();
        std::fs::write(folder.path().join("20250101000001_a.down.sql"), "SELECT 1;").unwrap();
        let arguments = Arguments::from_iter(["suite", "orders"]);
        let (arguments, trials) = chosen(folder.path(), &CodeMigrations::none(), RowsWanted::Any, arguments);
        assert_eq!((trials.len(), arguments.filter.as_deref()), (1, Some("orders")));
    }
}
