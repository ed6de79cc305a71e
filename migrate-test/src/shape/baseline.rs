//! An existing database as the first migration.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_base::ident::{literal, plain};
use migrate_core::{Error, ErrorKind, drift};
use migrate_schema::ddl::{Ddl, DdlStatement, DdlStyle, between, roles};
use migrate_schema::{Kind, Schema, SchemaChange, SchemaDescription};

use super::capture::{CapturedSchema, LeftOut, failed};
use super::complete::Completion;
use super::data::TableData;
use super::start::InitialSchema;
use super::{ShadowDatabase, for_roles, remaining};
use crate::proof::ProofError;

/// The statements that create a schema, and those that remove it, proven on a shadow database.
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
    /// The differences between the source and what the up script creates; empty if it is proven.
    pub remaining: Vec<String>,
    /// Tables whose columns are created in another order, and owners that are ignored. These are not faults.
    pub notes: Vec<String>,
    /// What the down script leaves behind.
    pub left_behind: Vec<String>,
    /// How many objects it has.
    pub objects: usize,
}

/// How many times something is left out before giving up.
const TRIES: usize = 20;
/// How many objects of an owner a note names.
const MOST_NAMED: usize = 5;

/// Creates a baseline of a schema: captures it, runs the up script, compares, runs the down script, compares,
/// and runs the up script again.
///
/// # Errors
///
/// [`ProofError`] when there is no server.
pub async fn baseline(source: SchemaDescription) -> Result<Baseline, ProofError> {
    baseline_with(source, &[]).await
}

/// The same with the rows of some tables. What cannot be created here is left out by name, together with
/// everything that depends on it.
///
/// # Errors
///
/// Those of [`baseline`], and the server's message for rows that need other rows.
pub async fn baseline_with(source: SchemaDescription, data: &[TableData]) -> Result<Baseline, ProofError> {
    for_roles(&roles(&source.schema), Box::pin(captured(source, data))).await
}

async fn captured(source: SchemaDescription, data: &[TableData]) -> Result<Baseline, ProofError> {
    let made = made(source, data, Likeness::Same).await?;
    Box::pin(finish(made)).await
}

/// How similar the copy must be to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// In every fact: what is created differently is left out.
    Same,
    /// As another version of PostgreSQL creates it: its wording may differ.
    Translated,
}

/// A schema that was created on a shadow database.
pub(super) struct ShadowSchema {
    shadow: ShadowDatabase,
    nothing: SchemaDescription,
    made: SchemaDescription,
    capture: CapturedSchema,
    up: Ddl,
    roles: BTreeSet<String>,
}

impl ShadowSchema {
    /// What was created, and what could not be.
    pub(super) async fn end(self) -> Result<(SchemaDescription, Vec<LeftOut>), ProofError> {
        self.shadow.end().await?;
        Ok((self.made, self.capture.left_out))
    }
}

/// Creates a schema on a shadow database, and leaves out what cannot be created there.
pub(super) async fn made(
    source: SchemaDescription,
    data: &[TableData],
    likeness: Likeness,
) -> Result<ShadowSchema, ProofError> {
    let roles = roles(&source.schema);
    let mut capture = CapturedSchema::of(source);
    let mut completion = Completion::default();
    for _ in 0..TRIES {
        let mut shadow = ShadowDatabase::with_roles(&roles).await?;
        capture.without_places(&mut shadow).await?;
        let nothing = shadow.describe().await?;
        InitialSchema::placed(&mut capture.source, &nothing);
        let up = match completion.found.take() {
            Some(found) => found,
            None => {
                let mut up = between(&nothing, &capture.source, DdlStyle::Whole);
                if capture.uncover(&up, nothing.schema.version()) {
                    shadow.end().await?;
                    continue;
                }
                put(&mut up, data);
                up
            }
        };
        let refused = shadow.run(&up).await.err().map(|(statement, _)| statement);
        let made = if refused.is_none() { shadow.describe().await? } else { SchemaDescription::default() };
        if refused.is_none() && (likeness == Likeness::Translated || capture.is_made(&made)) {
            return Ok(ShadowSchema { shadow, nothing, made, capture, up, roles });
        }
        // The rows of tables are among the statements, and could not be inserted again. An extension that is
        // not installed cannot be created by other statements.
        let is_due = data.is_empty() && refused.as_ref().is_none_or(|statement| !is_extension(statement));
        if is_due && completion.look(ShadowDatabase::with_roles(&roles), &up, &capture, DdlStyle::Whole).await? {
            shadow.end().await?;
            continue;
        }
        // An object that the server creates in addition is reported as a difference.
        if refused.is_none() && !capture.forget_differing(&capture.seen(made.clone())) {
            return Ok(ShadowSchema { shadow, nothing, made, capture, up, roles });
        }
        shadow.end().await?;
        if refused.is_some() {
            let mut shadow = ShadowDatabase::with_roles(&roles).await?;
            Box::pin(capture.attempt(&mut shadow, &up)).await?;
            shadow.end().await?;
        }
    }
    let finding =
        Finding::new(codes::BASELINE, format!("after {TRIES} attempts, some objects still cannot be created"))
            .help("use a shadow server with the same extensions: ROUNDTRIP_TEST_SERVER names it");
    Err(Error::new(ErrorKind::Statement, finding).into())
}

