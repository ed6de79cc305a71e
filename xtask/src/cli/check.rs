//! Options of the commands that prove and judge migrations.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use migrate_core::Version;

use super::{time, version};

#[derive(Debug, Args)]
#[command(
    after_help = "Without versions: what the base branch does not have yet.\n\nExamples:\n  cargo xtask verify\n  \
                        cargo xtask verify 20250224091500\n  cargo xtask verify --all"
)]
pub(crate) struct Verify {
    /// The migrations to prove
    #[arg(value_parser = version, value_name = "VERSION")]
    pub(crate) versions: Vec<Version>,
    /// Prove the whole chain
    #[arg(long, conflicts_with = "versions")]
    pub(crate) all: bool,
    /// The branch or commit that has what is proven already
    #[arg(long, value_name = "REF", conflicts_with_all = ["versions", "all"])]
    pub(crate) base: Option<String>,
    /// Forget what was kept of earlier runs first
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Where chance begins: the same seed draws the same rows and walks
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How long a statement may run on a shadow database: 90s, 10min; 0 means no limit
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) statement_timeout: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The base branch is the target of the pull request, the remote's default branch, or main.\n\nExamples:\n  \
                  cargo xtask check\n  cargo xtask check --base origin/release"
)]
pub(crate) struct Check {
    /// The branch or commit that has what is released
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Only what the base branch does not have is judged. A rule that is broken for a good reason is allowed at the \
                  head of the file: `-- migrate: allow RULE REASON`.\n\nExamples:\n  cargo xtask lint\n  cargo xtask lint --all\n  \
                  cargo xtask lint --no-server"
)]
pub(crate) struct Lint {
    /// The branch or commit that has what is released
    #[arg(long, value_name = "REF", conflicts_with = "all")]
    pub(crate) base: Option<String>,
    /// Judge the whole chain
    #[arg(long)]
    pub(crate) all: bool,
    /// Judge the texts alone, without a server that knows the schemas
    #[arg(long)]
    pub(crate) no_server: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It is the same on a laptop and in a pipeline. In GitHub Actions it annotates the changed lines and writes the \
                  summary of the job.\n\nExamples:\n  cargo xtask ci\n  cargo xtask ci --base origin/main --junit junit.xml --sarif lint.sarif"
)]
pub(crate) struct Ci {
    /// The branch or commit that has what is released
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// Write the checks as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the findings as SARIF
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Write the report as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// How long a statement may run on a shadow database: 90s, 10min; 0 means no limit
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) statement_timeout: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask explain\n  cargo xtask explain ban-drop-column")]
pub(crate) struct Explain {
    /// The code of a finding; all of them are listed, if none is named
    pub(crate) code: Option<String>,
    /// All of them as one document
    #[arg(long, conflicts_with = "code")]
    pub(crate) markdown: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The new migrations keep their order. Files are renamed, nothing in a database is changed.\n\nExamples:\n  \
                  cargo xtask rebase --dry-run\n  cargo xtask rebase"
)]
pub(crate) struct Rebase {
    /// The branch or commit that has what is released
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// Show the new names, and rename nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
