//! The same for people, before they are asked.

use std::time::Duration;

use indicatif::HumanBytes;
use migrate_core::evidence::Count;

use super::{Brief, LockBrief, Loss, SituationJson, StepBrief};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN};

/// From how many bytes, or seconds, a replica is so far behind that what a run writes makes it worse.
const FAR: (u64, u64) = (16 * 1024 * 1024, 10);

impl Brief {
    /// The lines of the plan, of what it costs and of what is in its way.
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
                true => "not known: what the statements above take away is not in their text",
                false => "nothing",
            };
            let line = is_rollback.then(|| format!("{BOLD}data lost{BOLD:#}  {text}"));
            return line.into_iter().chain(is_rollback.then(String::new)).collect();
        }
        let style = if keeps { WARN } else { BAD };
        let word = if keeps { "data taken away, and kept aside" } else { "data lost" };
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
                    style::paint(BAD, "read-only: nothing can be run on it")
                } else {
                    "takes writes".to_owned()
                }
            ),
            format!("{BOLD}size{BOLD:#}       {}", HumanBytes(situation.bytes)),
            format!("{BOLD}connected{BOLD:#}  {connected}"),
        ];
        for long in &situation.long_transactions {
            let time = style::time(Duration::from_secs(long.seconds));
            let text = format!(
                "a transaction is open for {time}: {} {}, of {} ({}), pid {}",
                long.state, long.word, long.application, long.role, long.pid
            );
            lines.push(format!("{}  {text}", style::paint(WARN, "in the way")));
        }
        lines.extend(situation.replicated());
        for slot in &situation.idle_slots {
            lines.push(format!(
                "{}       nobody reads from the replication slot {}, and the disk holds {} of WAL for it: bring its reader back, or drop it",
                style::paint(WARN, "slot"),
                slot.slot,
                HumanBytes(slot.bytes)
            ));
        }
        for index in &situation.invalid_indexes {
            lines.push(format!(
                "{}    the index {index} is not valid: it slows writes and serves nobody",
                style::paint(WARN, "index")
            ));
        }
        if !situation.may_record {
            lines.push(format!(
                "{}     the role may not write into the ledger: grant it INSERT",
                style::paint(BAD, "rights")
            ));
        }
        if let Some(schema) = &situation.closed_schema {
            let text = format!("the role may not make anything in the schema {schema}, where names without one go");
            lines.push(format!("{}     {text}", style::paint(WARN, "rights")));
        }
        for table in &self.not_owned {
            lines.push(format!(
                "{}     {table} belongs to another role: the server will refuse to change it",
                style::paint(BAD, "rights")
            ));
        }
        lines
    }
}

impl SituationJson {
    /// Who replays what a run writes, and how far the slowest one is.
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
            None => "how far behind is hidden: grant the role pg_monitor to see it".to_owned(),
            Some(0) => "none is behind".to_owned(),
            Some(bytes) => format!("the slowest is {} of WAL behind{}", HumanBytes(bytes), time.unwrap_or_default()),
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
        let mode = if self.no_transaction { ", each statement on its own" } else { "" };
        let title = format!(
            "{BOLD}{}_{}{BOLD:#}, {}{mode}: {}",
            self.version,
            self.name,
            self.direction,
            style::paint(style, self.kind)
        );
        let mut lines = vec![title];
        let sql = self.sql.as_deref().unwrap_or("-- written in Rust");
        lines.extend(sql.trim().lines().map(|line| format!("    {DIM}{line}{DIM:#}")));
        lines.extend(self.locks.iter().map(LockBrief::line));
        lines.extend(self.unknown.iter().map(|what| format!("  what {what} does is not in the text")));
        lines.push(String::new());
        lines
    }
}

impl LockBrief {
    fn line(&self) -> String {
        let rows = match self.rows {
            Some("unknown") => ", and what is done with its rows is unknown: the table is not in the schema".to_owned(),
            Some(done) => format!(", while every row is {done}"),
            None => String::new(),
        };
        format!("  locks {} in {} mode: blocks {}{rows}", self.table, self.mode, self.blocks)
    }
}

impl Loss {
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

fn rows(count: Count) -> String {
    format!("{count} row{}", if count.number() == 1 { "" } else { "s" })
}

fn values(count: Count) -> String {
    format!("{count} value{}", if count.number() == 1 { "" } else { "s" })
}
