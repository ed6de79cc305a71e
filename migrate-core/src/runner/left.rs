//! What concurrent statements leave behind when they do not finish. It is read from the catalogs, before and after, and
//! not guessed from names.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::db::{Failure, Row};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::{QualifiedName, literal};
use migrate_base::sql::{self, Class, IndexName};

use super::execute::Executor;
use super::explain;
use super::locate::Where;
use super::options::Progress;
use super::plan::Step;
use super::pulse::Course;
use super::singly::{self, PATIENTLY};
use crate::source::{Script, Version};

/// In the note of a failure, precedes what the statement left half done.
pub(super) const LEFT_BEHIND: &str = "; left behind: ";

/// The end of the note when `IF NOT EXISTS` found an index that is not valid.
pub(super) const NOT_VALID: &str = "exists but is not valid";

/// Something half done, according to the catalogs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Left {
    kind: Kind,
    oid: String,
    /// Its quoted name.
    pub(super) name: String,
    /// The quoted name of its table.
    of: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// An index that is not valid.
    Index,
    /// An index that is not valid because it was being dropped.
    Dropped,
    /// A partition that is half detached.
    Partition,
}

/// Finds every index that is not valid and whose table is not being worked on by another session, and every partition
/// that is half detached; `{since}` are conditions for the rows `i`, `c` and `h`.
///
/// An index on a partitioned table is not valid as long as a partition lacks its own index; that is not a failure.
const LOOK: &str = "SELECT 'index', c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.format('%I.%I', tn.nspname, t.relname) \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
    WHERE c.relkind = 'i' AND NOT (i.indisvalid AND i.indisready AND i.indislive){of_index} AND NOT EXISTS (\
        SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
        WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted AND l.mode = 'ShareUpdateExclusiveLock' \
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
        AND l.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL) \
    UNION ALL SELECT 'partition', h.inhrelid, pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.format('%I.%I', tn.nspname, t.relname) \
    FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_class t ON t.oid = h.inhparent JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
    WHERE h.inhdetachpending{of_partition};";

/// The query for everything that is half done now.
pub(super) fn look() -> String {
    LOOK.replace("{of_index}", "").replace("{of_partition}", "")
}

/// The query for what became half done after the newest row that says that a statement of a migration started or is
/// done.
pub(super) fn look_since(ledger: &QualifiedName, version: &Version) -> String {
    let since = |rows: &[&str]| {
        let base = base(ledger, version);
        let newer = rows.iter().map(|row| format!("pg_catalog.age({row}.xmin) < {base}"));
        format!(" AND ({})", newer.collect::<Vec<_>>().join(" OR "))
    };
    LOOK.replace("{of_index}", &since(&["i", "c"])).replace("{of_partition}", &since(&["h"]))
}

/// The age of the newest row about a statement of a migration, in transactions.
fn base(ledger: &QualifiedName, version: &Version) -> String {
    format!(
        "(SELECT pg_catalog.age(l.xmin) FROM {ledger} l WHERE l.version = {} AND l.event IN ('started', 'progress') \
         ORDER BY l.id DESC LIMIT 1)",
        literal(version.as_str())
    )
}

impl Left {
    pub(super) fn of(row: Row) -> Option<Self> {
        let mut row = row.into_iter();
        let kind = match row.next()??.as_str() {
            "index" => Kind::Index,
            _ => Kind::Partition,
        };
        Some(Self { kind, oid: row.next()??, name: row.next()??, of: row.next()?? })
    }

    /// Whether it is one of the two copies that `REINDEX CONCURRENTLY` creates.
    fn is_copy(&self) -> bool {
        let name = self.name.trim_end_matches('"').trim_end_matches(|c: char| c.is_ascii_digit());
        self.kind == Kind::Index && (name.ends_with("_ccnew") || name.ends_with("_ccold"))
    }

