//! `locks`: what each new migration locks, reads and rewrites, as observed on a shadow database, and whether `[policy]`
//! allows it.

use std::collections::BTreeMap;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place, Severity};
use migrate_base::ident::QualifiedName;
use migrate_base::lock_mode::LockMode;
use migrate_core::source::Script;
use migrate_core::{Direction, ErrorKind, Migration};
use migrate_review::config::LockPolicy;
use migrate_schema::{Id, Kind};
use migrate_test::observe::{Observation, StatementObservation, observe};
use migrate_test::proof::ProofError;

use super::{CheckInput, Clock, sizes};
use crate::exit::Result;
use crate::output::style;
use crate::report::{CheckResult, MigrationResult, StrongestLock};

/// The seed of the proof, so that the same rows are generated.
const SEED: u64 = 0;

/// Observes the new migrations on a shadow database with rows.
///
/// # Errors
///
/// The connection to the server is lost.
pub(crate) async fn locks(ground: &CheckInput<'_>) -> Result<(CheckResult, Vec<Observation>)> {
    let clock = Clock::start("locks");
    let Ok(set) = &ground.set else { return Ok((clock.skipped("the files cannot be read as migrations"), Vec::new())) };
    if ground.new.is_empty() {
        return Ok((clock.done("no new migrations", Vec::new()), Vec::new()));
    }
    let all = match observe(set, &ground.code, &ground.new, SEED).await {
        Ok(all) => all,
        Err(ProofError::Core(error)) if error.kind() == ErrorKind::Statement => {
            return Ok((clock.could_not_look("the migrations before the new ones do not apply", &error), Vec::new()));
        }
        Err(error) => return Err(error.into()),
    };
    let policy = &ground.context.config.policy;
    let sizes = match &policy.sizes {
        Some(name) => sizes::of(ground.context, name).await,
        None => Ok(BTreeMap::new()),
    };
    let in_use = ReleasedTables { released: ground.released_schema().await? };
    let judge = LockJudge { policy, sizes: sizes.as_ref().ok(), in_use: &in_use, ground };
    let mut findings: Vec<Finding> =
        all.iter().filter_map(|one| Some(judge.observation(one, set.get(&one.version)?))).flatten().collect();
    findings.extend(judge.environments());
    if let (Err(why), Some(name)) = (&sizes, &policy.sizes) {
        findings.push(
            Finding::new(codes::COULD_NOT_LOOK, format!("the table sizes of {name} could not be read: {why}"))
                .note("so rules that depend on the number of rows were not applied")
                .with_severity(Severity::Warning)
                .help("make the environment reachable from here, or remove `sizes` from [policy]"),
        );
    }
    let strongest =
        all.iter().flat_map(Observation::locks).filter(|lock| in_use.has(&lock.relation)).max_by_key(|lock| lock.mode);
    let strongest = strongest.map_or_else(
        || "no lock on a table in use".to_owned(),
        |lock| format!("strongest lock: {} on {}", lock.mode, plain(&lock.relation)),
    );
    let sizes = sizes.err().map_or_else(String::new, |why| format!("; sizes unknown: {why}"));
    let failed = all.iter().find(|one| one.failed.is_some()).map_or_else(String::new, |one| {
        format!("; only up to {}, whose {} script fails", one.version.title(&one.name), one.direction.as_str())
    });
    let count = style::count(ground.new.len(), "new migration");
    let summary = format!("{count} observed, {strongest}{sizes}{failed}");
    Ok((clock.done(summary, findings), all))
}

