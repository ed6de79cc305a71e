//! `diff`: the difference between two schemas, in words, as SQL, or as a migration.

use migrate_base::codes;
use std::path::PathBuf;
use std::sync::Arc;

use migrate_core::{CodeMigrations, Database, Version};
use migrate_schema::ddl::{self, Ddl, DdlStage, DdlStyle};
use migrate_schema::{Kind, SchemaChange, SchemaDescription, SideNames, owner_notes};
use migrate_test::shape::{self, DifferenceAdditions, DifferenceScript};
use serde::Serialize;

use crate::cli::DiffArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::DocumentJson;
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN, paint};
use crate::shared_json::{SqlJson, sql_json};
use crate::{files, form, invocation, shadow};

#[derive(Serialize)]
struct DiffJson {
    from: String,
    to: String,
    differences: Vec<String>,
    notes: Vec<String>,
    questions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<SqlJson>,
    files: Vec<PathBuf>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &DiffArgs) -> Result<Exit> {
    let (from_side, to_side) = (DiffSide::parse(context, &options.from)?, DiffSide::parse(context, &options.to)?);
    if options.write.is_some() && !matches!(from_side, DiffSide::Migrations(None)) {
        return Err(Failure::usage(codes::WRITE_FROM, "--write needs `migrations` as the schema to start from")
            .help(format!("`cargo xtask diff migrations {} --write NAME`", invocation::address(&options.to))));
    }
    shadow::server(context, false, false).await?;
    // The migrations are replayed under the settings of the database that they are compared with.
    if let Some(database) = from_side.database().await?.or(to_side.database().await?) {
        shadow::replay(&database).await?;
    }
    let from = from_side.describe(context, &code).await?;
    let to = to_side.describe(context, &code).await?;
    let (from, to) = match (&from_side, &to_side) {
        (DiffSide::Migrations(_), DiffSide::Environment(_) | DiffSide::Url(_)) => {
            (shadow::as_placed_in(from, &to).await?, to)
        }
        (DiffSide::Environment(_) | DiffSide::Url(_), DiffSide::Migrations(_)) => {
            let to = shadow::as_placed_in(to, &from).await?;
            (from, to)
        }
        _ => (from, to),
    };
    let (from, renames) = shape::renamed(from, &options.rename).await?;
    let owners = owner_notes(&from, &to);
    let change = SchemaChange::between(&ddl::unowned(&from.schema), &ddl::unowned(&to.schema));
    let sides = SideNames { before: "in the first", after: "in the second" };
    let mut document = DiffJson {
        from: from_side.title(),
        to: to_side.title(),
        differences: change.sentences(sides),
        notes: change.order_notes().into_iter().chain(owners).collect(),
        questions: questions(&change),
        sql: None,
        files: Vec::new(),
    };
    let differs = !document.differences.is_empty() || !renames.is_empty();
    let style = if options.write.is_some() { DdlStyle::Online } else { DdlStyle::Whole };
    let mut is_proven = true;
    if differs && (options.sql || options.write.is_some()) {
        let mut difference = proven(context, from, to, style).await?;
        difference.ddl.statements.splice(0..0, renames);
        is_proven = difference.is_proven();
        document.notes.iter().for_each(|note| context.output.remark(format!("{DIM}{note}{DIM:#}")));
        document.sql = Some(sql_json(&difference));
        show_sql(context, &difference, options.write.is_none());
        if let Some(name) = options.write.as_deref().filter(|_| is_proven) {
            document.files = write(context, &code, name, &difference.ddl).await?;
            tell_created(context, &document.files);
        }
    } else {
        show(context, &document, options.sql);
    }
    ask(context, &document.questions, options);
    tell_next(context, options, &document);
    let written = !document.files.is_empty();
    context.output.document(&DocumentJson::new("diff", &context.name, document));
    Ok(if (differs && !written) || !is_proven { Exit::Found } else { Exit::Done })
}

/// Shows which files were written.
pub(super) fn tell_created(context: &Context<'_>, files: &[PathBuf]) {
    for path in files {
        context.output.line(format!("  {}  {}", paint(GOOD, "created"), paint(BOLD, path.display())));
    }
}

/// One of the two schemas.
enum DiffSide<'a> {
    Migrations(Option<Version>),
    Environment(Box<Context<'a>>),
    File(PathBuf),
    Url(Box<Database>),
}

