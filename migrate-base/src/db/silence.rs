//! Decides for a session that does not answer whether its server process still works for us, by querying over another
//! connection.
//!
//! A statement may take hours without an answer, and a network may lose every packet without an error. From one socket
//! the two look the same. So a silent connection is never cut off for its silence alone: a second connection queries
//! what the server process of the first one is doing, and only a connection that can no longer answer is given up.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Database, Session, SessionFailure, TextRow};
use crate::ident::literal;

/// A server process. Its number alone is not enough, because the system reuses numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in the server's format.
    pub(crate) since: String,
}

/// The observed state of a server process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// It works on our message.
    Working,
    /// It waits for the next message.
    Idle,
    /// It does not exist.
    Gone,
    /// The server answers, but does not tell the state.
    Hidden,
}

/// How to find the process of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessLookup {
    /// By its process, if known; otherwise only whether the server answers is known.
    Process,
    /// By the tag of the session in its query.
    Tag,
}

/// Time limits.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    /// For one quick query.
    pub question: Duration,
    /// For any answer at all.
    pub(crate) patience: Duration,
    /// The silence after which the first query is sent.
    first: Duration,
}

/// How many bytes of a query the server must keep for its tag to be found: the default of `track_activity_query_size`.
const COMMENTED: usize = 1024;

/// The speed of the slowest expected network, in bytes per second: the server is idle until a message has arrived.
const SLOWEST: usize = 16 << 10;

impl TimeLimits {
    /// The limits for a database, by its keepalive settings.
    pub fn of(database: &Database) -> Self {
        let patience = database.keepalive.patience();
        Self { question: patience.min(Duration::from_secs(5)), patience, first: patience.min(Duration::from_secs(10)) }
    }

    /// How long a server process may appear idle while its answer, or our message of this many bytes, is in transit.
    pub(crate) fn on_its_way(&self, bytes: usize) -> Duration {
        self.first + Duration::from_secs((bytes / SLOWEST) as u64)
    }
}

/// What is known about a session when it falls silent.
#[derive(Debug)]
pub(super) struct SessionIdentity {
    pub(super) database: Database,
    pub(super) application: String,
    /// Its unique number, in hexadecimal.
    pub(super) tag: String,
    pub(super) process: Option<Process>,
}

impl SessionIdentity {
    /// Waits for `work`, which has sent this many bytes, as long as the server works on it.
    pub(super) async fn bounded<T>(
        &self,
        bytes: usize,
        by: ProcessLookup,
        work: impl Future<Output = Result<T, SessionFailure>>,
    ) -> Result<T, SessionFailure> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            failure = Box::pin(self.silence(bytes, by)) => Err(failure),
        }
    }

    /// Returns when the session has to be given up, and why.
    async fn silence(&self, bytes: usize, by: ProcessLookup) -> SessionFailure {
        let limits = TimeLimits::of(&self.database);
        let question = match (by, &self.process) {
            (ProcessLookup::Process, Some(process)) => process.question(),
            (ProcessLookup::Process, None) => "SELECT NULL".to_owned(),
            (ProcessLookup::Tag, _) => self.question(),
        };
        sleep(limits.first).await;
        let mut verdict = SilenceDetector::new(limits, bytes);
        let mut scout = None;
        loop {
            let seen = ask(&mut scout, &self.database, &self.application, limits, &question).await;
            if let Some(failure) = verdict.hear(Instant::now(), seen) {
                return failure;
            }
            sleep(limits.first / 4).await;
        }
    }

    /// The comment that identifies the query of this session; it precedes a `SELECT`, because the statistics of a
    /// server distinguish other statements by their text.
    pub(super) fn comment(&self) -> String {
        format!("/*roundtrip {}*/", self.tag)
    }

    /// The query for the process with the tag; nothing is concluded if the server truncates queries before it. The
    /// server assembles the tag, so that the query does not find itself.
    fn question(&self) -> String {
        format!(
            "SELECT CASE WHEN pg_catalog.current_setting('track_activities') = 'on' \
             AND pg_catalog.pg_size_bytes(pg_catalog.current_setting('track_activity_query_size')) >= {COMMENTED} \
             THEN coalesce((SELECT a.state FROM pg_catalog.pg_stat_activity a \
             WHERE pg_catalog.strpos(a.query, '/*roundtrip ' || {} || '*/') > 0 \
             ORDER BY a.query_start DESC LIMIT 1), 'gone') END",
            literal(&self.tag)
        )
    }
}

impl Process {
    /// The query for its state, with one row and one column.
    pub(crate) fn question(&self) -> String {
        format!(
            "SELECT CASE WHEN pg_catalog.count(*) = 0 THEN 'gone' ELSE pg_catalog.min(a.state) END \
             FROM pg_catalog.pg_stat_activity a WHERE {}",
            self.condition()
        )
    }

    /// The statement that terminates it, and waits a moment until it has ended.
    pub(crate) fn end(&self) -> String {
        format!(
            "SELECT pg_catalog.pg_terminate_backend(a.pid, 2000) FROM pg_catalog.pg_stat_activity a WHERE {}",
            self.condition()
        )
    }

    fn condition(&self) -> String {
        format!("a.pid = {} AND a.backend_start = {}", self.pid, literal(&self.since))
    }
}

impl ProcessState {
    /// Reads the answer to a query.
    pub(crate) fn read(state: Option<&str>) -> Self {
        match state {
            Some("gone") => Self::Gone,
            Some(state) if state.starts_with("idle") => Self::Idle,
            Some("active" | "fastpath function call") => Self::Working,
            _ => Self::Hidden,
        }
    }
}