    /// Interprets it as left by a statement of this class: a statement that drops an index does not leave it half
    /// built.
    pub(super) fn by(mut self, class: Class) -> Self {
        if class == Class::DropIndexConcurrently && self.kind == Kind::Index && !self.is_copy() {
            self.kind = Kind::Dropped;
        }
        self
    }

    /// Describes it for a note.
    pub(super) fn note(&self) -> String {
        match self.kind {
            Kind::Index if self.is_copy() => {
                format!(
                    "the index {} was left behind: a copy that is not used, but slows down writes to {}",
                    self.name, self.of
                )
            }
            Kind::Index => {
                format!(
                    "the index {} was left behind half built: it is not used, but slows down writes to {}",
                    self.name, self.of
                )
            }
            Kind::Dropped => {
                format!(
                    "the index {} was left behind half dropped: it is no longer used, but slows down writes to {}",
                    self.name, self.of
                )
            }
            Kind::Partition => format!("the partition {} was left half detached from {}", self.name, self.of),
        }
    }

    /// Describes it briefly, for the ledger.
    pub(super) fn brief(&self) -> String {
        match self.kind {
            Kind::Index | Kind::Dropped => format!("index {}, not valid", self.name),
            Kind::Partition => format!("partition {}, half detached", self.name),
        }
    }

    /// Describes it for a list of what exists.
    pub(super) fn seen(&self) -> String {
        match self.kind {
            Kind::Index => format!("index {} exists but is not valid: half built", self.name),
            Kind::Dropped => format!("index {} exists but is not valid: half dropped", self.name),
            Kind::Partition => format!("partition {} is half detached from {}", self.name, self.of),
        }
    }

    /// The statement that removes or finishes it.
    fn cleaning(&self) -> String {
        match self.kind {
            Kind::Index => format!("DROP INDEX CONCURRENTLY {}", self.name),
            Kind::Dropped => format!("REINDEX INDEX CONCURRENTLY {}", self.name),
            Kind::Partition => format!("ALTER TABLE {} DETACH PARTITION {} FINALIZE", self.of, self.name),
        }
    }

    /// What that statement does, in two forms: as an activity, and as an infinitive.
    fn doing(&self) -> (String, String) {
        let (doing, to_do, what) = match self.kind {
            Kind::Index => ("removing", "remove", format!("the half-built index {}", self.name)),
            Kind::Dropped => ("rebuilding", "rebuild", format!("the half-dropped index {}", self.name)),
            Kind::Partition => ("detaching", "detach", format!("the partition {} from {}", self.name, self.of)),
        };
        (format!("{doing} {what}"), format!("{to_do} {what}"))
    }
}

