//! `squash`: replace the oldest migrations of the chain with one proven baseline.

use migrate_base::codes;
use std::fs;
use std::path::{Path, PathBuf};

use migrate_core::source::MigrationBody;
use migrate_core::{CodeMigrations, Database, Layout, MigrationSet, Version};
use migrate_test::shape::{self, ShadowDatabase};
use serde::Serialize;

use super::{baseline, replace};
use crate::cli::SquashArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files;
use crate::output::DocumentJson;
use crate::output::style::{self, BAD, BOLD, GOOD, WARN, paint};
use crate::shadow;
use crate::shared_json::{LeftOutJson, left_out_json};

#[derive(Serialize)]
struct SquashJson {
    version: String,
    proven: bool,
    squashed: usize,
    rows: usize,
    created: Vec<PathBuf>,
    removed: Vec<PathBuf>,
    left_out: Vec<LeftOutJson>,
    remaining: Vec<String>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &SquashArgs) -> Result<Exit> {
    if context.layout != Layout::default() {
        return Err(Failure::usage(
            codes::LAYOUT,
            "migrations can be squashed only in folders with the roundtrip layout",
        ));
    }
    let set = context.chain()?;
    let prefix = MigrationSet::iter(&set).filter(|one| *one.version() <= options.to).cloned().collect::<Vec<_>>();
    let first = refuse(&set, &options.to)?;
    let old = files_upto(&context.migrations, &options.to);
    replace::refuse_uncommitted(&context.migrations, &old)?;
    shadow::server(context, true, false).await?;
    let database = migrate_test::migrated(&prefix, &code, true).await?;
    let there = Database::from(database.options());
    let mut source = ShadowDatabase::on(database, code).await?;
    let described = source.describe().await?;
    let tables = shape::tables_with_rows(source.rehearsal(), &described).await?;
    let data = shape::table_data(there, &described, &tables).await?;
    source.end().await?;
    let baseline = shape::baseline_with(described, &data).await?;
    let proven = baseline.is_proven() && baseline.left_behind.is_empty();
    let of = format!("the migrations up to {}", options.to);
    let (up, down) = baseline::texts(&of, "squash", Some(&first), &baseline, &data);
    let mut document = SquashJson {
        version: options.to.to_string(),
        proven,
        squashed: prefix.len(),
        rows: data.iter().map(|table| table.rows).sum(),
        created: Vec::new(),
        removed: Vec::new(),
        left_out: baseline.left_out.iter().map(left_out_json).collect(),
        remaining: baseline.remaining.iter().chain(&baseline.left_behind).cloned().collect(),
    };
    let name = files::snake_case(&options.name)?;
    let pair = files::pair(&options.to, &name, up, down);
    if proven && !options.dry_run {
        document.created = replace::replace(&context.migrations, &pair, &old)?;
        document.removed.clone_from(&old);
    }
    for one in &baseline.left_out {
        context.output.line(format!("  {}", baseline::left_out_line(one)));
    }
    tell(context, &document, (options.dry_run, old.len()));
    context.output.document(&DocumentJson::new("squash", &context.name, document));
    Ok(if proven { Exit::Done } else { Exit::Found })
}

/// The first version, or an error if something cannot be squashed.
fn refuse(set: &MigrationSet, to: &Version) -> Result<Version> {
    if set.get(to).is_none() {
        return Err(Failure::usage(codes::NO_MIGRATION, format!("there is no migration {to}"))
            .help("`cargo xtask status` lists the migrations"));
    }
    let mut prefix = set.iter().filter(|one| one.version() <= to);
    if let Some(code) = prefix.clone().find(|one| matches!(one.body(), MigrationBody::Code { .. })) {
        let message = format!(
            "migration {} is written in Rust, and a database that has it needs it to roll back",
            code.version()
        );
        return Err(Failure::usage(codes::SQUASH_CODE, message).help("squash up to the migration before it"));
    }
    match (prefix.next(), prefix.next()) {
        (Some(first), Some(_)) => Ok(first.squashes().unwrap_or(first.version()).clone()),
        _ => Err(Failure::usage(codes::SQUASH_ONE, format!("there is no migration before {to} to squash"))),
    }
}

fn files_upto(folder: &Path, to: &Version) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_old = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.split('_').next().and_then(|digits| digits.parse::<Version>().ok()).is_some_and(|version| version <= *to)
    };
    let mut old: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_old).collect();
    old.sort();
    old
}

/// `files` is how many old files there are, which a dry run leaves alone.
fn tell(context: &Context<'_>, document: &SquashJson, (dry_run, files): (bool, usize)) {
    let output = context.output;
    for line in &document.remaining {
        output.line(format!("  {} {line}", paint(BAD, "different:")));
    }
    let (migrations, rows) = (style::count(document.squashed, "migration"), style::count(document.rows, "row"));
    if !document.proven {
        output.line(format!("\n{}: nothing was written", paint(BAD, format!("{migrations} cannot be squashed"))));
        output.next("squash up to an earlier version");
        return;
    }
    let proven = match document.left_out.len() {
        0 => paint(GOOD, "proven"),
        n => paint(WARN, format!("proven except for {n} left out, which a new database does not get:")),
    };
    output.line(format!("  {proven} {migrations} as one baseline, with {rows}"));
    for path in &document.created {
        output.line(format!("  {}  {}", paint(GOOD, "created"), paint(BOLD, path.display())));
    }
    let removed = if dry_run { "would remove" } else { "removed" };
    output.line(format!("  {}  {}", paint(BAD, removed), style::count(files, "file")));
    output.next(match dry_run {
        true => "run it without --dry-run to replace the files",
        false => {
            "review `git diff --stat`; `cargo xtask status --env NAME` shows that an environment with all of them is \
             unchanged"
        }
    });
}
