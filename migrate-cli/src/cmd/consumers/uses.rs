//! `consumers uses`: who reads and who writes a table or column.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::ident::QualifiedName;
use migrate_base::suggest;
use migrate_base::visible;
use migrate_core::{CodeMigrations, Migration};
use migrate_review::consumer::{Consumer, QueryDependencies};
use migrate_schema::{Id, Kind, Object, Schema};
use migrate_test::consume::{self, DependentObject};
use serde::Serialize;

use crate::checks::consumers;
use crate::cli::ConsumersUsesArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::style::{self, BOLD, DIM, WARN};
use crate::output::{DocumentJson, TextTable};
use crate::shadow;

/// The table or column in question.
struct UsesSubject {
    table: QualifiedName,
    column: Option<String>,
}

#[derive(Serialize)]
struct UsesJson {
    name: String,
    uses: Vec<UseJson>,
    unread: Vec<UnreadQueryJson>,
}

#[derive(Serialize)]
struct UseJson {
    consumer: String,
    query: String,
    file: String,
    line: usize,
    reads: bool,
    writes: bool,
    through: Vec<String>,
}

#[derive(Serialize)]
struct UnreadQueryJson {
    consumer: String,
    query: String,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &ConsumersUsesArgs) -> Result<Exit> {
    let set = context.chain()?;
    let consumers = consumers::here(context).consumers;
    shadow::server(context, true, false).await?;
    let described = shadow::migrations(&set, &code, None).await?;
    let schema = &described.schema;
    let subject = UsesSubject::find(schema, &options.name)?;
    let queries = consumers.iter().flat_map(|one| &one.queries).map(|query| query.text.clone());
    let texts: Vec<Arc<str>> = queries.collect::<BTreeSet<_>>().into_iter().collect();
    let chain: Vec<Arc<Migration>> = set.up_to(None);
    let found = consume::uses(&chain, &code, &texts, &subject.table, subject.column.as_deref()).await?;
    let reach: BTreeMap<&Arc<str>, Option<&QueryDependencies>> =
        texts.iter().zip(found.reach.iter().map(Option::as_ref)).collect();
    let (mut uses, mut unread) = (Vec::new(), Vec::new());
    for consumer in &consumers {
        uses.extend(subject.declared(consumer));
        for query in &consumer.queries {
            let name = (consumer.name.clone(), query.name.clone());
            match reach.get(&query.text).copied().flatten() {
                Some(reach) => uses.extend(subject.used(reach, &found.standing).map(|(reads, writes, through)| {
                    let (place, (consumer, query)) = (query.place(), name);
                    let line = place.line_column().map_or(1, |(line, _)| line);
                    let file = place.path().display().to_string();
                    UseJson { consumer, query, file, line, reads, writes, through }
                })),
                None => unread.push(UnreadQueryJson { consumer: name.0, query: name.1 }),
            }
        }
    }
    show(context, &subject, uses, unread);
    Ok(Exit::Done)
}

fn show(context: &Context<'_>, subject: &UsesSubject, uses: Vec<UseJson>, unread: Vec<UnreadQueryJson>) {
    let (output, plain, name) = (context.output, style::PLAIN, subject.to_string());
    let mut table = TextTable::default();
    for one in &uses {
        let does = match (one.reads, one.writes) {
            (true, true) => (WARN, "reads, writes"),
            (false, true) => (WARN, "writes"),
            _ => (plain, "reads"),
        };
        let through =
            if one.through.is_empty() { String::new() } else { format!("through {}", one.through.join(", ")) };
        let place = format!("{}:{}", one.file, one.line);
        table.row([
            (BOLD, one.consumer.clone()),
            (does.0, does.1.to_owned()),
            (plain, one.query.clone()),
            (DIM, place),
            (plain, through),
        ]);
    }
    output.lines(&table.lines());
    if uses.is_empty() {
        output.line(format!("no consumer uses {name}"));
    }
    if !unread.is_empty() {
        output.line(match unread.len() {
            1 => "not checked: 1 query, which cannot be prepared on this schema or is not a query".to_owned(),
            n => format!("not checked: {n} queries, which cannot be prepared on this schema or are not queries"),
        });
        output.next("`cargo xtask consumers check` shows why");
    }
    output.document(&DocumentJson::new("consumers uses", &context.name, UsesJson { name, uses, unread }));
}

