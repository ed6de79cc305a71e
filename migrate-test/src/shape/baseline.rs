//! A database that exists as the first migration.

use std::collections::{BTreeMap, BTreeSet};

use migrate_core::finding::Finding;
use migrate_core::ident::{literal, plain};
use migrate_core::schema::ddl::{Ddl, Statement, Style, between, roles};
use migrate_core::schema::{Change, Described, Kind, Schema};
use migrate_core::{Error, ErrorKind, drift};

use super::capture::{Capture, LeftOut, failed};
use super::complete::Completion;
use super::data::TableData;
use super::start::Start;
use super::{Shadow, for_roles, remaining};
use crate::proof::ProofError;

/// The statements that make a schema, and those that remove it, proven on a throw-away database.
#[derive(Debug)]
pub struct Baseline {
    /// From an empty database to the schema.
    pub up: Ddl,
    /// And back.
    pub down: Ddl,
    /// The roles that its privileges and policies name.
    pub roles: BTreeSet<String>,
    /// What is not part of it.
    pub left_out: Vec<LeftOut>,
    /// What is different between the source and what the up makes; empty where it is proven.
    pub remaining: Vec<String>,
    /// Tables whose columns are made in another order, and owners that are left alone; never a fault.
    pub notes: Vec<String>,
    /// What the down leaves behind.
    pub left_behind: Vec<String>,
    /// How many objects it has.
    pub objects: usize,
}

/// How many times something is left out before it is given up.
const TRIES: usize = 20;
/// How many objects of an owner a note names.
const MOST_NAMED: usize = 5;

/// Makes a baseline of a schema: captures it, runs it up, compares, runs it down, compares, and runs it up again.
///
/// # Errors
///
/// [`ProofError`] when there is no server.
pub async fn baseline(source: Described) -> Result<Baseline, ProofError> {
    baseline_with(source, &[]).await
}

/// The same with the rows of some tables. What cannot be made here is left out by name, and with it what stands on it.
///
/// # Errors
///
/// Those of [`baseline`], and what the server says of rows that do not fit without others.
pub async fn baseline_with(source: Described, data: &[TableData]) -> Result<Baseline, ProofError> {
    for_roles(&roles(&source.schema), Box::pin(captured(source, data))).await
}

async fn captured(source: Described, data: &[TableData]) -> Result<Baseline, ProofError> {
    let made = made(source, data, Likeness::Same).await?;
    Box::pin(finish(made)).await
}

/// How like its source that must be which is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// In every fact: what is made otherwise is left out.
    Same,
    /// As another version of PostgreSQL makes it: words may differ.
    Translated,
}

/// A schema that was made on a throw-away database.
pub(super) struct Made {
    shadow: Shadow,
    nothing: Described,
    made: Described,
    capture: Capture,
    up: Ddl,
    roles: BTreeSet<String>,
}

impl Made {
    /// What was made, and what could not be.
    pub(super) async fn end(self) -> Result<(Described, Vec<LeftOut>), ProofError> {
        self.shadow.end().await?;
        Ok((self.made, self.capture.left_out))
    }
}

/// Makes a schema on a throw-away database, and leaves out what cannot be made there.
pub(super) async fn made(source: Described, data: &[TableData], likeness: Likeness) -> Result<Made, ProofError> {
    let roles = roles(&source.schema);
    let mut capture = Capture::of(source);
    let mut completion = Completion::default();
    for _ in 0..TRIES {
        let mut shadow = Shadow::with_roles(&roles).await?;
        capture.without_places(&mut shadow).await?;
        let nothing = shadow.describe().await?;
        Start::placed(&mut capture.source, &nothing);
        let up = match completion.found.take() {
            Some(found) => found,
            None => {
                let mut up = between(&nothing, &capture.source, Style::Whole);
                if capture.uncover(&up, nothing.schema.version()) {
                    shadow.end().await?;
                    continue;
                }
                put(&mut up, data);
                up
            }
        };
        let refused = shadow.run(&up).await.err().map(|(statement, _)| statement);
        let made = if refused.is_none() { shadow.describe().await? } else { Described::default() };
        if refused.is_none() && (likeness == Likeness::Translated || capture.is_made(&made)) {
            return Ok(Made { shadow, nothing, made, capture, up, roles });
        }
        // The rows of tables stand among the statements, and could not be put there again. What is not installed will not be.
        let is_due = data.is_empty() && refused.as_ref().is_none_or(|statement| !is_extension(statement));
        if is_due && completion.look(Shadow::with_roles(&roles), &up, &capture, Style::Whole).await? {
            shadow.end().await?;
            continue;
        }
        // An object that the server makes in addition is reported as a difference.
        if refused.is_none() && !capture.forget_differing(&capture.seen(made.clone())) {
            return Ok(Made { shadow, nothing, made, capture, up, roles });
        }
        shadow.end().await?;
        if refused.is_some() {
            let mut shadow = Shadow::with_roles(&roles).await?;
            Box::pin(capture.attempt(&mut shadow, &up)).await?;
            shadow.end().await?;
        }
    }
    let finding = Finding::error("baseline", format!("after {TRIES} attempts, some objects still cannot be created"))
        .help("use a shadow server with the same extensions: ROUNDTRIP_TEST_SERVER names it");
    Err(Error::new(ErrorKind::Statement, finding).into())
}

