//! The whole proof as a test binary: each migration is a test of its own name.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use migrate_core::source::{Migration, Version};
use migrate_core::{CodeMigrations, MigrationSet, visible};

use crate::proof::{self, Proof, ProofError, Report};

/// Proves every migration of a folder, each in a test of its own name; the folder is read when
/// the tests run, so a new migration needs no new build.
///
/// `tests/migrations.rs` is this line, and `Cargo.toml` says that it brings its own `main`:
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
/// The path is relative to the package. A second argument has the migrations written in Rust.
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

/// Runs the suite as the main function of a test binary; it understands the arguments of
/// `cargo test` and nextest.
pub fn suite(folder: impl AsRef<Path>, code: CodeMigrations) -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = match MigrationSet::load(folder.as_ref()) {
        Ok(set) => trials(Arc::new(set), &code),
        Err(error) => vec![Trial::test("the_folder_can_be_read", move || Err(shown(&told(&error))))],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(set: Arc<MigrationSet>, code: &CodeMigrations) -> Vec<Trial> {
    let trial = |migration: &Arc<Migration>| {
        let (set, code, version) = (set.clone(), code.clone(), migration.version().clone());
        let name = format!("{version}_{}", migration.name());
        Trial::test(visible::line(&name).into_owned(), move || prove(&set, &code, version))
    };
    set.iter().map(trial).collect()
}

fn prove(set: &MigrationSet, code: &CodeMigrations, version: Version) -> Result<(), Failed> {
    let proof = Proof { only: Some([version].into()), ..Proof::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(proof::prove(set, code, &proof, &mut |_| {}));
    match report {
        Ok(report) if report.holds() => Ok(()),
        Ok(report) => Err(shown(&story(&report))),
        Err(ProofError::Server(error)) => Err(shown(&format!("{error}\n{}", error.help().join("\n")))),
        Err(ProofError::Core(error)) => Err(shown(&told(&error))),
    }
}

/// A text for a terminal, on which a message of the server does nothing.
fn shown(text: &str) -> Failed {
    visible::lines(text).into_owned().into()
}

/// Everything that is broken, as text.
fn story(report: &Report) -> String {
    let mut lines = Vec::new();
    for proven in &report.migrations {
        for (law, verdict) in &proven.laws {
            if let proof::Verdict::Broken(story) = verdict {
                lines.push(format!("{law} is broken: {}", law.claim()));
                lines.extend(story.lines().into_iter().map(|line| format!("  {line}")));
            }
        }
        lines.extend(proven.kept.iter().map(|url| format!("the database was kept for 30 minutes: psql '{url}'")));
    }
    lines.push(format!("seed {}", report.seed));
    lines.join("\n")
}

fn told(error: &migrate_core::Error) -> String {
    error.findings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
