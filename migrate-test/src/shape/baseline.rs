//! A database that exists as the first migration.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::ident::{literal, plain};
use migrate_core::schema::ddl::{Ddl, Statement, Style, between, roles};
use migrate_core::schema::{Described, Id};

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
    /// What the down leaves behind.
    pub left_behind: Vec<String>,
    /// How many objects it has.
    pub objects: usize,
}

/// Objects that cannot be captured, with the reason.
#[derive(Debug)]
pub struct LeftOut {
    /// What cannot be made.
    pub object: Arc<Id>,
    /// Why not.
    pub why: String,
    /// What stands on it, and is left out with it.
    pub with: Vec<Arc<Id>>,
}

/// How many times something is left out before it is given up.
const TRIES: usize = 200;

/// Makes a baseline of a schema: captures it, runs it up, compares, runs it down, compares, and runs it up again.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or what was made cannot be removed again.
pub async fn baseline(source: Described) -> Result<Baseline, ProofError> {
    baseline_with(source, &[]).await
}

/// The same with the rows of some tables.
///
/// # Errors
///
/// Those of [`baseline`], and what the server says of rows that do not fit without others.
pub async fn baseline_with(source: Described, data: &[TableData]) -> Result<Baseline, ProofError> {
    for_roles(&[&source.schema.clone()], captured(source, data)).await
}

async fn captured(mut source: Described, data: &[TableData]) -> Result<Baseline, ProofError> {
    let mut left_out = Vec::new();
    let roles = roles(&source.schema);
    for _ in 0..TRIES {
        let mut shadow = Shadow::blank().await?;
        shadow.rehearsal().query(&role_guard(&roles)).await?;
        let nothing = shadow.describe().await?;
        Start::placed(&mut source, &nothing);
        let mut up = between(&nothing, &source, Style::Whole);
        put(&mut up, data);
        if let Some(gap) = up.uncovered.first().cloned() {
            leave_out(&mut source, &gap.object, gap.why, &mut left_out);
            shadow.end().await?;
            continue;
        }
        if let Err((statement, error)) = shadow.run(&up).await {
            shadow.end().await?;
            let Some(id) = statement.object.as_ref().filter(|_| data.is_empty()) else {
                return Err(error.note(format!("in: {}", statement.text.lines().next().unwrap_or_default())).into());
            };
            let why = error.findings().first().map_or_else(String::new, |finding| finding.message.clone());
            leave_out(&mut source, id, why, &mut left_out);
            continue;
        }
        return finish(shadow, &nothing, &source, up, roles, left_out).await;
    }
    let finding = migrate_core::finding::Finding::error("baseline", format!("{TRIES} objects cannot be made here"))
        .help("use a throw-away server with the same extensions: ROUNDTRIP_TEST_SERVER names it");
    Err(migrate_core::Error::new(migrate_core::ErrorKind::Statement, finding).into())
}

async fn finish(
    mut shadow: Shadow,
    nothing: &Described,
    source: &Described,
    up: Ddl,
    roles: BTreeSet<String>,
    left_out: Vec<LeftOut>,
) -> Result<Baseline, ProofError> {
    let made = shadow.describe().await?;
    let mut different = remaining(&source.schema, &made.schema);
    let down = between(&made, nothing, Style::Whole);
    shadow.run(&down).await.map_err(|(_, error)| error)?;
    let left_behind = remaining(&nothing.schema, &shadow.describe().await?.schema);
    if different.is_empty() && left_behind.is_empty() {
        shadow.run(&up).await.map_err(|(_, error)| error)?;
        different = remaining(&source.schema, &shadow.describe().await?.schema);
    }
    shadow.end().await?;
    let objects = source.schema.objects().count();
    Ok(Baseline { up, down, roles, left_out, remaining: different, left_behind, objects })
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

fn leave_out(source: &mut Described, id: &Id, why: String, left_out: &mut Vec<LeftOut>) {
    let mut with = source.leave_out(id);
    let at = with.iter().position(|other| **other == *id);
    let object = at.map_or_else(|| Arc::new(id.clone()), |at| with.remove(at));
    left_out.push(LeftOut { object, why, with });
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
    /// Whether what is captured is exactly what is there, and the down removes it.
    pub fn is_proven(&self) -> bool {
        self.remaining.is_empty() && self.left_behind.is_empty()
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
