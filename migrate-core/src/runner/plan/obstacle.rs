//! The findings for everything that can prevent the files and the ledger from reaching a target.

use std::path::Path;

use migrate_base::codes;
use migrate_base::db::LockHolder;
use migrate_base::finding::{Finding, Place, Severity};
use migrate_base::hint;

use super::state::{AppliedMigration, LedgerState, UnfinishedMigration};
use super::{DownFrom, newer, others};
use crate::ledger::Direction;
use crate::source::{Migration, MigrationSet, Script, Version};

/// The message for an edited migration, wherever it is noticed.
pub const MODIFIED: &str = "Migration file was modified after being applied. Create a new migration instead.";

/// Compares the applied migrations with the files; returns the problems that stop a run, and the warnings.
pub(in crate::runner) fn compare(
    set: &MigrationSet,
    state: &LedgerState,
    allow_newer: bool,
) -> (Vec<Finding>, Vec<Finding>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    problems.extend(others::problems(set, state));
    problems.extend(half_squashed(set, state));
    warnings.extend(state.repeated_without_file(set).map(repeatable_missing));
    let mut newer = Vec::new();
    for applied in state.applied().filter(|applied| squashed(set, state, applied).is_none()) {
        match set.get(&applied.version) {
            None if is_newer(set, &applied.version) => newer.push(applied),
            None => problems.push(missing(set, applied)),
            Some(migration) => {
                problems.extend(modified_up(migration, state, applied));
                problems.extend(renamed(migration, applied));
                warnings.extend(modified_down(migration, applied));
            }
        }
    }
    match newer.is_empty() {
        true => {}
        false if allow_newer => warnings.push(newer::accepted(set, &newer)),
        false => problems.push(newer::refused(set, state, &newer)),
    }
    (problems, warnings)
}

/// The warning for a repeatable migration that ran here and has no file any more.
fn repeatable_missing(last: &AppliedMigration) -> Finding {
    Finding::new(codes::MISSING_FILE, format!("the file of repeatable migration {} is missing", last.version))
        .with_severity(Severity::Warning)
        .note(format!("it ran at {} by {}, and what it made stays", last.at, last.by))
        .help("if it was removed on purpose, drop what it made in a new migration: `DROP … IF EXISTS`")
}

/// Whether a version is newer than everything in the folder.
pub(in crate::runner) fn is_newer(set: &MigrationSet, version: &Version) -> bool {
    set.last().is_some_and(|last| version > last.version())
}

/// The migration that replaces an applied one which was applied before the squash was written.
pub(in crate::runner) fn squashed<'a>(
    set: &'a MigrationSet,
    state: &LedgerState,
    applied: &AppliedMigration,
) -> Option<&'a Migration> {
    let covers = |one: &&Migration| {
        one.squashes().is_some_and(|first| *first <= applied.version && applied.version <= *one.version())
    };
    let one = set.squashes().find(covers)?;
    let came_before = match applied.version == *one.version() {
        false => true,
        // It has the version of the last migration that it replaces, and may be applied itself.
        true => {
            applied.up_checksum.as_ref().is_some_and(|recorded| recorded != one.up_checksum())
                && state
                    .applied()
                    .any(|other| other.version < applied.version && Some(&other.version) >= one.squashes())
        }
    };
    came_before.then_some(one)
}

/// A database that has some, but not all, of the squashed migrations.
fn half_squashed(set: &MigrationSet, state: &LedgerState) -> Option<Finding> {
    let has = |version: &Version| state.get(version).is_some();
    let half = |one: &&Migration| {
        !has(one.version()) && state.applied().any(|a| Some(&a.version) >= one.squashes() && a.version < *one.version())
    };
    let one = set.squashes().find(half)?;
    let newest = state.version().map_or(String::new(), |version| format!("; it is at {version}"));
    Some(
        Finding::new(
            codes::HALF_SQUASHED,
            format!("this database has only some of the migrations that {} replaces{newest}", one.version()),
        )
        .at(Place::file(one.path()))
        .help(format!(
            "migrate it to {} with a checkout from before the squash, then use this one again",
            one.version()
        ))
        .help(format!("`git log --diff-filter=D -- {}` finds the commit", shell(set.folder()))),
    )
}