impl<'a> DiffSide<'a> {
    fn parse(context: &Context<'a>, text: &str) -> Result<Self> {
        let wrong = |message: String| {
            Failure::usage(codes::SCHEMA, message)
                .help("write migrations, migrations@VERSION, env:NAME, file:schema.sql or postgres://…")
        };
        match text.split_once(':') {
            Some(("env", name)) => Ok(Self::Environment(Box::new(context.other(name)?))),
            Some(("file", path)) => Ok(Self::File(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Url(Box::new(Database::parse(text)?))),
            _ => match text.split_once('@') {
                None if text == "migrations" => Ok(Self::Migrations(None)),
                Some(("migrations", version)) => {
                    let digits = version.split('_').next().unwrap_or(version);
                    let version = digits.parse().map_err(|_| wrong(format!("`{version}` is not a version")))?;
                    Ok(Self::Migrations(Some(version)))
                }
                // The text is not repeated, because it may hold a password.
                _ => Err(wrong("not a schema".to_owned())),
            },
        }
    }

    async fn describe(&self, context: &Context<'_>, code: &CodeMigrations) -> Result<SchemaDescription> {
        match self {
            Self::Migrations(version) => {
                let set = context.folder()?.load()?;
                if let Some(version) = version.as_ref().filter(|version| set.get(version).is_none()) {
                    return Err(Failure::usage(codes::NO_MIGRATION, format!("there is no migration {version}"))
                        .help("`cargo xtask status` lists the migrations"));
                }
                shadow::migrations(&set, code, version.as_ref()).await.map(Arc::unwrap_or_clone)
            }
            Self::Environment(other) => shadow::environment(other).await,
            Self::File(path) => shadow::file(path).await,
            Self::Url(database) => shadow::database(&context.awaited((**database).clone()).await?, context).await,
        }
    }

    /// The database that this side describes, if it is one.
    async fn database(&self) -> Result<Option<Database>> {
        Ok(match self {
            Self::Environment(other) => Some(other.reach().await?),
            Self::Url(database) => Some((**database).clone()),
            Self::Migrations(_) | Self::File(_) => None,
        })
    }

    fn title(&self) -> String {
        match self {
            Self::Migrations(None) => "migrations".to_owned(),
            Self::Migrations(Some(version)) => format!("migrations@{version}"),
            Self::Environment(context) => format!("env:{}", context.name),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Url(database) => database.name().to_owned(),
        }
    }
}

/// Pairs of a dropped and an added object of the same kind and type in the same place: possible renames.
fn questions(change: &SchemaChange) -> Vec<String> {
    let gone: Vec<_> = change.objects().filter(|(_, _, after)| after.is_none()).collect();
    let came: Vec<_> = change.objects().filter(|(_, before, _)| before.is_none()).collect();
    let columns = |table: &str, schema: &str, list: &[(&migrate_schema::Id, _, _)]| -> Vec<String> {
        let ours =
            list.iter().filter(|(id, ..)| id.kind == Kind::Column && *id.parent == *table && *id.schema == *schema);
        ours.map(|(id, ..)| id.name.to_string()).collect()
    };
    let mut all = Vec::new();
    for (old, before, _) in &gone {
        for (new, _, after) in came.iter().filter(|(new, ..)| new.kind == old.kind && new.schema == old.schema) {
            let fact =
                |object: &Option<&migrate_schema::Object>| object.and_then(|one| one.fact("type").map(str::to_owned));
            let alike = match old.kind {
                Kind::Column => new.parent == old.parent && fact(before) == fact(after),
                Kind::Table => {
                    let (a, b): (Vec<_>, Vec<_>) = (
                        gone.iter().map(|(i, ..)| (*i, (), ())).collect(),
                        came.iter().map(|(i, ..)| (*i, (), ())).collect(),
                    );
                    let a = columns(&old.name, &old.schema, &a);
                    !a.is_empty() && a == columns(&new.name, &new.schema, &b)
                }
                _ => false,
            };
            if alike {
                let path = [&old.schema, &old.parent, &old.name].into_iter().filter(|part| !part.is_empty());
                let path = path.map(|part| migrate_base::ident::plain(part)).collect::<Vec<_>>().join(".");
                all.push(format!("{path}={}", migrate_base::ident::plain(&new.name)));
            }
        }
    }
    all
}

/// The difference as proven statements.
pub(super) async fn proven(
    context: &Context<'_>,
    from: SchemaDescription,
    to: SchemaDescription,
    style: DdlStyle,
) -> Result<DifferenceScript> {
    finished(context, from, to, style, DifferenceAdditions::default()).await
}

/// The same for a database in which somebody has already made a part of the changes.
pub(super) async fn finished(
    context: &Context<'_>,
    from: SchemaDescription,
    to: SchemaDescription,
    style: DdlStyle,
    finish: DifferenceAdditions,
) -> Result<DifferenceScript> {
    let phases = context.output.phases();
    Ok(phases.during(shape::finished(from, to, style, finish, &mut |what| phases.begin(what))).await?)
}

/// Writes the stages as migrations, one after the other, each with a down script that is derived and proven. It writes
/// no file if all differences are left out.
pub(super) async fn write(context: &Context<'_>, code: &CodeMigrations, name: &str, ddl: &Ddl) -> Result<Vec<PathBuf>> {
    let name = files::snake_case(name)?;
    if ddl.statements.is_empty() {
        context.output.remark("nothing was written: all differences are left out");
        return Ok(Vec::new());
    }
    let mut ups = Vec::new();
    for (stage, ending, head) in [
        (DdlStage::Main, "", ""),
        (DdlStage::Concurrent, "_concurrently", "-- migrate: no-transaction\n"),
        (DdlStage::Validate, "_validate", ""),
    ] {
        let script = ddl.script(stage);
        if !script.is_empty() {
            ups.push((format!("{name}{ending}"), format!("{head}{script}")));
        }
    }
    let drafts = super::new::proven(context, code, ups).await?;
    form::write(&context.folder()?, &drafts)
}

fn show(context: &Context<'_>, document: &DiffJson, as_sql: bool) {
    let output = context.output;
    let line = |text: String| if as_sql { output.remark(text) } else { output.line(text) };
    for line in document.differences.iter() {
        output.item(format!("  {line}"));
    }
    for note in document.notes.iter() {
        line(format!("  {DIM}{note}{DIM:#}"));
    }
    let (from, to) = (&document.from, &document.to);
    match document.differences.len() {
        0 => line(format!("{BOLD}no difference{BOLD:#} between {from} and {to}")),
        n => line(format!("\n{BOLD}{}{BOLD:#} between {from} and {to}", style::count(n, "difference"))),
    }
}

/// The statements of a stage, ready to paste: in one transaction, if they may run in one.
fn pasted(ddl: &Ddl, stage: DdlStage) -> String {
    let script = ddl.script(stage);
    let count = ddl.statements.iter().filter(|statement| statement.stage == stage).count();
    if count > 1 && stage != DdlStage::Concurrent { format!("BEGIN;\n{script}COMMIT;\n") } else { script }
}

pub(super) fn show_sql(context: &Context<'_>, difference: &DifferenceScript, statements: bool) {
    let output = context.output;
    for stage in [DdlStage::Main, DdlStage::Concurrent, DdlStage::Validate].into_iter().filter(|_| statements) {
        if !output.is_json() {
            pasted(&difference.ddl, stage).lines().for_each(|line| output.verbatim(&format!("{line}\n")));
        }
    }
    for gap in &difference.ddl.uncovered {
        output.quoted_remark(format!("{} {gap}: {}", paint(WARN, "left out"), gap.why));
    }
    for one in &difference.left_out {
        output.quoted_remark(format!("{} {one}: {}", paint(WARN, "not proven"), one.why));
    }
    if difference.is_proven() && difference.gaps() > 0 {
        output.remark(paint(WARN, format!("proven except for {} left out", difference.gaps())));
    }
    if let Some((statement, why)) = &difference.failed {
        output.quoted_remark(format!("{} {why}\n  {}", paint(BAD, "not proven:"), statement.text));
    }
    for line in &difference.remaining {
        output.quoted_remark(format!("{} {line}", paint(BAD, "still different:")));
    }
}

fn ask(context: &Context<'_>, questions: &[String], options: &DiffArgs) {
    for pair in questions.iter().filter(|pair| !options.rename.contains(pair)) {
        context.output.remark(format!("{} {pair}? If so, add --rename {pair}", paint(WARN, "renamed:")));
    }
}

fn tell_next(context: &Context<'_>, options: &DiffArgs, document: &DiffJson) {
    let output = context.output;
    let proven = document.sql.as_ref().is_none_or(|sql| sql.proven);
    if !document.files.is_empty() {
        output.next("review the files, then `cargo xtask verify` and `cargo xtask migrate`");
    } else if !proven {
        output.remark("these statements alone do not produce the second schema: use them as a starting point");
    } else if !document.differences.is_empty() && !options.sql && options.write.is_none() {
        let (from, to) = (invocation::address(&options.from), invocation::address(&options.to));
        output.next(format!("`cargo xtask diff {from} {to} --sql` shows the statements"));
    }
}
