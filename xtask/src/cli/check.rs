//! Options of the commands that prove and judge migrations.

use clap::Args;
use migrate_core::Version;

use super::version;

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
}
