//! `derive`: generate the down script of a migration from what its up script does, and prove it.

use migrate_base::codes;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_core::{CodeMigrations, Layout, Migration, Version};
use migrate_test::proof::{Law, MigrationProof, Verdict};
use migrate_test::shape::{self, DerivedScript};
use serde::Serialize;

use crate::cli::DeriveArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files::{self, FileDraft};
use crate::form;
use crate::output::DocumentJson;
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN, paint};
use crate::shadow;

#[derive(Serialize)]
struct DeriveJson {
    version: String,
    proven: bool,
    lossy: Vec<String>,
    left: Vec<String>,
    sql: String,
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct DeriveAllJson {
    derived: Vec<DeriveJson>,
}

/// The files of a migration.
struct ScriptPair {
    version: Version,
    up: String,
    down: String,
    /// The name of the down script before it is written.
    draft: String,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &DeriveArgs) -> Result<Exit> {
    let pairs = match context.layout {
        Layout::Roundtrip => pairs(context)?,
        layout => foreign_pairs(context, layout)?,
    };
    let missing = |pair: &&ScriptPair| !has_statements(&context.migrations.join(&pair.down));
    match &options.version {
        Some(version) => {
            let pair = find(context, &pairs, version)?;
            let path = context.migrations.join(&pair.down);
            if has_statements(&path) && !options.force && !options.dry_run {
                return Err(Failure::usage(codes::DOWN_EXISTS, format!("{} already has statements", path.display()))
                    .help("--dry-run shows what would be derived; --force replaces the existing script"));
            }
            shadow::server(context, true, false).await?;
            // Later migrations may still lack a down script.
            let later = pairs.iter().filter(missing).filter(|other| other.version > pair.version);
            let drafts: Vec<FileDraft> = later.map(|other| (other.draft.clone(), "SELECT;\n".to_owned())).collect();
            let document = one(context, &code, pair, &drafts, options.dry_run).await?;
            let proven = document.proven;
            context.output.document(&DocumentJson::new("derive", &context.name, document));
            Ok(if proven { Exit::Done } else { Exit::Found })
        }
        None => all(context, &code, &pairs.iter().filter(missing).collect::<Vec<_>>(), options.dry_run).await,
    }
}

/// Derives all missing down scripts, the oldest first. It stops at one that cannot be proven, because the later ones
/// build on it.
async fn all(context: &Context<'_>, code: &CodeMigrations, pairs: &[&ScriptPair], dry_run: bool) -> Result<Exit> {
    let output = context.output;
    if pairs.is_empty() {
        output.line("nothing to do: every migration has a down script");
        output.document(&DocumentJson::new("derive", &context.name, DeriveAllJson { derived: Vec::new() }));
        return Ok(Exit::Done);
    }
    shadow::server(context, true, false).await?;
    let mut drafts: Vec<FileDraft> = pairs.iter().map(|pair| (pair.draft.clone(), "SELECT;\n".to_owned())).collect();
    let mut derived: Vec<DeriveJson> = Vec::new();
    for (at, pair) in pairs.iter().enumerate() {
        output.line(format!("{}{}", if at == 0 { "" } else { "\n" }, paint(BOLD, &pair.down)));
        let document = one(context, code, pair, &drafts, dry_run).await?;
        drafts[at].1.clone_from(&document.sql);
        let proven = document.proven;
        derived.push(document);
        if !proven {
            break;
        }
    }
    let proven = derived.iter().all(|one| one.proven);
    let left = pairs.len() - derived.len();
    if !proven && left > 0 {
        output.line(format!("{} after it not derived", style::count(left, "down script")));
    }
    output.document(&DocumentJson::new("derive", &context.name, DeriveAllJson { derived }));
    Ok(if proven { Exit::Done } else { Exit::Found })
}

/// Derives one down script, shows it, and writes it if it is proven.
async fn one(
    context: &Context<'_>,
    code: &CodeMigrations,
    pair: &ScriptPair,
    drafts: &[FileDraft],
    dry_run: bool,
) -> Result<DeriveJson> {
    let path = context.migrations.join(&pair.down);
    let derived = down_of(context, code, &pair.version, &pair.draft, drafts).await?;
    let output = context.output;
    show(context, &derived);
    let proven = derived.is_proven();
    if proven && !dry_run {
        fs::write(&path, &derived.text).map_err(|error| files::cannot(&path, &error))?;
        output.line(format!("  {}  {}", paint(GOOD, "written"), paint(BOLD, path.display())));
        output.next("review it; `cargo xtask migrate` applies the migration");
    } else if !proven {
        output.line(format!(
            "\n{}: nothing was written",
            paint(BAD, format!("the down script of {} cannot be proven", pair.up))
        ));
        output.next(format!(
            "write it by hand; `cargo xtask derive {} --dry-run --format json` shows the statements and what they \
             leave",
            pair.version
        ));
    }
    Ok(DeriveJson {
        version: pair.version.to_string(),
        proven,
        left: left(&derived),
        lossy: derived.lossy,
        sql: derived.text,
        file: (proven && !dry_run).then_some(path),
    })
}

/// Derives the down script of a migration. This migration and others may be drafts.
pub(crate) async fn down_of(
    context: &Context<'_>,
    code: &CodeMigrations,
    version: &Version,
    down: &str,
    drafts: &[FileDraft],
) -> Result<DerivedScript> {
    let folder = context.folder()?;
    let load = |text: &str| {
        let mut all: Vec<FileDraft> = drafts.iter().filter(|(name, _)| name != down).cloned().collect();
        all.push((down.to_owned(), text.to_owned()));
        folder.load_with(&all)
    };
    let phases = context.output.phases();
    Ok(phases.during(shape::derive(&load, code, version, &mut |what| phases.begin(what))).await?)
}

/// What the down script leaves behind, or loses without declaring it.
pub(crate) fn left(derived: &DerivedScript) -> Vec<String> {
    let story = |proven: &MigrationProof, law: Law| match proven.laws.get(&law) {
        Some(Verdict::Broken(story)) => {
            [format!("{law}: {}", story.summary)].into_iter().chain(story.lines().into_iter().take(20)).collect()
        }
        _ => Vec::new(),
    };
    let mut left: Vec<String> = derived.uncovered.iter().map(|gap| format!("left out: {gap}")).collect();
    left.extend(Law::ALL.into_iter().flat_map(|law| story(&derived.proven, law)));
    left.dedup();
    left
}

/// Shows a derived down script.
pub(crate) fn show(context: &Context<'_>, derived: &DerivedScript) {
    let output = context.output;
    for line in derived.text.lines() {
        let style = if line.starts_with("--") { DIM } else { style::PLAIN };
        output.quoted(format!("  {}", paint(style, line)));
    }
    output.line("");
    for law in Law::ALL {
        let (style, word) = match derived.proven.laws.get(&law) {
            Some(Verdict::Holds) => (GOOD, "holds"),
            Some(Verdict::Broken(_)) => (BAD, "BROKEN"),
            Some(Verdict::Declared(..)) => (WARN, "declared"),
            _ => (DIM, "skipped"),
        };
        output.line(format!("  {:<10} {}", law.as_str(), paint(style, word)));
    }
    for lost in &derived.lossy {
        output.line(format!("  {} the data of {lost} is not restored", paint(WARN, "lossy")));
    }
    for line in left(derived) {
        output.item(format!("  {line}"));
    }
    if derived.refused().is_some() {
        output.line("  the up script itself causes this: the down script is proven on empty tables");
        output.line("  to prove it with data as well, write suitable rows into a .fixture.sql beside the script");
    }
}

/// The SQL migrations of the folder, the oldest first. It is an error if the folder has no migrations at all.
fn pairs(context: &Context<'_>) -> Result<Vec<ScriptPair>> {
    let entries = fs::read_dir(&context.migrations).into_iter().flatten().flatten();
    let pair = |up: String| {
        let version = up.strip_suffix(".up.sql")?.split('_').next()?.parse().ok()?;
        let down = up.replacen(".up.sql", ".down.sql", 1);
        Some(ScriptPair { version, up, draft: down.clone(), down })
    };
    let mut pairs: Vec<ScriptPair> =
        entries.filter_map(|entry| pair(entry.file_name().to_string_lossy().into_owned())).collect();
    if pairs.is_empty() {
        context.chain()?;
    }
    pairs.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(pairs)
}

/// The same in a folder of another tool, if it has files for down scripts.
fn foreign_pairs(context: &Context<'_>, layout: Layout) -> Result<Vec<ScriptPair>> {
    let set = context.chain()?;
    let below = |path: &Path| path.strip_prefix(&context.migrations).unwrap_or(path).to_string_lossy().into_owned();
    let pair = |one: &Arc<Migration>| {
        let up = one.up_script()?.path();
        let down = form::down_path(layout, up)?;
        let draft = format!("{}_{}.down.sql", one.version(), one.name());
        Some(ScriptPair { version: one.version().clone(), up: below(up), down: below(&down), draft })
    };
    let pairs: Vec<ScriptPair> = set.iter().filter_map(pair).collect();
    match pairs.is_empty() {
        false => Ok(pairs),
        true => Err(Failure::usage(codes::LAYOUT, format!("these {layout} files have no place for a down script"))
            .help("write it into the file of the migration, or convert the folder: `cargo xtask adopt --convert`")),
    }
}

fn find<'a>(context: &Context<'_>, pairs: &'a [ScriptPair], version: &Version) -> Result<&'a ScriptPair> {
    pairs.iter().find(|pair| pair.version == *version).ok_or_else(|| {
        let message = format!("there is no up script of migration {version} in {}", context.migrations.display());
        Failure::usage(codes::NO_MIGRATION, message).help("`cargo xtask status` lists the migrations")
    })
}

fn has_statements(path: &std::path::Path) -> bool {
    migrate_base::regular::read_to_string(path).is_ok_and(|text| !migrate_base::sql::split(&text).0.is_empty())
}
