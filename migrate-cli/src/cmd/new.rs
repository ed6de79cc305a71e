//! `new`: create the files of a new migration, either empty or generated and proven.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_core::{CodeMigrations, Error, MigrationSet};
use migrate_review::draft::{ChangeDraft, DraftColumn};
use migrate_schema::Schema;
use serde::Serialize;

use super::derive;
use crate::cli::NewArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files::{self, snake_case};
use crate::form::{self, next_version};
use crate::output::DocumentJson;
use crate::output::style::{BOLD, DIM, GOOD, paint};
use crate::released::ReleasedBranch;
use crate::shadow;

#[derive(Serialize)]
struct NewJson {
    version: String,
    name: String,
    files: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drafts: Vec<DraftJson>,
}

#[derive(Serialize)]
struct DraftJson {
    file: String,
    text: String,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &NewArgs) -> Result<Exit> {
    let name = snake_case(&options.name)?;
    refuse_future(context)?;
    let output = context.output;
    let (drafts, proven) = match is_change(options) {
        true => (change(context, &code, &name, options).await?, true),
        false => (empty(context, &name, options.no_transaction)?, false),
    };
    for (file, text) in drafts.iter().filter(|_| proven) {
        output.line(paint(DIM, file));
        text.lines().for_each(|line| output.quoted(format!("  {line}")));
        output.line("");
    }
    let files = if options.dry_run { Vec::new() } else { form::write(&context.folder()?, &drafts)? };
    for path in &files {
        output.line(format!("  {}  {}", paint(GOOD, "created"), paint(BOLD, path.display())));
    }
    if !files.is_empty() && !form::has_downs(&context.folder()?)? {
        output.remark(format!("the {} files have no down scripts, so none was written", context.layout));
    }
    let version = drafts.first().and_then(|(file, _)| file.split('_').next()).unwrap_or_default().to_owned();
    output.next(match (proven, options.dry_run) {
        (_, true) => "run it without --dry-run to write the files".to_owned(),
        (true, _) => {
            "review the files, which are proven already; `cargo xtask migrate` applies the migration".to_owned()
        }
        _ => format!(
            "write the up script; `cargo xtask derive {version}` generates the down script, or write both and run \
             `cargo xtask verify`"
        ),
    });
    let drafts = drafts.into_iter().filter(|_| proven).map(|(file, text)| DraftJson { file, text }).collect();
    output.document(&DocumentJson::new("new", &context.name, NewJson { version, name, files, drafts }));
    Ok(Exit::Done)
}

/// Every later migration would have to follow a version in the future, so it is refused. What the base branch already
/// has is accepted.
fn refuse_future(context: &Context<'_>) -> Result<()> {
    let Some(version) = files::ahead(&context.migrations, &files::latest()) else { return Ok(()) };
    let released = ReleasedBranch::of(context, None)?;
    if released.is_ok_and(|released| released.newest().is_some_and(|newest| newest >= version)) {
        return Ok(());
    }
    Err(Failure::usage(codes::VERSION_AHEAD, format!("the folder has the version {version}, which is in the future"))
        .help("if no database has applied it yet, `cargo xtask rebase` gives that migration the current time")
        .help("or rename its files; every later migration would have to come after it"))
}

fn is_change(options: &NewArgs) -> bool {
    let one = [&options.table, &options.add_column, &options.drop_column, &options.rename_column, &options.add_index];
    options.derive || one.into_iter().chain([&options.add_foreign_key, &options.add_enum_value]).any(Option::is_some)
}

/// Two files to write by hand.
fn empty(context: &Context<'_>, name: &str, no_transaction: bool) -> Result<Vec<files::FileDraft>> {
    let folder = &context.migrations;
    fs::create_dir_all(folder).map_err(|error| files::cannot(folder, &error))?;
    let directive = if no_transaction { "-- migrate: no-transaction\n" } else { "" };
    let up = format!("{directive}-- What changes, and why.\n\n");
    let down = format!("{directive}-- Undo exactly what the up script does.\n\n");
    Ok(files::pair(&next_version(&context.folder()?)?, name, up, down).to_vec())
}

/// The files of a common change, proven.
async fn change(
    context: &Context<'_>,
    code: &CodeMigrations,
    name: &str,
    options: &NewArgs,
) -> Result<Vec<files::FileDraft>> {
    shadow::server(context, true, false).await?;
    if options.derive {
        let mut up = String::new();
        std::io::stdin().read_to_string(&mut up).map_err(|error| {
            Failure::usage(codes::UP_UNREADABLE, format!("standard input cannot be read: {error}"))
                .help(format!("`echo 'ALTER TABLE …;' | cargo xtask new {name} --derive`"))
        })?;
        return proven(context, code, vec![(name.to_owned(), up)]).await.map_err(|failure| unwritten(failure, true));
    }
    // If there is no folder yet, there is no schema yet.
    let set = if context.migrations.exists() { context.folder()?.load()? } else { MigrationSet::default() };
    let described = shadow::migrations(&set, code, None).await?;
    let schema = &described.schema;
    let refused = |finding: Finding| Failure::Here(Exit::Usage, Box::new(finding));
    let draft = draft(options, schema).map_err(refused)?;
    let ups = draft.ups(schema).map_err(refused)?;
    let ups = ups.into_iter().map(|(ending, text)| (format!("{name}{ending}"), text)).collect();
    proven(context, code, ups).await.map_err(|failure| unwritten(failure, false))
}

