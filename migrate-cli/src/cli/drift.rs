//! Options of the commands that look for changes that no migration made.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use migrate_core::Version;

use super::{number, time, version};

const DRIFT: &str = "\
Without --mark, the database is only read. The expected schema is the one that the migrations recorded as applied in \
its ledger produce on a shadow server. `[drift] ignore` in migrate.toml lists what to ignore.

The exit code is 3 if something differs.

Examples:
  cargo xtask drift --env staging
  cargo xtask drift --env staging --sql
  cargo xtask drift --env production --watch 10min --format json
  cargo xtask drift --env production --adopt hotfix_orders_index
  cargo xtask drift --env production --mark 20261125093000 --sql
  cargo xtask drift --env production --mark 20261125093000";

#[derive(Debug, Args)]
#[command(after_help = DRIFT)]
pub(crate) struct DriftArgs {
    /// Show the statements that bring the database back to what its migrations produce, proven on a shadow database;
    /// with --mark, show the statements of the named migrations that are still missing there, and mark nothing
    #[arg(long, conflicts_with_all = ["adopt", "watch"])]
    pub(crate) sql: bool,
    /// Keep checking, and report each time a difference appears, changes or disappears
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "5min", value_parser = time)]
    pub(crate) watch: Option<Duration>,
    /// If there is drift, notify the webhooks that subscribe to drift; --watch notifies them of every change
    #[arg(long, conflicts_with_all = ["mark", "watch"])]
    pub(crate) notify: bool,
    /// Write the difference as a migration with this name, so that the chain matches the database
    #[arg(long, value_name = "NAME", conflicts_with = "watch")]
    pub(crate) adopt: Option<String>,
    /// Record these pending migrations as applied without running them, if the database already has exactly their
    /// changes
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',', value_parser = version,
          conflicts_with_all = ["watch", "adopt"])]
    pub(crate) mark: Vec<Version>,
    /// With --mark: do not ask for confirmation, even in a protected environment
    #[arg(short, long, requires = "mark")]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Start recording every DDL command in the database, whoever runs it
    #[command(
        after_help = "Installing it needs a superuser. Recording never blocks a DDL command or makes it fail.\n\n\
                      Example:\n  cargo xtask audit install --env staging"
    )]
    Install {
        /// Do not ask for confirmation, even in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
    /// Show whether DDL is recorded, and whether this role may read the records (this is the default)
    #[command(after_help = "Example:\n  cargo xtask audit status --env staging")]
    Status,
    /// Show what was recorded
    #[command(after_help = "Examples:\n  cargo xtask audit show --env staging\n  \
                            cargo xtask audit show --env staging --object public.orders --since 2h\n  \
                            cargo xtask audit show --env staging --since 2026-11-24 -n 20 --format json")]
    Show {
        /// Only commands on this object (schema-qualified or not) or on its parts
        #[arg(long, value_name = "OBJECT")]
        object: Option<String>,
        /// Only commands since a UTC time (2026-11-24, 2026-11-24T09:30:00Z) or within a period before now (2h)
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<String>,
        /// Only the last N commands
        #[arg(short = 'n', long, value_name = "N", value_parser = number)]
        count: Option<usize>,
    },
    /// Stop recording; the existing records stay
    #[command(after_help = "Examples:\n  cargo xtask audit uninstall --env staging\n  \
                            cargo xtask audit uninstall --env staging --purge")]
    Uninstall {
        /// Drop the existing records too
        #[arg(long)]
        purge: bool,
        /// Do not ask for confirmation, even in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
}

/// A time as RFC 3339, from a UTC time or from how long ago it was.
fn since(text: &str) -> Result<String, String> {
    let ago = migrate_base::duration::parse(text).and_then(|ago| SystemTime::now().checked_sub(ago));
    let midnight = || humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")).ok();
    let moment = ago.or_else(|| humantime::parse_rfc3339_weak(text).ok()).or_else(midnight);
    moment.map(|moment| humantime::format_rfc3339(moment).to_string()).ok_or_else(|| {
        "not a time: write 2026-11-24, 2026-11-24T09:30:00Z, or how long ago it was: 30min, 2h".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn a_moment_is_a_day_a_time_or_an_age() {
        assert_eq!(since("2026-11-24").unwrap(), "2026-11-24T00:00:00Z");
        assert_eq!(since("2026-11-24T09:30:00Z").unwrap(), "2026-11-24T09:30:00Z");
        assert!(since("2h").is_ok() && since("yesterday").is_err());
    }
}