pub(in crate::runner) fn applied_then(applied: &AppliedMigration) -> String {
    let what = if applied.was_never_run() { "recorded as applied" } else { "applied" };
    format!("it was {what} at {} by {}", applied.at, applied.by)
}

/// A path as an argument of a command.
fn shell(path: &Path) -> String {
    hint::quote(&path.display().to_string())
}

fn modified_up(migration: &Migration, state: &LedgerState, applied: &AppliedMigration) -> Option<Finding> {
    let recorded = applied.up_checksum.as_ref()?;
    (recorded != migration.up_checksum()).then(|| {
        Finding::new(codes::MODIFIED, MODIFIED)
            .at(Place::file(migration.path()))
            .note(applied_then(applied))
            .note(format!("recorded {recorded}, now {}", migration.up_checksum()))
            .help(format!(
                "put the file back as it was (`git log -- {}` shows its versions) and write a new migration",
                shell(migration.path())
            ))
            .help(format!(
                "or, if the data may change again: restore the file, run `cargo xtask rollback {}`, edit the file, \
                 and migrate",
                state.before(&applied.version).map_or("--all".to_owned(), |before| format!("--to {before}"))
            ))
    })
}

fn modified_down(migration: &Migration, applied: &AppliedMigration) -> Option<Finding> {
    let recorded = applied.down_checksum.as_ref()?;
    let down = migration.down_script()?;
    (recorded != down.checksum()).then(|| {
        Finding::new(codes::MODIFIED_DOWN, "the down script was modified after its migration was applied")
            .at(Place::file(down.path()))
            .note(applied_then(applied))
            .note("the ledger has the down script as it was then; a rollback runs that one")
            .help("roll back with `--down-from files` to run the edited script")
    })
}

fn renamed(migration: &Migration, applied: &AppliedMigration) -> Option<Finding> {
    (migration.name() != applied.name).then(|| {
        Finding::new(
            codes::RENAMED,
            format!("migration {} has a different name than when it was applied", applied.version),
        )
        .at(Place::file(migration.path()))
        .note(format!("it was applied as {} at {} by {}", applied.name, applied.at, applied.by))
        .help("give the file its old name back; two branches may have used the same version")
    })
}

fn missing(set: &MigrationSet, applied: &AppliedMigration) -> Finding {
    let file = set.folder().join(format!("{}_{}.up.sql", applied.version, applied.name));
    let commits = format!("`git log --diff-filter=D -- {}` finds its commit", shell(&file));
    Finding::new(
        codes::MISSING_FILE,
        format!("the file of applied migration {}_{} is missing", applied.version, applied.name),
    )
    .at(Place::file(file))
    .note(applied_then(applied))
    .help(format!("was the file removed, or is it on another branch? then restore it: {commits}"))
    .help(newer::OTHER_SERVICE)
}

pub(in crate::runner) fn out_of_order(
    set: &MigrationSet,
    state: &LedgerState,
    migration: &Migration,
    newest: &Version,
) -> Finding {
    let newest_file = set.get(newest).map_or_else(
        || state.get(newest).map_or(newest.to_string(), |applied| format!("{newest}_{}", applied.name)),
        |migration| migration.path().display().to_string(),
    );
    Finding::new(codes::OUT_OF_ORDER, format!("migration {} is older than an applied migration", migration.version()))
        .at(Place::file(migration.path()))
        .note(format!("already applied: {newest_file}"))
        .help("if no database has applied it yet, `cargo xtask rebase` gives it a newer version")
        .help("or apply it anyway with --allow-out-of-order")
}