/// The failure of scripts that were never written and ran only on a shadow database. If they came from standard input,
/// that is the place.
fn unwritten(failure: Failure, is_typed: bool) -> Failure {
    let Failure::Core(error) = failure else { return failure };
    let mut findings = error.findings().to_vec();
    for finding in &mut findings {
        finding.notes.retain(|note| !shadow::is_about_kept(note));
        if is_typed {
            finding.place = finding.place.take().map(|place| place.renamed("standard input"));
        }
    }
    Failure::Core(Error::of(error.kind(), findings)).note("nothing was written")
}

/// Migrations with these names and up scripts, one after the other, each with a down script that is derived and proven.
pub(super) async fn proven(
    context: &Context<'_>,
    code: &CodeMigrations,
    ups: Vec<(String, String)>,
) -> Result<Vec<files::FileDraft>> {
    let mut version = next_version(&context.folder()?)?;
    let mut drafts: Vec<files::FileDraft> = Vec::new();
    for (name, up) in ups {
        let [up, (down, _)] = files::pair(&version, &name, up, String::new());
        drafts.push(up);
        let derived = derive::down_of(context, code, &version, &down, &drafts).await?;
        if !derived.is_proven() {
            derive::show(context, &derived);
            return Err(Failure::failed(
                codes::NOT_PROVEN,
                format!("no down script that undoes {name} could be derived"),
            )
            .help("nothing was written; write this migration by hand"));
        }
        drafts.push((down, derived.text));
        version = form::after(version.as_str(), version.clone());
    }
    Ok(drafts)
}

/// The change that the options ask for.
fn draft(options: &NewArgs, schema: &Schema) -> std::result::Result<ChangeDraft, Finding> {
    let list = |text: &str| text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
    if let Some(table) = &options.table {
        if table.is_empty() {
            return Err(misread(table, 0..0, "a table needs a name", "--table orders"));
        }
        let columns = options
            .columns
            .iter()
            .map(|word| DraftColumn::parse(word, schema))
            .collect::<std::result::Result<_, _>>()?;
        let indexes = options.index.iter().map(|columns| list(columns)).collect();
        return Ok(ChangeDraft::Table { table: table.clone(), columns, timestamps: options.timestamps, indexes });
    }
    if let Some(word) = &options.add_column {
        let name = word.split(':').next().unwrap_or_default();
        let (table, _) = member(name, word, "users.phone:text:null")?;
        return Ok(ChangeDraft::AddColumn(table.clone(), DraftColumn::parse(&word[table.len() + 1..], schema)?));
    }
    if let Some(word) = &options.drop_column {
        let (table, column) = member(word, word, "users.fax")?;
        return Ok(ChangeDraft::DropColumn(table, column));
    }
    if let Some(word) = &options.rename_column {
        let (from, to) = assignment(word, "users.fax=phone")?;
        let (table, column) = member(from, word, "users.fax=phone")?;
        if let Some(dot) = to.find('.') {
            let span = word.len() - to.len()..word.len() - to.len() + dot + 1;
            return Err(misread(word, span, "a column stays in its table: the new name has no dot", "users.fax=phone"));
        }
        return Ok(ChangeDraft::RenameColumn(table, column, to.to_owned()));
    }
    if let Some(word) = &options.add_index {
        let (table, columns) = member(word, word, "orders.user_id,status")?;
        return Ok(ChangeDraft::AddIndex(table, list(&columns), options.unique));
    }
    if let Some(word) = &options.add_foreign_key {
        let (from, to) = assignment(word, "orders.user_id=users")?;
        let (table, column) = member(from, word, "orders.user_id=users")?;
        return Ok(ChangeDraft::AddForeignKey(table, column, to.to_owned()));
    }
    let word = options.add_enum_value.as_deref().unwrap_or_default();
    let (of, label) = assignment(word, "order_status=refunded:paid")?;
    let (label, after) = label.split_once(':').map_or((label, None), |(label, after)| (label, Some(after.to_owned())));
    Ok(ChangeDraft::AddEnumValue(of.to_owned(), label.to_owned(), after))
}

/// Splits `table.column`; the table may be schema-qualified.
fn member(text: &str, word: &str, example: &str) -> std::result::Result<(String, String), Finding> {
    let split = text.rsplit_once('.').filter(|(table, column)| !table.is_empty() && !column.is_empty());
    let split = split.map(|(table, column)| (table.to_owned(), column.to_owned()));
    split.ok_or_else(|| misread(word, 0..text.len(), "not a column of a table", example))
}

fn assignment<'a>(word: &'a str, example: &str) -> std::result::Result<(&'a str, &'a str), Finding> {
    let split = word.split_once('=').filter(|(from, to)| !from.is_empty() && !to.is_empty());
    split.ok_or_else(|| misread(word, 0..word.len(), "one side of `=` is missing", example))
}

fn misread(word: &str, span: std::ops::Range<usize>, message: &str, example: &str) -> Finding {
    let text: Arc<str> = word.into();
    Finding::new(codes::WORD, message).at(Place::within("command line", text, span)).help(format!("write {example}"))
}