impl Executor<'_> {
    /// Sends statements of ours, then reads what is half done.
    pub(super) async fn look_left(&mut self, step: &Step, before: &str) -> Result<BTreeSet<Left>> {
        let message = format!("{before} {}", look());
        let rows = self.ask(step, &message).await?;
        Ok(rows.into_iter().filter_map(Left::of).collect())
    }

    /// Like [`Executor::settle`], in a session in which nothing was run yet, for a statement that is to be undone: an
    /// index that it half dropped is rebuilt.
    pub(super) async fn settle_apart(&mut self, step: &Step, script: &Script, at: usize) -> Result<Option<bool>> {
        let settings = singly::prepare(script, at);
        if !settings.is_empty() {
            self.record(step, &settings).await?;
        }
        let is_done = self.settle(step, script, at).await?;
        let dropping = script.statements().get(at).filter(|statement| statement.class == Class::DropIndexConcurrently);
        if let Some(statement) = dropping.filter(|_| is_done == Some(false)) {
            self.rebuild(step, &script.text()[statement.span.clone()]).await?;
        }
        Ok(is_done)
    }

    /// Rebuilds the index that a `DROP INDEX CONCURRENTLY` half dropped; an index that was not valid before stays as it
    /// was.
    async fn rebuild(&mut self, step: &Step, text: &str) -> Result<()> {
        let Some(name) = self.half_built(step, IndexName::of(text)).await? else { return Ok(()) };
        let ours = format!(
            "SELECT i.indrelid::pg_catalog.regclass FROM pg_catalog.pg_index i \
             WHERE i.indexrelid = pg_catalog.to_regclass({}) AND pg_catalog.age(i.xmin) < {}",
            literal(&name),
            base(&self.options.ledger, &step.version)
        );
        let Some(row) = self.ask(step, &ours).await?.into_iter().next() else { return Ok(()) };
        // Copies left by a rebuild that did not finish.
        let copies = self.ask(step, &look_since(&self.options.ledger, &step.version)).await?;
        let is_of_it = |copy: &Left| copy.is_copy() && copy.name.starts_with(name.trim_end_matches('"'));
        for copy in copies.into_iter().filter_map(Left::of).filter(is_of_it) {
            self.clean(step, &copy).await?;
        }
        let of = row.into_iter().next().flatten().unwrap_or_default();
        let half = Left { kind: Kind::Dropped, oid: String::new(), name, of };
        let still = |error: Error| {
            error.note(format!("{}; nothing was recorded, so {} is still unfinished", half.seen(), step.version))
        };
        self.clean(step, &half).await.map_err(still)?;
        match self.half_built(step, IndexName::of(text)).await? {
            None => Ok(()),
            Some(_) => {
                let finding = Finding::new(codes::HALF_DONE, format!("cannot {}", half.doing().1));
                Err(still(Error::new(ErrorKind::Statement, finding))
                    .help(format!("do it by hand: {};", half.cleaning())))
            }
        }
    }

    /// Finishes or removes what the statement `at` left half done, and returns whether the statement is done then;
    /// `None` means unknown.
    ///
    /// A statement that shares a transaction with its record is not done. For an index or a partition the catalogs show
    /// the state: a half-built index is removed, so that it can be built again. A statement that the server refused is
    /// not done, unless it left something half done or something was created since: an index with that name that
    /// existed before belongs to somebody else.
    pub(super) async fn settle(&mut self, step: &Step, script: &Script, at: usize) -> Result<Option<bool>> {
        let Some(statement) = script.statements().get(at) else { return Ok(Some(false)) };
        let text = &script.text()[statement.span.clone()];
        let failed = step.resume.as_ref().and_then(|unfinished| unfinished.failed.as_ref());
        let why = failed.filter(|(failed, _)| *failed == at + 1).map(|(_, why)| why.as_str());
        let refused = why.is_some_and(|why| !why.contains(LEFT_BEHIND));
        match statement.class {
            Class::CreateIndexConcurrently => {
                let is_taken = why.is_some_and(|why| why.ends_with(NOT_VALID));
                self.settle_index(step, text, is_taken).await
            }
            Class::DropIndexConcurrently | Class::DetachConcurrently if refused => Ok(Some(false)),
            Class::DropIndexConcurrently => {
                let Some(index) = IndexName::of(text) else { return Ok(Some(false)) };
                Ok(Some(self.ask(step, &index.query).await?.is_empty()))
            }
            Class::ReindexConcurrently => {
                let since = look_since(&self.options.ledger, &step.version);
                let rows = self.ask(step, &since).await?;
                for copy in rows.into_iter().filter_map(Left::of).filter(Left::is_copy) {
                    self.clean(step, &copy).await?;
                }
                Ok(Some(false))
            }
            Class::DetachConcurrently => self.settle_partition(step, text).await,
            Class::MayCommit => Ok(None),
            Class::OutsideTransaction | Class::OfSubscription => Ok(failed.map(|_| false)),
            _ => Ok(Some(false)),
        }
    }

    /// The quoted name of the index of a statement, if it exists and is not valid.
    pub(super) async fn half_built(&mut self, step: &Step, index: Option<IndexName>) -> Result<Option<String>> {
        let Some(index) = index else { return Ok(None) };
        let row = self.ask(step, &index.query).await?.into_iter().next().unwrap_or_default();
        let mut row = row.into_iter();
        let is_half = row.next().flatten().is_some_and(|valid| valid != "t");
        Ok(row.next().flatten().filter(|_| is_half))
    }

    /// Settles the index of a `CREATE INDEX CONCURRENTLY`: the one that is new on its table, with its name if it has
    /// one. `is_taken`: it was built before and `IF NOT EXISTS` found it half built, so that it has to be removed too.
    async fn settle_index(&mut self, step: &Step, text: &str, is_taken: bool) -> Result<Option<bool>> {
        let Some(table) = sql::of_table(text) else { return Ok(None) };
        let named = IndexName::of(text);
        // The cast truncates a name that is too long.
        let condition = match &named {
            Some(index) => format!("{table} AND c.relname = {}::pg_catalog.name", literal(&index.name)),
            None => table,
        };
        let rows = self.ask(step, &indexes(&condition, &self.options.ledger, &step.version)).await?;
        let mut is_valid = false;
        for row in rows {
            let mut row = row.into_iter();
            let mut is = || row.next().flatten().as_deref() == Some("t");
            let (valid, new) = (is(), is());
            let Some(name) = row.next().flatten() else { continue };
            is_valid |= valid && new;
            if !valid && (new || is_taken) {
                let half = Left { kind: Kind::Index, oid: String::new(), name, of: String::new() };
                self.clean(step, &half).await?;
            }
        }
        // Somebody else may have created an index on the table as well.
        Ok(if is_valid && named.is_none() { None } else { Some(is_valid) })
    }

    async fn settle_partition(&mut self, step: &Step, text: &str) -> Result<Option<bool>> {
        let Some((parent, partition)) = sql::detached(text) else { return Ok(None) };
        let query = format!(
            "SELECT CASE WHEN p.parent IS NOT NULL THEN p.there END, h.inhdetachpending, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), \
             pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.relname) \
             FROM (SELECT pg_catalog.to_regclass({}) AS parent, pg_catalog.to_regclass({}) AS there) AS p \
             LEFT JOIN pg_catalog.pg_inherits h ON h.inhparent = p.parent AND h.inhrelid = p.there \
             LEFT JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_class t ON t.oid = h.inhparent LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace",
            literal(&parent),
            literal(&partition)
        );
        let row = self.ask(step, &query).await?.into_iter().next().unwrap_or_default();
        let mut row = row.into_iter();
        let mut next = || row.next().flatten();
        match (next(), next().as_deref(), next(), next()) {
            // It may have been dropped before or after.
            (None, ..) => Ok(None),
            (Some(_), Some("t"), Some(name), Some(of)) => {
                let half = Left { kind: Kind::Partition, oid: String::new(), name, of };
                self.clean(step, &half).await.map(|()| Some(true))
            }
            (Some(_), pending, ..) => Ok(Some(pending.is_none())),
        }
    }

    /// Removes something half built, or finishes it, waiting for locks without a limit.
    async fn clean(&mut self, step: &Step, half: &Left) -> Result<()> {
        let (doing, to_do) = half.doing();
        self.options.observer.hear(&Progress::Remark(&doing));
        self.record(step, PATIENTLY).await?;
        let course = Course::of(step);
        let cleaned = self.lines.drive(half.cleaning(), &course, self.options, &mut |_| {}).await;
        let back = self.settings.sql();
        let cleaned = cleaned.map_err(|broken| {
            if broken.cancelled {
                return explain::refused(step, Where::Unknown.into(), broken);
            }
            let error = broken.failure.explain(ErrorKind::Statement, codes::HALF_DONE, &to_do);
            error.help(format!("remove the cause, or do it by hand: {};", half.cleaning()))
        });
        let is_lost = cleaned.as_ref().is_err_and(|error| error.kind() == ErrorKind::Connection);
        if is_lost || !self.lines.worker.is_open() {
            return cleaned;
        }
        self.record(step, &back).await?;
        cleaned
    }

    async fn ask(&mut self, step: &Step, query: &str) -> Result<Vec<Row>> {
        let rows = tokio::select! {
            biased;
            rows = self.lines.worker.rows(query) => rows,
            () = self.options.cancel.impatient() => Err(explain::no_patience()),
        };
        if matches!(&rows, Err(Failure::Silent(_))) {
            self.lines.worker.cut();
        }
        rows.map_err(|failure| {
            failure.explain(
                ErrorKind::Statement,
                codes::INDEX,
                &format!("see what {} left behind", explain::title(step)),
            )
        })
    }
}

