//! `new`: the pair of files of a new migration, ready to edit.

use std::fs;
use std::path::PathBuf;

use migrate_core::CodeMigrations;
use serde::Serialize;

use crate::cli::New;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files::{self, Draft, next_version, snake_case};
use crate::output::Document;
use crate::output::style::{BOLD, GOOD, paint};

#[derive(Serialize)]
struct NewJson {
    version: String,
    name: String,
    files: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context<'_>, options: &New) -> Result<Exit> {
    let name = snake_case(&options.name)?;
    let folder = &context.migrations;
    fs::create_dir_all(folder).map_err(|error| files::cannot(folder, &error))?;
    let version = next_version(folder)?;
    let directive = if options.no_transaction { "-- migrate: no-transaction\n" } else { "" };
    let up = format!("{directive}-- What changes, and why.\n\n");
    let down = format!("{directive}-- Exactly the way back.\n\n");
    let files = files::write(folder, &files::pair(&version, &name, up, down))?;
    let output = context.output;
    for path in &files {
        output.line(format!("  {}  {}", paint(GOOD, "created"), paint(BOLD, path.display())));
    }
    output.next(format!(
        "write the up; `cargo xtask derive {version}` writes the down, or write it and `cargo xtask verify`"
    ));
    let document = NewJson { version: version.to_string(), name, files };
    output.document(&Document::new("new", &context.name, document));
    Ok(Exit::Done)
}

/// Writes migrations of these names and ups, one behind the other, each with a down that is derived and proven.
pub(super) async fn write(
    context: &Context<'_>,
    code: &CodeMigrations,
    ups: Vec<(String, String)>,
) -> Result<Vec<PathBuf>> {
    let mut version = next_version(&context.migrations)?;
    let mut drafts: Vec<Draft> = Vec::new();
    for (name, up) in ups {
        let [up, (down, _)] = files::pair(&version, &name, up, String::new());
        drafts.push(up);
        let derived = super::derive::down_of(context, code, &version, &down, &drafts).await?;
        if !derived.is_proven() {
            super::derive::show(context, &derived);
            return Err(Failure::failed("not-proven", format!("{name} cannot be undone by a down that is derived"))
                .help("nothing was written; write this migration by hand"));
        }
        drafts.push((down, derived.text));
        version = files::after(&version);
    }
    files::write(&context.migrations, &drafts)
}