/// Adds the observations to the report on each migration.
pub(crate) async fn fill(ground: &CheckInput<'_>, judged: &mut [MigrationResult], all: &[Observation]) -> Result<()> {
    let in_use = ReleasedTables { released: ground.released_schema().await? };
    for one in all {
        let Some(judged) = judged.iter_mut().find(|judged| judged.version == one.version) else { continue };
        let locks = one.locks().filter(|lock| in_use.has(&lock.relation));
        let held = locks
            .max_by_key(|lock| (lock.mode, lock.held))
            .map(|lock| StrongestLock { mode: lock.mode, table: plain(&lock.relation) });
        match one.direction {
            Direction::Down => judged.lock_down = held,
            Direction::Up => {
                judged.lock = held;
                judged.elapsed = one.elapsed;
                let rewritten = one.statements.iter().flat_map(|statement| &statement.rewritten);
                let rewritten = rewritten.filter(|one| in_use.has(&one.table)).map(|one| plain(&one.table));
                judged.rewritten = rewritten.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
            }
        }
    }
    Ok(())
}

/// The tables in use: those that are released.
struct ReleasedTables {
    released: Option<std::sync::Arc<migrate_schema::SchemaDescription>>,
}

impl ReleasedTables {
    fn has(&self, table: &QualifiedName) -> bool {
        let Some(released) = &self.released else { return true };
        [Kind::Table, Kind::View, Kind::MaterializedView, Kind::ForeignTable].into_iter().any(|kind| {
            let id = Id {
                kind,
                schema: table.schema().into(),
                parent: "".into(),
                name: table.name().into(),
                signature: "".into(),
            };
            released.schema.get(&id).is_some()
        })
    }
}

struct LockJudge<'a> {
    policy: &'a LockPolicy,
    /// How many rows the tables have in the named environment; `None` if its statistics could not be read.
    sizes: Option<&'a BTreeMap<QualifiedName, u64>>,
    in_use: &'a ReleasedTables,
    ground: &'a CheckInput<'a>,
}