/// A migration that started but did not finish: it is still running, or it was interrupted.
pub(in crate::runner) fn unfinished(set: &MigrationSet, unfinished: &UnfinishedMigration) -> Finding {
    let UnfinishedMigration { version, name, direction, done, at, by, .. } = unfinished;
    if let Some(holder) = &unfinished.running {
        return running(set, unfinished, holder);
    }
    let finding =
        Finding::new(codes::UNFINISHED, format!("migration {version}_{name} started but did not finish ({direction})"))
            .note(format!("started at {at} by {by}; {done} of its statements are done"));
    let finding = match &unfinished.failed {
        Some((statement, why)) => finding.note(format!("statement {statement} failed: {why}")),
        None => finding.note("none of its statements failed: it was interrupted, or cannot continue by itself"),
    };
    let finding = match set.get(version) {
        Some(migration) => finding.at(Place::file(migration.path())),
        None => finding,
    };
    finding.help(format!("`cargo xtask resolve {version}` shows what the database contains and what you can do"))
}

/// A migration without a transaction that is running now.
pub(in crate::runner) fn running(set: &MigrationSet, unfinished: &UnfinishedMigration, holder: &LockHolder) -> Finding {
    let UnfinishedMigration { version, name, direction, done, at, by, .. } = unfinished;
    let all = set.get(version).and_then(|migration| match direction {
        Direction::Up => migration.up_script(),
        Direction::Down => migration.down_script(),
    });
    let of = all.map_or(String::new(), |script| format!(" of {}", script.statements().len()));
    let which = match all {
        Some(script) if *done >= script.statements().len() => "its end".to_owned(),
        _ => format!("statement {}{of}", done + 1),
    };
    let query = holder.query.as_ref().map(|query| format!(": {query}")).unwrap_or_default();
    Finding::new(codes::RUNNING, format!("migration {version}_{name} is running now ({direction})"))
        .at(set.get(version).map(|migration| Place::file(migration.path())))
        .note(format!("{holder} has been running it for {by} since {at}, now at {which}{query}"))
        .help("wait until it has finished; `cargo xtask status` shows when it has")
        .help(format!(
            "to stop it: SELECT pg_cancel_backend({}); `cargo xtask status` then says what is left to do",
            holder.pid
        ))
}

pub(in crate::runner) fn two_downs(file: &Script, applied: &AppliedMigration, from: DownFrom) -> Finding {
    let (taken, other) = match from {
        DownFrom::Ledger => ("the one in the ledger", "give `--down-from files` to run the one in the file"),
        DownFrom::Files => ("the one in the file", "leave out `--down-from files` to run the one in the ledger"),
    };
    Finding::new(
        codes::MODIFIED_DOWN,
        format!("the down script of {} was modified after the migration was applied", applied.version),
    )
    .at(Place::file(file.path()))
    .note(format!("this rollback runs {taken}"))
    .help(other)
}

pub(in crate::runner) fn no_way_down(migration: Option<&Migration>, applied: &AppliedMigration) -> Finding {
    let AppliedMigration { version, name, .. } = applied;
    match migration.and_then(|migration| Some((migration, migration.irreversible()?))) {
        Some((migration, reason)) => {
            Finding::new(codes::IRREVERSIBLE, format!("migration {version}_{name} cannot be rolled back"))
                .at(Place::file(migration.path()))
                .note(match migration.is_up_only() {
                    true => reason.to_owned(),
                    false => format!("it is declared irreversible: {reason}"),
                })
                .help("write a new migration that fixes what is wrong")
        }
        None => Finding::new(codes::NO_DOWN, format!("migration {version}_{name} has no down script"))
            .note(applied_then(applied))
            .note("neither the folder nor the ledger has one")
            .help("check out the commit that has its files"),
    }
}

pub(in crate::runner) fn no_such_version(set: &MigrationSet, version: &Version) -> Finding {
    let finding = Finding::new(codes::NO_SUCH_VERSION, format!("there is no migration {version}"));
    match nearest(version, set.iter().map(|migration| migration.version())) {
        Some(near) => finding.help(format!("did you mean {near}?")),
        None => finding.help("`cargo xtask status` lists the versions"),
    }
}

pub(in crate::runner) fn not_applied(state: &LedgerState, version: &Version) -> Finding {
    let finding =
        Finding::new(codes::NOT_APPLIED, format!("migration {version} is not applied, so you cannot roll back to it"));
    match nearest(version, state.applied().map(|applied| &applied.version)) {
        Some(near) => finding.help(format!("did you mean {near}?")),
        None => finding.help("`cargo xtask status` lists what is applied"),
    }
}

