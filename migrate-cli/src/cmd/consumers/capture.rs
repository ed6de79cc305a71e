//! `consumers capture`: the queries that pg_stat_statements has recorded.

use migrate_base::db::ReadOnlySession;
use migrate_review::consumer::{self, CapturedQueries, Consumer, ExportedConsumer, FOLDER};
use serde::Serialize;

use super::export::queries;
use super::{ChangesJson, TOOL, found, now, project, show, write};
use crate::cli::ConsumersCaptureArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::style::BOLD;
use crate::output::{DocumentJson, FindingJson};

#[derive(Serialize)]
struct ConsumersCaptureJson {
    consumer: String,
    file: String,
    role: Option<String>,
    queries: usize,
    left_out: usize,
    #[serde(flatten)]
    changes: ChangesJson,
    problems: Vec<FindingJson>,
}

pub(crate) async fn run(context: &Context<'_>, options: &ConsumersCaptureArgs) -> Result<Exit> {
    let name = &options.name;
    if !consumer::is_name(name) {
        return Err(Failure::Here(Exit::Usage, Box::new(consumer::misnamed(name))));
    }
    let known = consumer::load(&project(context), &context.config.consumers)
        .consumers
        .into_iter()
        .find(|one| one.name == *name);
    let role = options.role.clone().or(known.and_then(|known| known.role));
    let path = project(context).join(FOLDER).join(name).join(format!("{name}.captured.consumer.json"));
    let before = if path.exists() {
        Some(ExportedConsumer::open(&path).map_err(|finding| found(vec![*finding]))?)
    } else {
        None
    };

    let mut reader = ReadOnlySession::open(&context.reach().await?).await?;
    let captured = consumer::capture(&mut reader, role.as_deref()).await;
    reader.close().await;
    let CapturedQueries { queries: seen, left_out, problems } = captured?;

    let consumer = Consumer { name: name.clone(), role: role.clone(), ..Consumer::default() };
    let empty = ExportedConsumer::of(&consumer, now(), None, TOOL.to_owned());
    let before = before.unwrap_or_else(|| empty.clone());
    let mut exported = empty;
    exported.queries = seen;
    if options.merge {
        let is_gone = |query: &&consumer::ExportedQuery| exported.queries.iter().all(|seen| seen.text != query.text);
        let kept: Vec<_> = before.queries.iter().filter(is_gone).cloned().collect();
        exported.queries.extend(kept);
        exported.queries.sort();
    }
    let changes = exported.changes(&before);
    write(&path, &exported.text())?;

    let output = context.output;
    output.findings(&problems);
    let whose = role.as_ref().map(|role| format!(" of {role}")).unwrap_or_default();
    let left = format!("{left_out} other statements left out");
    let count = queries(exported.queries.len());
    output.line(format!(
        "{BOLD}{count}{BOLD:#}{whose} seen in {}, written to {}; {left}",
        context.title(),
        path.display()
    ));
    show(context, &changes);
    output.next("review the file and commit it; `cargo xtask consumers list` lists all consumers");
    let document = ConsumersCaptureJson {
        consumer: name.clone(),
        file: path.display().to_string(),
        role,
        queries: exported.queries.len(),
        left_out,
        changes: changes.into(),
        problems: problems.iter().map(FindingJson::from).collect(),
    };
    output.document(&DocumentJson::new("consumers capture", &context.name, document));
    Ok(Exit::Done)
}