impl LockJudge<'_> {
    fn observation(&self, one: &Observation, migration: &Migration) -> Vec<Finding> {
        let script = match one.direction {
            Direction::Up => migration.up_script(),
            Direction::Down => migration.down_script(),
        };
        let mut findings = Vec::new();
        let mut told: Vec<&QualifiedName> = Vec::new();
        for statement in &one.statements {
            for lock in &statement.locks {
                let allowed = self.policy.max_lock.is_none_or(|most| lock.mode <= most);
                if !allowed && self.in_use.has(&lock.relation) && !told.contains(&&lock.relation) {
                    told.push(&lock.relation);
                    findings.push((statement, too_strong(lock)));
                }
            }
            findings.extend(self.rewritten(statement).map(|finding| (statement, finding)));
            findings.extend(statement.invalid.iter().map(|index| (statement, invalid(index))));
        }
        findings.extend(self.together(one));
        let placed = findings
            .into_iter()
            .map(|(statement, finding)| finding.at(place(script.map(|script| &**script), migration, statement)));
        placed.filter_map(|finding| self.weigh(finding, script.map(|script| &**script), one.direction)).collect()
    }

    fn rewritten<'a>(&'a self, statement: &'a StatementObservation) -> impl Iterator<Item = Finding> + 'a {
        let most = self.policy.no_rewrite;
        statement.rewritten.iter().filter(|one| self.in_use.has(&one.table)).filter_map(move |one| {
            let most = most?;
            let known = self.sizes.and_then(|sizes| sizes.get(&one.table)).copied();
            let table = plain(&one.table);
            let finding = Finding::new(codes::TABLE_REWRITTEN, format!("this rewrites {table}"));
            let finding = finding
                .note("meanwhile, the table cannot be read or written")
                .help("add a new column, fill it in batches, and switch to it");
            match known {
                Some(rows) if rows <= most => None,
                Some(rows) => Some(finding.note(format!("it has about {rows} rows; [policy] allows {most}"))),
                None => Some(
                    finding
                        .with_severity(Severity::Warning)
                        .note(format!("[policy] allows {most} rows; how many rows the table has is unknown"))
                        .help("name an environment with table statistics: `sizes = \"production\"` in [policy]"),
                ),
            }
        })
    }

    /// Several tables that one transaction locks in access exclusive mode at the same time.
    fn together<'a>(&self, one: &'a Observation) -> Option<(&'a StatementObservation, Finding)> {
        let exclusive = one.statements.iter().flat_map(|statement| {
            let strong = statement
                .locks
                .iter()
                .filter(|lock| lock.mode == LockMode::AccessExclusive && self.in_use.has(&lock.relation));
            strong.map(move |lock| (statement, lock))
        });
        // A lock that is released when its statement ends is not held together with another one.
        let mut held: Vec<(&StatementObservation, &QualifiedName)> = Vec::new();
        let last = one.statements.len().saturating_sub(1);
        for (statement, lock) in exclusive {
            let stays = lock.statements > 0 || one.statements.get(last).is_some_and(|end| std::ptr::eq(end, statement));
            if stays && !held.iter().any(|(_, table)| *table == &lock.relation) {
                held.push((statement, &lock.relation));
            }
        }
        let (second, _) = held.get(1)?;
        let names: Vec<String> = held.iter().map(|(_, table)| plain(table)).collect();
        let finding = Finding::new(
            codes::TABLES_LOCKED_TOGETHER,
            format!("{} are locked against reads and writes in one transaction", names.join(", ")),
        )
        .note(
            "each table stays locked until the last one is done; a session that locks them in another order can \
             deadlock",
        )
        .help("write a separate migration for each table");
        Some((second, finding))
    }

    /// Environments in which a migration would wait for a lock without a timeout.
    fn environments(&self) -> Vec<Finding> {
        if !self.policy.lock_timeout {
            return Vec::new();
        }
        let config = &self.ground.context.config;
        let endless = config
            .names()
            .into_iter()
            .filter(|name| config.environment(name).is_ok_and(|one| one.lock_timeout.is_zero()));
        let place = config.path.as_ref().map(Place::file);
        endless
            .map(|name| {
                Finding::new(
                    codes::LOCK_TIMEOUT_MISSING,
                    format!("in {name}, a migration waits for a lock without a timeout"),
                )
                .at(place.clone())
                .help("remove `lock_timeout = \"0s\"`, or set a time")
            })
            .collect()
    }

    /// Applies `[lint]` and the head of the file to a finding.
    fn weigh(&self, finding: Finding, script: Option<&Script>, direction: Direction) -> Option<Finding> {
        let weight = match self.ground.context.config.lint.rules.get(finding.code.as_str()) {
            Some(weight) => weight.0?,
            None => finding.severity,
        };
        let allowed =
            script.and_then(|script| script.directives().allow.iter().find(|(rule, _)| finding.code == rule.as_str()));
        let weight = if direction == Direction::Down { weight.min(Severity::Warning) } else { weight };
        match allowed {
            Some((_, reason)) => Some(finding.with_severity(Severity::Note).note(format!("allowed: {reason}"))),
            None => {
                let allow = format!(
                    "if it is safe here, put `-- migrate: allow {} REASON` at the head of the file",
                    finding.code
                );
                Some(finding.with_severity(weight).help(allow))
            }
        }
    }
}

fn too_strong(lock: &migrate_test::observe::Lock) -> Finding {
    let message = format!("this takes {} on {}, which blocks {}", lock.mode, plain(&lock.relation), lock.mode.blocks());
    let held = match lock.statements {
        0 => "it is held until the statement ends".to_owned(),
        n => format!("it is held during the {} after it", style::count(n, "statement")),
    };
    Finding::new(codes::LOCK_TOO_STRONG, message).note(held).note("[policy] allows only weaker locks on a table in use")
}

fn invalid(index: &QualifiedName) -> Finding {
    Finding::new(codes::INDEX_INVALID, format!("this leaves {} invalid", plain(index)))
        .note("no query uses it, but every write to the table has to maintain it")
        .help("drop it, fix what made its build fail, and build it again")
}

fn place(script: Option<&Script>, migration: &Migration, statement: &StatementObservation) -> Place {
    match script {
        Some(script) => Place::within(script.path(), script.text().clone(), statement.span.clone()),
        None => Place::file(migration.path()),
    }
}

fn plain(name: &QualifiedName) -> String {
    format!("{}.{}", name.schema(), name.name())
}