/// The folder has no migrations.
pub(in crate::runner) fn no_migrations(set: &MigrationSet, state: &LedgerState) -> Finding {
    let finding = set.why_empty();
    match state.applied().count() {
        0 => finding,
        count => finding.note(format!("applied migrations in the ledger: {count}")),
    }
}

/// The target version of `migrate` is older than the database.
pub(in crate::runner) fn beyond_target(beyond: &AppliedMigration, version: &Version) -> Finding {
    Finding::new(
        codes::BEYOND_TARGET,
        format!("the database is at {}, newer than {version}; nothing was run", beyond.version),
    )
    .note("`migrate --to` only applies migrations; it never rolls back")
    .help(format!("`cargo xtask rollback --to {version}` rolls back to it"))
}

/// A number of migrations to roll back includes one that was never run; `above` are rolled back before it.
pub(in crate::runner) fn never_run(state: &LedgerState, applied: &AppliedMigration, above: usize) -> Finding {
    let AppliedMigration { version, name, .. } = applied;
    let finding = Finding::new(
        codes::NEVER_RUN,
        format!("migration {version}_{name} was never run here: a baseline recorded it as applied"),
    )
    .note(applied_then(applied))
    .note("its down script would remove what existed before the ledger, with all its data; nothing was run");
    let finding = match above {
        0 => finding,
        above => finding.help(format!("`cargo xtask rollback -n {above}` rolls back what was run after it")),
    };
    finding.help(match state.before(version) {
        Some(before) => format!("to roll it back anyway, say how far: `cargo xtask rollback --to {before}`"),
        None => "to roll it back anyway: `cargo xtask rollback --all`".to_owned(),
    })
}

/// The same, when it is included by a version or by `--all`.
pub(in crate::runner) fn undoes_never_run(applied: &AppliedMigration) -> Finding {
    let AppliedMigration { version, name, .. } = applied;
    Finding::new(codes::NEVER_RUN, format!("migration {version}_{name} was never run here, but is rolled back"))
        .with_severity(Severity::Warning)
        .note(applied_then(applied))
        .note("its down script removes what existed before the ledger, with all its data")
}

fn nearest<'a>(version: &Version, known: impl Iterator<Item = &'a Version>) -> Option<&'a str> {
    migrate_base::suggest::nearest(version.as_str(), known.map(Version::as_str))
}

/// A migration in another language that this executable cannot run.
pub(in crate::runner) fn no_code(set: &MigrationSet, version: &Version) -> Finding {
    let migration = set.get(version);
    let language = migration.and_then(|one| one.language()).unwrap_or(Migration::RUST);
    let finding = match language {
        Migration::RUST => Finding::new(
            codes::NO_CODE,
            format!("migration {version} is written in Rust, and this executable does not contain it"),
        )
        .help("build the executable from this checkout, and register the migration (docs/FORMATS.md, Rust migrations)"),
        _ => of_another_tool(version, language),
    };
    finding.at(migration.map(|migration| Place::file(migration.path())))
}

fn of_another_tool(version: &Version, language: &str) -> Finding {
    Finding::new(codes::NO_CODE, format!("migration {version} is written in {language}, and the chain stops there"))
        .help("run the chain with the tool that it was written for, then take it over: `cargo xtask adopt`")
        .help("or write it in Rust, and register it with this version (docs/FORMATS.md, Rust migrations)")
        .help("or leave it out on purpose: `skip` in migrate.toml")
}

pub(in crate::runner) fn stale() -> Finding {
    Finding::new(codes::STALE_PLAN, "the ledger changed after the plan was made; nothing was run")
        .note("somebody else ran migrations in the meantime")
        .help("check with `cargo xtask status`, then run the command again")
}

/// The finding when there is nothing to resolve.
pub(in crate::runner) fn nothing_unfinished() -> Finding {
    Finding::new(codes::NOTHING_UNFINISHED, "no migration is unfinished; there is nothing to resolve")
        .help("`cargo xtask status` shows what is applied and pending")
}