fn is_extension(statement: &Statement) -> bool {
    statement.object.as_ref().is_some_and(|object| object.kind == Kind::Extension)
}

async fn finish(made: Made) -> Result<Baseline, ProofError> {
    let Made { mut shadow, nothing, made, capture, up, roles } = made;
    let source = &capture.source.schema;
    let mut different = remaining(source, &capture.seen_schema(&made));
    let mut notes = Change::between(source, &made.schema).order_notes();
    notes.extend(owners(source));
    let mut down = between(&made, &nothing, Style::Whole);
    // A schema can be large, and from here on another one is read twice.
    drop(made);
    let mut left_behind = Vec::new();
    if shadow.run(&down).await.is_err() {
        // What does not go stays, and is named: the rest goes.
        shadow.end().await?;
        shadow = Shadow::with_roles(&roles).await?;
        shadow.run(&up).await.map_err(|(_, error)| error)?;
        for refused in shadow.run_each(&down).await? {
            left_behind.push(failed(&refused.statement, &refused.why));
            down.statements.retain(|one| *one != refused.statement);
        }
    }
    left_behind.extend(remaining(&nothing.schema, &shadow.describe().await?.schema));
    if different.is_empty() && left_behind.is_empty() {
        shadow.run(&up).await.map_err(|(_, error)| error)?;
        different = remaining(source, &capture.seen(shadow.describe().await?).schema);
    }
    shadow.end().await?;
    let (objects, left_out) = (source.objects().count(), capture.left_out);
    Ok(Baseline { up, down, roles, left_out, remaining: different, notes, left_behind, objects })
}

/// The owners beside the usual one, and what is theirs: all of it will belong to whoever applies the baseline.
fn owners(source: &Schema) -> Vec<String> {
    let usual = drift::usual_owner(source);
    let mut theirs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for object in source.objects() {
        // The server's own roles own what every database has.
        let owner = object.fact("owner").filter(|owner| Some(*owner) != usual && !owner.starts_with("pg_"));
        theirs.entry(owner.unwrap_or_default()).or_default().extend(owner.map(|_| object.id.to_string()));
    }
    theirs.remove("");
    let note = |(owner, mut objects): (&str, Vec<String>)| {
        let more = objects.len().saturating_sub(MOST_NAMED);
        objects.truncate(MOST_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("owners are not part of the baseline: {owner} owns {}{more}", objects.join(", "))
    };
    theirs.into_iter().map(note).collect()
}

/// Puts the rows of tables behind the statements that make the tables, before there are keys and triggers.
fn put(up: &mut Ddl, data: &[TableData]) {
    for table in data {
        let of_table = |one: &Statement| one.object.as_deref() == Some(&table.table);
        let Some(at) = up.statements.iter().rposition(of_table) else { continue };
        up.statements.splice(at + 1..at + 1, table.inserts.iter().map(Statement::of));
        up.statements.extend(table.sequences.iter().map(Statement::of));
    }
}

/// A statement that makes the roles that are missing; they may not log in.
pub fn role_guard(roles: &BTreeSet<String>) -> String {
    if roles.is_empty() {
        return String::new();
    }
    let mut text = String::from("DO $$\nBEGIN\n");
    for role in roles {
        text += &format!(
            "    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN\n        CREATE ROLE {};\n    END IF;\n",
            literal(role),
            plain(role)
        );
    }
    text + "EXCEPTION WHEN duplicate_object OR unique_violation THEN\n    NULL;\nEND\n$$;\n"
}

impl Baseline {
    /// Whether what is captured is exactly what is there, but for what is named as left out.
    pub fn is_proven(&self) -> bool {
        self.remaining.is_empty()
    }

    /// Whether nothing is left out, and the down removes all of it.
    pub fn is_whole(&self) -> bool {
        self.is_proven() && self.left_out.is_empty() && self.left_behind.is_empty()
    }

    /// How many relations it makes: each takes a lock in the transaction that makes it.
    pub fn relations(&self) -> usize {
        let makes = |one: &&Statement| {
            one.text.starts_with("CREATE TABLE")
                || one.text.contains(" INDEX ")
                || one.text.starts_with("CREATE SEQUENCE")
        };
        self.up.statements.iter().filter(makes).count()
    }
}