fn is_extension(statement: &DdlStatement) -> bool {
    statement.object.as_ref().is_some_and(|object| object.kind == Kind::Extension)
}

async fn finish(made: ShadowSchema) -> Result<Baseline, ProofError> {
    let ShadowSchema { mut shadow, nothing, made, capture, up, roles } = made;
    let source = &capture.source.schema;
    let mut different = remaining(source, &capture.seen_schema(&made));
    let mut notes = SchemaChange::between(source, &made.schema).order_notes();
    notes.extend(owners(source));
    let mut down = between(&made, &nothing, DdlStyle::Whole);
    // A schema can be large, and from here on another one is read twice.
    drop(made);
    let mut left_behind = Vec::new();
    if shadow.run(&down).await.is_err() {
        // What cannot be removed stays, and is reported; the rest is removed.
        shadow.end().await?;
        shadow = ShadowDatabase::with_roles(&roles).await?;
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

/// The owners other than the usual one, and their objects: all of them will belong to the role that applies the
/// baseline.
fn owners(source: &Schema) -> Vec<String> {
    let usual = drift::usual_owner(source);
    let mut theirs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for object in source.objects() {
        // The server's own roles own objects that every database has.
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

/// Places the rows of tables after the statements that create the tables, before keys and triggers exist.
fn put(up: &mut Ddl, data: &[TableData]) {
    for table in data {
        let of_table = |one: &DdlStatement| one.object.as_deref() == Some(&table.table);
        let Some(at) = up.statements.iter().rposition(of_table) else { continue };
        up.statements.splice(at + 1..at + 1, table.inserts.iter().map(DdlStatement::of));
        up.statements.extend(table.sequences.iter().map(DdlStatement::of));
    }
}

/// A statement that creates missing roles; they cannot log in.
pub fn role_guard(roles: &BTreeSet<String>) -> String {
    if roles.is_empty() {
        return String::new();
    }
    let mut text = String::from("DO $$\nBEGIN\n");
    for role in roles {
        text += &format!(
            "    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN\n        \
             CREATE ROLE {};\n    END IF;\n",
            literal(role),
            plain(role)
        );
    }
    text + "EXCEPTION WHEN duplicate_object OR unique_violation THEN\n    NULL;\nEND\n$$;\n"
}

impl Baseline {
    /// Whether the capture is exact, except for what is reported as left out.
    pub fn is_proven(&self) -> bool {
        self.remaining.is_empty()
    }

    /// Whether nothing is left out, and the down script removes everything.
    pub fn is_whole(&self) -> bool {
        self.is_proven() && self.left_out.is_empty() && self.left_behind.is_empty()
    }

    /// How many relations it creates: each takes a lock in the transaction that creates it.
    pub fn relations(&self) -> usize {
        let makes = |one: &&DdlStatement| {
            one.text.starts_with("CREATE TABLE")
                || one.text.contains(" INDEX ")
                || one.text.starts_with("CREATE SEQUENCE")
        };
        self.up.statements.iter().filter(makes).count()
    }
}
