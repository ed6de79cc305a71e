//! `seed`: load development data, repeatably and never in a protected environment.

use migrate_base::codes;
use std::path::PathBuf;

use migrate_core::CodeMigrations;
use migrate_core::runner::seed;
use serde::Serialize;

use crate::cli::SeedArgs;
use crate::context::{Context, MigratorOptions};
use crate::exit::{Exit, Failure, Result};
use crate::output::DocumentJson;
use crate::output::style::{self, BOLD};

#[derive(Serialize)]
struct SeedJson {
    file: PathBuf,
    statements: usize,
    milliseconds: f64,
}

/// The file of the environment, if none is given: the one in migrate.toml, or the one with its name.
pub(super) fn usual_file(context: &Context<'_>) -> PathBuf {
    let by_habit = || context.config.project.join("seeds").join(format!("{}.sql", context.name));
    context.environment.seed.clone().unwrap_or_else(by_habit)
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &SeedArgs) -> Result<Exit> {
    let (name, output) = (&context.name, context.output);
    if context.environment.protected {
        return Err(Failure::usage(codes::PROTECTED, format!("{name} is protected; it must not get development data")));
    }
    if context.is_unnamed {
        let message = format!("{name} is given only by --database, so it may not be a development database");
        return Err(Failure::usage(codes::NOT_DEVELOPMENT, message)
            .help("name its environment; for a development database, add `--env development`"));
    }
    let file = options.file.clone().unwrap_or_else(|| usual_file(context));
    let observer = output.display();
    let mut migrator = context.migrator(code, MigratorOptions { observer, ..MigratorOptions::reading() }).await?;
    let status = migrator.status().await?;
    if let Some(first) = status.pending.first() {
        let message = format!(
            "migration {} is pending; development data needs the newest schema",
            first.version.title(&first.name)
        );
        return Err(Failure::failed(codes::PENDING, message).help("apply it first: `cargo xtask migrate`"));
    }
    let begin = std::time::Instant::now();
    let statements = seed::run(&mut migrator, &file).await?;
    let elapsed = begin.elapsed();
    let count = style::count(statements, "statement");
    output.line(format!(
        "{BOLD}seeded{BOLD:#} {} with {} ({count}) in {}",
        migrator.database(),
        file.display(),
        style::time(elapsed)
    ));
    output.next("`cargo xtask db psql` opens psql; running the seed again changes nothing");
    let milliseconds = style::milliseconds(elapsed);
    output.document(&DocumentJson::new("seed", name, SeedJson { file, statements, milliseconds }));
    migrator.close().await;
    Ok(Exit::Done)
}