impl UsesSubject {
    /// Resolves a name in a schema.
    fn find(schema: &Schema, name: &str) -> Result<Self> {
        let parts: Vec<String> = parts(name);
        let tables: Vec<&Arc<Object>> = schema.objects().filter(|one| is_table(one.id.kind)).collect();
        let named = |of: Option<&str>, table: &str| {
            let all = tables.iter().filter(|one| *one.id.name == *table && of.is_none_or(|of| *one.id.schema == *of));
            all.min_by_key(|one| *one.id.schema != *"public").map(|one| &one.id)
        };
        let meant = match &parts[..] {
            [table] => named(None, table).map(|id| (id, None)),
            [first, second] => match named(None, first) {
                Some(id) => Some((id, Some(second))),
                None => named(Some(first), second).map(|id| (id, None)),
            },
            [of, table, column] => named(Some(of), table).map(|id| (id, Some(column))),
            _ => None,
        };
        let Some((id, column)) = meant else { return Err(unknown(name, tables.iter().map(|one| &*one.id.name))) };
        let columns = || schema.children(id, Kind::Column).map(|one| &*one.id.name);
        if let Some(column) = column.filter(|column| !columns().any(|one| *one == ***column)) {
            return Err(unknown_column(id, column, columns()));
        }
        Ok(Self { table: QualifiedName::new(&*id.schema, &*id.name), column: column.cloned() })
    }

    /// Whether a query reads or writes it, and through which views and functions.
    fn used(&self, reach: &QueryDependencies, standing: &[DependentObject]) -> Option<(bool, bool, Vec<String>)> {
        let (mut reads, mut writes, mut through) = (false, false, Vec::new());
        for touch in &reach.tables {
            let has = |set: &BTreeSet<String>| self.column.as_ref().is_none_or(|column| set.contains(column));
            let takes = |right: &str| touch.rights.contains(&right);
            if touch.table == self.table {
                reads |= takes("SELECT") && has(&touch.reads);
                writes |=
                    takes("INSERT") && has(&touch.inserts) || takes("UPDATE") && has(&touch.updates) || takes("DELETE");
            }
            if let Some(view) = standing.iter().find(|one| one.kind.ends_with("view") && one.name == touch.table) {
                reads |= takes("SELECT");
                writes |= touch.writes();
                through.push(view.to_string());
            }
        }
        let called = |one: &&DependentObject| {
            !one.kind.ends_with("view") && reach.routines.iter().any(|(name, ..)| *name == *one.name.name())
        };
        for routine in standing.iter().filter(called) {
            // What a function does with it is known only from its body.
            reads = true;
            through.push(routine.to_string());
        }
        (reads || writes).then_some((reads, writes, through))
    }

    /// The uses that a consumer declares, because its queries are not available.
    fn declared(&self, consumer: &Consumer) -> Vec<UseJson> {
        let meant = consumer.uses.iter().filter(|one| {
            one.table == self.table && (self.column.is_none() || one.column.is_none() || one.column == self.column)
        });
        let json = |one: &migrate_review::consumer::DeclaredUse| UseJson {
            consumer: consumer.name.clone(),
            query: "declared".to_owned(),
            file: one.place.path().display().to_string(),
            line: one.place.line_column().map_or(1, |(line, _)| line),
            reads: !one.writes,
            writes: one.writes,
            through: Vec::new(),
        };
        meant.map(json).collect()
    }
}

impl std::fmt::Display for UsesSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.table.schema(), self.table.name())?;
        self.column.as_ref().map_or(Ok(()), |column| write!(f, ".{column}"))
    }
}

fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView)
}

/// The parts of a name, quoted or not.
fn parts(name: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = name.trim();
    while let Some((part, more)) = migrate_base::ident::first_name(rest) {
        parts.push(part);
        let Some(more) = more.strip_prefix('.') else { return if more.is_empty() { parts } else { Vec::new() } };
        rest = more;
    }
    Vec::new()
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let failure = Failure::usage(
        codes::NO_SUCH_TABLE,
        format!("the migrations create no table or view `{}`", visible::line(name)),
    );
    let first = name.split('.').next().unwrap_or(name);
    match suggest::nearest(first, known) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help("write table, table.column, schema.table or schema.table.column"),
    }
}

fn unknown_column<'a>(table: &Id, column: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let failure = Failure::usage(codes::NO_SUCH_COLUMN, format!("{} has no column `{column}`", table.name));
    match suggest::nearest(column, known) {
        Some(near) => failure.help(format!("did you mean `{}.{near}`?", table.name)),
        None => failure,
    }
}
