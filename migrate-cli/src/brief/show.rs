//! The brief for the terminal, shown before the confirmation.

use std::time::Duration;

use indicatif::HumanBytes;
use migrate_core::source::title;
use migrate_review::evidence::RowCount;

use super::{Brief, LockBrief, LossBrief, SituationJson, StepBrief};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN};

/// The lag of a replica, in bytes and in seconds, from which a warning is shown, because the run would add to it.
const FAR: (u64, u64) = (16 * 1024 * 1024, 10);

impl Brief {
    /// The lines about the plan, its costs and what may block it.
    pub(crate) fn lines(&self, keeps: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &self.steps {
            lines.extend(step.lines());
        }
        lines.extend(self.lost(keeps));
        lines.extend(self.in_the_way());
        if let Some(advice) = &self.advice {
            let style = if advice.verdict == "roll back" { GOOD } else { WARN };
            lines.push(format!("{BOLD}advice{BOLD:#}     {}", style::paint(style, advice.verdict)));
            lines.extend(advice.reason.split("; ").map(|why| format!("           {why}")));
        }
        lines.push(String::new());
        lines
    }

    fn lost(&self, keeps: bool) -> Vec<String> {
        let is_rollback = self.advice.is_some();
        if self.losses.is_empty() {
            let unknown = self.steps.iter().any(|step| !step.unknown.is_empty());
            let text = match unknown {
                true => "unknown: the effects of the statements above cannot be read from the script",
                false => "nothing",
            };
            let line = is_rollback.then(|| format!("{BOLD}would be lost{BOLD:#}  {text}"));
            return line.into_iter().chain(is_rollback.then(String::new)).collect();
        }
        let style = if keeps { WARN } else { BAD };
        let word = if keeps { "would be removed, and kept" } else { "would be lost" };
        let mut lines = vec![style::paint(style, word)];
        lines.extend(self.losses.iter().map(|loss| format!("  {}", loss.sentence())));
        lines.push(String::new());
        lines
    }

    fn in_the_way(&self) -> Vec<String> {
        let situation = &self.situation;
        let total: u64 = situation.sessions.iter().map(|session| session.count).sum();
        let who = situation.sessions.iter().map(|session| format!("{} × {}", session.count, session.application));
        let who = who.collect::<Vec<_>>().join(", ");
        let connected = if total == 0 { "nobody else".to_owned() } else { who };
        let mut lines = vec![
            format!(
                "{BOLD}server{BOLD:#}     PostgreSQL {}, {}",
                situation.server,
                if situation.read_only {
                    style::paint(BAD, "read-only: migrations cannot run on it")
                } else {
                    "accepts writes".to_owned()
                }
            ),
            format!("{BOLD}size{BOLD:#}       {}", HumanBytes(situation.bytes)),
            format!("{BOLD}connected{BOLD:#}  {connected}"),
        ];
        for long in &situation.long_transactions {
            let time = style::time(Duration::from_secs(long.seconds));
            let text = format!(
                "a transaction has been open for {time}: {} {}, by {} ({}), pid {}",
                long.state, long.word, long.application, long.role, long.pid
            );
            lines.push(format!("{}   {text}", style::paint(WARN, "blocking")));
        }
        lines.extend(situation.replicated());
        for slot in &situation.idle_slots {
            lines.push(format!(
                "{}       the replication slot {} is inactive, and the server retains {} of WAL for it: reconnect its \
                 consumer, or drop it",
                style::paint(WARN, "slot"),
                slot.slot,
                HumanBytes(slot.bytes)
            ));
        }
        for index in &situation.invalid_indexes {
            lines.push(format!(
                "{}      the index {index} is invalid: it slows down writes, and no query uses it",
                style::paint(WARN, "index")
            ));
        }
        if !situation.may_record {
            lines.push(format!(
                "{} the role may not write to the ledger: grant it INSERT",
                style::paint(BAD, "privileges")
            ));
        }
        if let Some(schema) = &situation.closed_schema {
            let text = format!("the role may not create objects in the schema {schema}, which unqualified names use");
            lines.push(format!("{} {text}", style::paint(WARN, "privileges")));
        }
        for table in &self.not_owned {
            lines.push(format!(
                "{} {table} belongs to another role: the server will refuse to change it",
                style::paint(BAD, "privileges")
            ));
        }
        lines
    }
}

impl SituationJson {
    /// The number of replicas, and the lag of the slowest one.
    fn replicated(&self) -> Option<String> {
        let count = match self.replicas {
            0 => return None,
            1 => "1 connected".to_owned(),
            many => format!("{many} connected"),
        };
        let (bytes, seconds) = (self.replica_lag_bytes, self.replica_lag_seconds.filter(|seconds| *seconds > 0));
        let is_far = bytes.is_some_and(|bytes| bytes >= FAR.0) || seconds.is_some_and(|seconds| seconds >= FAR.1);
        let label = if is_far { style::paint(WARN, "replicas") } else { format!("{BOLD}replicas{BOLD:#}") };
        let time = seconds.map(|seconds| format!(", for {} or longer", style::time(Duration::from_secs(seconds))));
        let text = match bytes {
            None => "their lag is hidden: grant pg_monitor to the role to see it".to_owned(),
            Some(0) => "no lag".to_owned(),
            Some(bytes) => format!("the slowest lags by {} of WAL{}", HumanBytes(bytes), time.unwrap_or_default()),
        };
        Some(format!("{label}   {count}, {text}"))
    }
}

impl StepBrief {
    fn lines(&self) -> Vec<String> {
        let style = match self.kind {
            "additive" => GOOD,
            "destructive" => BAD,
            _ => WARN,
        };
        let mode = if self.no_transaction { ", stepwise" } else { "" };
        let title = format!(
            "{BOLD}{}{BOLD:#}, {}{mode}: {}",
            title(&self.version, &self.name),
            self.direction,
            style::paint(style, self.kind)
        );
        let mut lines = vec![title];
        let sql = self.sql.as_deref().unwrap_or("-- written in Rust");
        lines.extend(sql.trim().lines().map(|line| format!("    {DIM}{line}{DIM:#}")));
        lines.extend(self.locks.iter().map(LockBrief::line));
        lines.extend(self.unknown.iter().map(|what| format!("  the effects of {what} cannot be read from the script")));
        lines.push(String::new());
        lines
    }
}

impl LockBrief {
    fn line(&self) -> String {
        let rows = match self.rows {
            Some("unknown") => ", with unknown effects on its rows: the table is not in the schema".to_owned(),
            Some(done) => format!(", while every row is {done}"),
            None => String::new(),
        };
        format!("  locks {} in {} mode: blocks {}{rows}", self.table, self.mode, self.blocks)
    }
}

impl LossBrief {
    /// `public.orders: its 1,204 rows, by DROP TABLE`.
    pub(crate) fn sentence(&self) -> String {
        let at_most = if self.at_most { "up to " } else { "" };
        let what = if self.columns.is_empty() {
            format!("{at_most}{}", rows(self.rows))
        } else {
            let columns = self.columns.iter();
            let columns = columns.map(|one| format!("{at_most}{} of {}", values(one.values), one.column));
            format!("{}, in {}", columns.collect::<Vec<_>>().join(", "), rows(self.rows))
        };
        format!("{}: {what}, by {} ({})", self.table, self.by, self.version)
    }
}

fn rows(count: RowCount) -> String {
    format!("{count} row{}", if count.number() == 1 { "" } else { "s" })
}

fn values(count: RowCount) -> String {
    format!("{count} value{}", if count.number() == 1 { "" } else { "s" })
}
