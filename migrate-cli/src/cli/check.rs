//! Options of the commands that prove and check migrations.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use migrate_core::Version;

use super::{time, version_or_repeatable};

#[derive(Debug, Args)]
#[command(
    after_help = "Without versions, it proves the migrations that are not yet on the base branch.\n\nExamples:\n  \
                  cargo xtask verify\n  cargo xtask verify 20250224091500\n  cargo xtask verify --all"
)]
pub(crate) struct VerifyArgs {
    /// The migrations to prove
    #[arg(value_parser = version_or_repeatable, value_name = "VERSION")]
    pub(crate) versions: Vec<Version>,
    /// Prove the whole chain
    #[arg(long, conflicts_with = "versions")]
    pub(crate) all: bool,
    /// The branch or commit whose migrations are already proven
    #[arg(long, value_name = "REF", conflicts_with_all = ["versions", "all"])]
    pub(crate) base: Option<String>,
    /// Discard the templates of earlier runs first
    #[arg(long)]
    pub(crate) fresh: bool,
    /// The random seed: the same seed generates the same rows and walks
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How long a statement may run on a shadow database: 90s, 10min; 0 means no limit
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) statement_timeout: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "By default, the base branch is the target of the pull request, the remote's default branch, or \
                  main.\n\nExamples:\n  cargo xtask check\n  cargo xtask check --base origin/release"
)]
pub(crate) struct CheckArgs {
    /// The branch or commit that has the released migrations
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "By default, it checks only migrations that are not yet on the base branch. To allow a rule to be \
                  broken, put `-- migrate: allow RULE REASON` at the head of the file.\n\nExamples:\n  \
                  cargo xtask lint\n  cargo xtask lint --all\n  cargo xtask lint --no-server"
)]
pub(crate) struct LintArgs {
    /// The branch or commit that has the released migrations
    #[arg(long, value_name = "REF", conflicts_with = "all")]
    pub(crate) base: Option<String>,
    /// Check the whole chain
    #[arg(long)]
    pub(crate) all: bool,
    /// Check only the text of the scripts, without a server that provides the schemas
    #[arg(long)]
    pub(crate) no_server: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It runs the same checks on a laptop and in a pipeline. In GitHub Actions, it also annotates the \
                  changed lines and writes the job summary.\n\nExamples:\n  cargo xtask ci\n  \
                  cargo xtask ci --base origin/main --junit junit.xml --sarif lint.sarif"
)]
pub(crate) struct CiArgs {
    /// The branch or commit that has the released migrations
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// Write the results of the checks as JUnit XML
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
pub(crate) struct ExplainArgs {
    /// The code of a finding [default: list all codes]
    pub(crate) code: Option<String>,
    /// Print all explanations as one document
    #[arg(long, conflicts_with = "code")]
    pub(crate) markdown: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "The new migrations keep their order. It renames files and changes nothing in a database.\n\n\
                        Examples:\n  cargo xtask rebase --dry-run\n  cargo xtask rebase")]
pub(crate) struct RebaseArgs {
    /// The branch or commit that has the released migrations
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// Show the new names without renaming anything
    #[arg(long)]
    pub(crate) dry_run: bool,
}