/// The query for indexes: whether each is valid, whether it was created since the newest row about a statement, and its
/// quoted name.
fn indexes(condition: &str, ledger: &QualifiedName, version: &Version) -> String {
    format!(
        "SELECT i.indisvalid AND i.indisready AND i.indislive, pg_catalog.age(c.xmin) < {}, \
         pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {condition}",
        base(ledger, version)
    )
}

/// The finding for a statement that turned out to be done when undoing was expected to run nothing: it is now recorded
/// as done.
pub(super) fn is_done_after_all(step: &Step, script: &Script, at: usize) -> Error {
    let (version, all) = (&step.version, script.statements().len());
    let title = explain::title(step);
    let finding =
        Finding::new(codes::MAY_BE_DONE, format!("statement {} of {all} of {title} turned out to be done", at + 1))
            .at(line(script, at))
            .note("the ledger did not show it; it is now recorded, and nothing was undone")
            .help(format!(
                "`cargo xtask resolve {version} --undo` undoes it by running the whole script of the other direction"
            ))
            .help(format!("`cargo xtask resolve {version} --continue` continues after it"));
    Error::new(ErrorKind::Plan, finding)
}

/// The first line of a statement.
fn line(script: &Script, at: usize) -> Place {
    let span = script.statements().get(at).map_or(0..0, |statement| {
        let first_line = script.text()[statement.span.clone()].lines().next().map_or(0, str::len);
        statement.span.start..statement.span.start + first_line
    });
    Place::within(script.path(), script.text().clone(), span)
}

