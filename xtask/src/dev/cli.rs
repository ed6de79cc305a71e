//! The arguments of the chores, with their help. The tests read this file too.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The chores of this repository: what its maintainers and its pipeline run beside `cargo test`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask dev", bin_name = "cargo xtask dev", disable_help_subcommand = true, max_term_width = 110)]
pub(crate) struct DevCli {
    #[command(subcommand)]
    pub(crate) chore: Chore,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Chore {
    /// Build an archive of the command line for a release, with its SHA-256
    #[command(after_help = ARTEFACTS)]
    Artefacts {
        /// The platform to build for, as rustc names it [default: this machine]
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
    },
    /// Measure the speed of migrations beside psql and sqlx-cli
    #[command(after_help = BENCH)]
    Bench {
        /// What to measure, and sizes of chains
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        arguments: Vec<OsString>,
    },
    /// Adapt the links of the documents for the book; mdbook calls this
    #[command(after_help = BOOK)]
    Book {
        #[command(subcommand)]
        question: Option<BookQuestion>,
    },
    /// Rewrite the expected outputs of tests that differ from ours
    #[command(after_help = DOCUMENTS)]
    Documents,
    /// Check `baseline` on what PostgreSQL's own regression tests create
    #[command(after_help = REGRESS)]
    Regress {
        /// The arguments of ci/regress.py
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "ARGS")]
        arguments: Vec<OsString>,
    },
    /// Compare our splitter of scripts with PostgreSQL's own grammar
    #[command(after_help = SPLIT)]
    Split {
        /// The folder for tools; what is missing there is installed
        tools: PathBuf,
        /// How many scripts to generate
        #[arg(default_value_t = 12_000)]
        count: u32,
        /// The seed of the generator
        #[arg(default_value_t = 1)]
        seed: u64,
    },
    /// Check the files that other systems read: workflows, compose file, SARIF, shell
    #[command(after_help = VALIDATE)]
    Validate {
        /// The folder for tools; what is missing there is installed
        tools: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BookQuestion {
    /// Succeed: the links are adapted for every renderer
    Supports {
        /// The name of the renderer
        renderer: String,
    },
}

const ARTEFACTS: &str = "\
It writes target/artefacts/roundtrip-VERSION-TRIPLE.tar.gz, which contains the executable `roundtrip`, the licenses \
and README.md. `sha256sum --check` reads the file beside it. Another platform needs its standard library and linker.

Examples:
  cargo xtask dev artefacts
  cargo xtask dev artefacts --target x86_64-unknown-linux-musl";

const BENCH: &str = "\
The arguments are those of the benchmark; ci/bench/src/main.rs explains them.

Examples:
  cargo xtask dev bench
  cargo xtask dev bench 100
  cargo xtask dev bench looks 10000";

const BOOK: &str = "\
It reads the book as JSON and writes it back, as book.toml tells mdbook. The pages are those of docs/. Some of them \
only include a file of the root, such as README.md, so links between the root and docs/ have other targets in the book.

Example:
  mdbook build";

const DOCUMENTS: &str = "\
HACKING.md lists the files under \"Expected outputs\". The tests need a PostgreSQL server. Read `git diff` afterwards.

Example:
  cargo xtask dev documents";

const REGRESS: &str = "\
The arguments are [--each [--permanent]] [--only FILE,FILE] [--out DIR] [--include DIR] \
SRC BINDIR XTASK:
  SRC     src/test/regress of the sources of the server's version
  BINDIR  the server's programs
  XTASK   the program to check
ci/regress.py explains the options and the output.

Example:
  cargo xtask dev regress --each postgresql-18.6/src/test/regress \\
      \"$(pg_config --bindir)\" target/debug/xtask";

const SPLIT: &str = "\
The scripts come from a generator. A script that is cut differently is printed, as short as it could be made.

Examples:
  cargo xtask dev split /tmp/tools
  cargo xtask dev split /tmp/tools 200000 7";

const VALIDATE: &str = "\
The tools come from Python's and Rust's registries. Without shellcheck or a compose tool, their checks are left out.

Example:
  cargo xtask dev validate /tmp/tools";
