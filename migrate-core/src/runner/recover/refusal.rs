//! Adds what a run knows beyond the server's error: the role, and timeouts that conflict.

use migrate_base::db::Database;
use migrate_base::error::Error;
use migrate_base::ident::plain;

use crate::runner::options::Options;
use crate::runner::plan::{Plan, PlanStep, StepWork};

/// Adds facts from the options and the database to an error of a run.
pub(in crate::runner) fn told(error: Error, plan: &Plan, options: &Options, database: &Database) -> Error {
    match error.sqlstate() {
        Some("42501") => right(error, database),
        Some("57014") => timeout(error, plan, options),
        _ => error,
    }
}

/// A privilege is missing: adds which role lacks it, and how to grant it if the message names the object.
fn right(error: Error, database: &Database) -> Error {
    let role = database.user().to_owned();
    let message = error.findings().first().map_or(String::new(), |finding| finding.message.clone());
    let error = error.note(format!("it was run as the role {role}"));
    let Some((kind, name)) = message.strip_prefix("permission denied for ").and_then(|rest| rest.split_once(' '))
    else {
        return error;
    };
    let rights = match kind {
        "schema" => "USAGE, CREATE",
        "table" | "view" => "SELECT, INSERT, UPDATE, DELETE",
        "sequence" => "USAGE",
        "function" | "procedure" => "EXECUTE",
        "database" => "CREATE",
        "language" | "type" => "USAGE",
        _ => return error,
    };
    let kind = if kind == "view" { "TABLE".to_owned() } else { kind.to_uppercase() };
    error.help(format!(
        "or let the owner grant the role the rights it needs, some of these: GRANT {rights} ON {kind} {} TO {};",
        plain(name),
        plain(&role)
    ))
}

/// A statement timeout that ends the wait for a lock before the lock timeout can.
fn timeout(error: Error, plan: &Plan, options: &Options) -> Error {
    let path = error.findings().first().and_then(|finding| Some(finding.place.as_ref()?.path().to_owned()));
    let script = |step: &PlanStep| match &step.work {
        StepWork::Sql(script) => Some(script.clone()).filter(|script| Some(script.path()) == path.as_deref()),
        StepWork::Code => None,
    };
    let directives = plan.steps().iter().find_map(script).map(|script| script.directives().clone());
    let of = directives.map_or((None, None), |one| (one.statement_timeout, one.lock_timeout));
    let (statement, lock) = (of.0.unwrap_or(options.statement_timeout), of.1.unwrap_or(options.lock_timeout));
    let waited = error.findings().iter().flat_map(|finding| &finding.notes).any(|note| note.starts_with("blocked by"));
    let error = if waited { error.note("it was waiting for a lock when its timeout expired") } else { error };
    if statement.is_zero() || (!lock.is_zero() && statement > lock) {
        return error;
    }
    let limit = if lock.is_zero() { "which is off".to_owned() } else { format!("which is {} ms", lock.as_millis()) };
    error
        .note(format!(
            "the statement timeout of {} ms is not longer than the lock timeout, {limit}: it expires first while the \
             statement waits for a lock",
            statement.as_millis()
        ))
        .help(
            "give it a statement timeout that is longer than its lock timeout: a wait for a lock is then reported as \
             such and retried",
        )
}