/// The finding for a statement that may have been done, completely or partly, when its run ended; the user has to
/// decide.
pub(super) fn may_be_done(step: &Step, script: &Script, at: usize, way: &str) -> Error {
    let (version, all) = (&step.version, script.statements().len());
    let (again, after) = match way {
        "--undo" => ("if nothing of it was done", "if it was done"),
        _ => ("runs it again", "continues after it"),
    };
    let failed = step.resume.as_ref().is_some_and(|unfinished| unfinished.failed.is_some());
    let why = match script.statements().get(at).map(|statement| statement.class) {
        Some(Class::CreateIndexConcurrently) => {
            "the server chose the index name, and a valid index was created on the table since it started: this one \
             or another one"
        }
        Some(Class::DetachConcurrently) => "its table or its partition no longer exists",
        _ if failed => "it commits by itself, and what it had committed before it failed stays",
        _ => {
            "it commits by itself, and the run ended while it was running: it may be done completely, partly, or not \
             at all"
        }
    };
    let title = explain::title(step);
    let finding =
        Finding::new(codes::MAY_BE_DONE, format!("statement {} of {all} of {title} may have been done", at + 1))
            .at(line(script, at))
            .note(why)
            .help("check what it has done, then finish it or undo it by hand")
            .help(format!("`cargo xtask resolve {version} {way} --from {}` {again}", at + 1))
            .help(format!("`cargo xtask resolve {version} {way} --from {}` {after}", at + 2));
    Error::new(ErrorKind::Plan, finding)
}

/// Whether a statement can leave something half done.
pub(super) fn is_concurrent(class: Class) -> bool {
    use Class::{CreateIndexConcurrently, DetachConcurrently, DropIndexConcurrently, ReindexConcurrently};
    matches!(class, CreateIndexConcurrently | DropIndexConcurrently | ReindexConcurrently | DetachConcurrently)
}
