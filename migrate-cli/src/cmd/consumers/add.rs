//! `consumers add`: put a file that another repository exported into the folder of its consumer.

use std::path::Path;

use migrate_review::consumer::{ExportChanges, ExportedConsumer, FOLDER};
use serde::Serialize;

use super::export::queries;
use super::{ChangesJson, found, project, show, write};
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::output::DocumentJson;
use crate::output::style::{self, BOLD};

#[derive(Serialize)]
struct ConsumersAddJson {
    consumer: String,
    file: String,
    taken: String,
    queries: usize,
    #[serde(flatten)]
    changes: ChangesJson,
}

pub(crate) fn run(context: &Context<'_>, file: &Path) -> Result<Exit> {
    let exported = ExportedConsumer::open(file).map_err(|finding| found(vec![*finding]))?;
    let name = &exported.name;
    let path = project(context).join(FOLDER).join(name).join(format!("{name}.consumer.json"));
    // If the existing file cannot be read, this command replaces it.
    let before = ExportedConsumer::open(&path).ok();
    let changes = match &before {
        Some(before) => exported.changes(before),
        None => ExportChanges {
            new: exported.queries.iter().map(|query| query.name.clone()).collect(),
            ..ExportChanges::default()
        },
    };
    write(&path, &exported.text())?;
    let output = context.output;
    output.line(format!(
        "{BOLD}{name}{BOLD:#}: {} in {}, taken {}",
        queries(exported.queries.len()),
        path.display(),
        style::moment(&exported.taken)
    ));
    show(context, &changes);
    if let Some(before) = before.filter(|before| before.taken > exported.taken) {
        output.remark(format!("the file that it replaced was newer: taken {}", style::moment(&before.taken)));
    }
    output.next("commit the file; `cargo xtask consumers list` lists all consumers");
    let document = ConsumersAddJson {
        consumer: name.clone(),
        file: path.display().to_string(),
        taken: exported.taken.clone(),
        queries: exported.queries.len(),
        changes: changes.into(),
    };
    output.document(&DocumentJson::new("consumers add", &context.name, document));
    Ok(Exit::Done)
}