/// Draws conclusions from a series of observations.
#[derive(Debug)]
pub struct SilenceDetector {
    limits: TimeLimits,
    /// How long an answer may be in transit.
    on_its_way: Duration,
    /// When the server answered last.
    heard: Instant,
    /// Since when it has had nothing left to answer.
    done_since: Option<Instant>,
}

impl SilenceDetector {
    /// Starts to watch a message of so many bytes.
    pub fn new(limits: TimeLimits, bytes: usize) -> Self {
        Self { limits, on_its_way: limits.on_its_way(bytes), heard: Instant::now(), done_since: None }
    }

    /// Notes that the session itself answered.
    pub fn alive(&mut self) {
        self.heard = Instant::now();
        self.done_since = None;
    }

    /// Shortens the limits after cancellation was requested.
    pub fn hurry(&mut self, limit: Duration) {
        self.on_its_way = self.on_its_way.min(limit);
        self.limits.patience = self.limits.patience.min(limit);
        self.heard = Instant::now();
        self.done_since = self.done_since.map(|_| self.heard);
    }

    /// Processes the next observation, `None` if nothing answered; returns the reason if the session has to be given
    /// up.
    pub fn hear(&mut self, now: Instant, seen: Option<ProcessState>) -> Option<SessionFailure> {
        let Some(seen) = seen else {
            let is_over = now - self.heard >= self.limits.patience;
            return is_over.then(|| {
                let seconds = self.limits.patience.as_secs_f32();
                SessionFailure::Silent(format!(
                    "nothing answered for {seconds} s, neither this connection nor a new one"
                ))
            });
        };
        self.heard = now;
        match seen {
            ProcessState::Working | ProcessState::Hidden => {
                self.done_since = None;
                None
            }
            ProcessState::Idle | ProcessState::Gone => {
                let since = *self.done_since.get_or_insert(now);
                (now - since >= self.on_its_way).then(|| SessionFailure::Silent(told(seen)))
            }
        }
    }
}

fn told(seen: ProcessState) -> String {
    let what = match seen {
        ProcessState::Gone => "its process on the server has ended",
        _ => "its process on the server has nothing left to do",
    };
    format!("this connection is silent although {what}: the network loses the messages or the answers")
}

/// Queries the state over a connection that is opened if necessary; `None` if nothing answers.
async fn ask(
    scout: &mut Option<Session>,
    database: &Database,
    application: &str,
    limits: TimeLimits,
    question: &str,
) -> Option<ProcessState> {
    match scout_rows(scout, database, application, limits, question).await? {
        Ok(rows) => Some(ProcessState::read(rows.first().and_then(|row| row.first()?.as_deref()))),
        Err(ProbeRefusal) => Some(ProcessState::Hidden),
    }
}

/// The server answers, but refuses our query.
#[derive(Debug)]
pub struct ProbeRefusal;

/// Sends a query over a connection that is opened if necessary; `None` if nothing answers.
pub(crate) async fn scout_rows(
    scout: &mut Option<Session>,
    database: &Database,
    application: &str,
    limits: TimeLimits,
    question: &str,
) -> Option<Result<Vec<TextRow>, ProbeRefusal>> {
    let (mut session, is_new) = match scout.take() {
        Some(session) => (session, false),
        None => match Session::connect(database, &format!("{application} watch")).await {
            Ok(session) => (session, true),
            Err(error) => return error.sqlstate().map(|_| Err(ProbeRefusal)),
        },
    };
    match timeout(limits.question, session.unbounded(question)).await {
        Ok(Ok(rows)) => {
            *scout = Some(session);
            Some(Ok(rows))
        }
        Ok(Err(SessionFailure::Server(_))) => Some(Err(ProbeRefusal)),
        // A server that accepts a connection is alive, even if a pooler has no process left to answer the query.
        Err(_) if is_new => Some(Err(ProbeRefusal)),
        Ok(Err(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TimeLimits = TimeLimits {
        question: Duration::from_secs(5),
        patience: Duration::from_secs(30),
        first: Duration::from_secs(10),
    };

    /// How many observations, one second apart, it takes until the session is given up.
    fn looks(bytes: usize, seen: impl Fn(u64) -> Option<ProcessState>) -> Option<u64> {
        let mut verdict = SilenceDetector::new(LIMITS, bytes);
        let begin = verdict.heard;
        (0..3600).find(|n| verdict.hear(begin + Duration::from_secs(*n), seen(*n)).is_some())
    }

    #[test]
    fn only_what_cannot_answer_any_more_is_given_up() {
        assert_eq!(looks(0, |_| Some(ProcessState::Working)), None, "an hour of work");
        assert_eq!(looks(0, |_| Some(ProcessState::Hidden)), None);
        assert_eq!(looks(0, |_| None), Some(30));
        assert_eq!(looks(0, |n| (n % 29 == 0).then_some(ProcessState::Working)), None, "a sign of life now and then");
        assert_eq!(looks(0, |_| Some(ProcessState::Idle)), Some(10));
        assert_eq!(looks(0, |_| Some(ProcessState::Gone)), Some(10));
        assert_eq!(looks(160 << 10, |_| Some(ProcessState::Idle)), Some(20), "a long message is on its way for longer");
        assert_eq!(looks(0, |n| Some(if n % 9 == 0 { ProcessState::Working } else { ProcessState::Idle })), None);
    }
}
