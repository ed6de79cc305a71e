//! Options of the commands that look for changes that no migration made.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use migrate_core::Version;

use super::{time, version};

const DRIFT: &str = "\
The database is only read, but for --mark. What should be there is what the migrations that its ledger says are
applied make on a throw-away PostgreSQL. `[drift] ignore` in migrate.toml says what is nobody's business.
The exit code is 3 where something differs.

Examples:
  cargo xtask drift --env staging
  cargo xtask drift --env staging --sql
  cargo xtask drift --env production --watch 10min --format json
  cargo xtask drift --env production --adopt hotfix_orders_index
  cargo xtask drift --env production --mark 20261125093000 --sql
  cargo xtask drift --env production --mark 20261125093000";

#[derive(Debug, Args)]
#[command(after_help = DRIFT)]
pub(crate) struct Drift {
    /// Show the statements that bring the database back to what the migrations make, proven on a throw-away one;
    /// with --mark, those of the named migrations that are still missing there, and nothing is marked
    #[arg(long, conflicts_with_all = ["adopt", "watch"])]
    pub(crate) sql: bool,
    /// Go on looking, and report each time the difference appears, changes or is gone
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "5min", value_parser = time)]
    pub(crate) watch: Option<Duration>,
    /// Tell the webhooks that hear of drift, where there is some; a watch tells them of each turn
    #[arg(long, conflicts_with_all = ["mark", "watch"])]
    pub(crate) notify: bool,
    /// Write the difference as a migration of this name, so that the chain has what the database has
    #[arg(long, value_name = "NAME", conflicts_with = "watch")]
    pub(crate) adopt: Option<String>,
    /// Record these pending migrations as applied, running nothing, where they make just what is there already
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',', value_parser = version, conflicts_with_all = ["watch", "adopt"])]
    pub(crate) mark: Vec<Version>,
    /// With --mark: do not ask, also in a protected environment
    #[arg(short, long, requires = "mark")]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Record every DDL command of the database from now on, whoever runs it
    #[command(
        after_help = "It needs a superuser, once. What it records waits for nothing and cannot fail because of it.\n\n\
                            Example:\n  cargo xtask audit install --env staging"
    )]
    Install {
        /// Do not ask, also in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
    /// Say whether DDL is recorded, and whether this role may read the record (this is the default)
    Status,
    /// Show what was recorded
    #[command(after_help = "Examples:\n  cargo xtask audit show --env staging\n  \
                            cargo xtask audit show --env staging --object public.orders --since 2h\n  \
                            cargo xtask audit show --env staging --since 2026-11-24 -n 20 --format json")]
    Show {
        /// Only what was done to this object, with or without its schema, or to its parts
        #[arg(long, value_name = "OBJECT")]
        object: Option<String>,
        /// Only what was done since a time of UTC (2026-11-24, 2026-11-24T09:30:00Z) or so long ago (2h)
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<String>,
        /// Only the last N
        #[arg(short = 'n', long, value_name = "N")]
        count: Option<usize>,
    },
    /// End the recording; what was recorded stays
    Uninstall {
        /// Drop what was recorded too
        #[arg(long)]
        purge: bool,
        /// Do not ask, also in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
}

/// A moment as RFC 3339, from a time of UTC or from how long ago it was.
fn since(text: &str) -> Result<String, String> {
    let ago = migrate_core::duration::parse(text).and_then(|ago| SystemTime::now().checked_sub(ago));
    let midnight = || humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")).ok();
    let moment = ago.or_else(|| humantime::parse_rfc3339_weak(text).ok()).or_else(midnight);
    moment
        .map(|moment| humantime::format_rfc3339(moment).to_string())
        .ok_or_else(|| "a time is 2026-11-24, 2026-11-24T09:30:00Z, or how long ago it was: 30min, 2h".to_owned())
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
