//! `derive`: writes the down of a migration from what its up does, and proves it.

use std::fs;
use std::path::PathBuf;

use migrate_core::source::Layout;
use migrate_core::{CodeMigrations, MigrationSet, Version};
use migrate_test::proof::{Law, Proven, Verdict};
use migrate_test::shape::{self, Derived};
use serde::Serialize;

use crate::cli::Derive;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files::{self, Draft};
use crate::output::Document;
use crate::output::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
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

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Derive) -> Result<Exit> {
    if context.layout != Layout::default() {
        return Err(Failure::usage("layout", "a down is derived for folders of Roundtrip only"));
    }
    let (up, down) = names(context, &options.version)?;
    let path = context.migrations.join(&down);
    if has_statements(&path) && !options.force && !options.dry_run {
        return Err(Failure::usage("down-exists", format!("{} has statements already", path.display()))
            .help("`--dry-run` shows what would be derived; `--force` replaces what is there"));
    }
    shadow::server(context, true, false).await?;
    let derived = down_of(context, &code, &options.version, &down, &[]).await?;
    let output = context.output;
    show(context, &derived);
    let proven = derived.is_proven();
    if proven && !options.dry_run {
        fs::write(&path, &derived.text).map_err(|error| files::cannot(&path, &error))?;
        output.line(format!("  {}  {}", paint(GOOD, "written"), paint(BOLD, path.display())));
        output.next("read it once, as if a colleague had written it; `cargo xtask migrate` applies the migration");
    } else if !proven {
        output.line(format!("\n{}: nothing was written", paint(BAD, format!("the down of {up} cannot be proven"))));
        output.next("write it by hand; `--dry-run --format json` has the statements and what they leave");
    }
    let document = DeriveJson {
        version: options.version.to_string(),
        proven,
        left: left(&derived),
        lossy: derived.lossy,
        sql: derived.text,
        file: (proven && !options.dry_run).then_some(path),
    };
    output.document(&Document::new("derive", &context.name, document));
    Ok(if proven { Exit::Done } else { Exit::Found })
}

/// The down of a migration that may be a draft, as may be others.
pub(crate) async fn down_of(
    context: &Context<'_>,
    code: &CodeMigrations,
    version: &Version,
    down: &str,
    drafts: &[Draft],
) -> Result<Derived> {
    let load = |text: &str| {
        let mut all = drafts.to_vec();
        all.push((down.to_owned(), text.to_owned()));
        MigrationSet::load_with(&context.migrations, &all)
    };
    Ok(shape::derive(&load, code, version).await?)
}

/// What the down leaves, or loses without saying so.
pub(crate) fn left(derived: &Derived) -> Vec<String> {
    let story = |proven: &Proven, law: Law| match proven.laws.get(&law) {
        Some(Verdict::Broken(story)) => {
            [format!("{law}: {}", story.summary)].into_iter().chain(story.lines().into_iter().take(20)).collect()
        }
        _ => Vec::new(),
    };
    let mut left: Vec<String> =
        derived.uncovered.iter().map(|object| format!("{object}: no statement can make it again")).collect();
    left.extend(Law::ALL.into_iter().flat_map(|law| story(&derived.proven, law)));
    left.dedup();
    left
}

/// Shows a derived down.
pub(crate) fn show(context: &Context<'_>, derived: &Derived) {
    let output = context.output;
    for line in derived.text.lines() {
        let style = if line.starts_with("--") { DIM } else { anstyle::Style::new() };
        output.line(format!("  {}", paint(style, line)));
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
        output.line(format!("  {} what was in {lost} does not come back", paint(WARN, "lossy")));
    }
    for line in left(derived) {
        output.line(format!("  {line}"));
    }
}

/// The files of a migration, by the one that is there.
fn names(context: &Context<'_>, version: &Version) -> Result<(String, String)> {
    let entries = fs::read_dir(&context.migrations).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_up = |name: &String| {
        let matches =
            name.split('_').next().and_then(|digits| digits.parse::<Version>().ok()).is_some_and(|v| v == *version);
        matches && name.ends_with(".up.sql")
    };
    let Some(up) = names.find(is_up) else {
        let message = format!("there is no up for migration {version} in {}", context.migrations.display());
        return Err(Failure::usage("no-migration", message).help("`cargo xtask status` lists the migrations"));
    };
    let down = up.replacen(".up.sql", ".down.sql", 1);
    Ok((up, down))
}

fn has_statements(path: &std::path::Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| !migrate_core::sql::split(&text).0.is_empty())
}
