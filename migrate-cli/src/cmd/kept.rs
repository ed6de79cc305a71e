//! `kept`: list, restore or purge the data that rollbacks kept.

use migrate_core::CodeMigrations;
use migrate_core::kept::{self, KeptCopy, Purge};
use serde::Serialize;

use super::run::{RunOptions, Runner};
use crate::cli;
use crate::confirm::{confirm, confirm_loss};
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::output::style::{self, BOLD, DIM, GOOD, WARN};
use crate::output::{DocumentJson, TextTable};

#[derive(Serialize)]
struct KeptJson {
    kept: Vec<CopyJson>,
}

#[derive(Serialize)]
struct CopyJson {
    version: String,
    name: String,
    at: String,
    relation: String,
    what: String,
    store: Option<String>,
    rows: u64,
    bytes: u64,
    restored_at: Option<String>,
    restored_rows: Option<u64>,
}

pub(crate) async fn run(
    context: &Context<'_>,
    code: CodeMigrations,
    command: Option<&cli::KeptCommand>,
) -> Result<Exit> {
    match command {
        None | Some(cli::KeptCommand::List) => list(context).await,
        Some(cli::KeptCommand::Restore { version, yes }) => {
            let mut runner = Runner::new(context, code, RunOptions::default()).await?;
            confirm(context, *yes, &format!("Restore the data that the rollback of {version} kept."))?;
            runner.migrator.restore_kept(version).await?;
            runner.close().await;
            list(context).await
        }
        Some(cli::KeptCommand::Purge { version, all, yes }) => {
            let which = match version {
                Some(version) => Purge::Version(version.clone()),
                None if *all => Purge::All,
                None => Purge::Restored,
            };
            purge(context, code, &which, *yes).await
        }
    }
}

async fn purge(context: &Context<'_>, code: CodeMigrations, which: &Purge, yes: bool) -> Result<Exit> {
    let ledger = &context.environment.ledger;
    let is_meant = |one: &KeptCopy| match which {
        Purge::Restored => one.is_whole(),
        Purge::Version(version) => one.version == version.as_str(),
        Purge::All => true,
    };
    let all = kept::list(&context.reach().await?, ledger).await?;
    let (copies, others): (Vec<KeptCopy>, Vec<KeptCopy>) = all.into_iter().partition(is_meant);
    if copies.is_empty() {
        context.output.line(format!("nothing to do: {}", none_of(which, others.len())));
        return list_json(context, Vec::new());
    }
    let open = copies.iter().filter(|copy| !copy.is_whole() && !copy.relation.is_empty()).count();
    let warning = if open > 0 { format!(" {open} of them were not restored completely.") } else { String::new() };
    confirm_loss(context, yes, &format!("Drop {} of data permanently.{warning}", copies_word(copies.len())))?;
    let mut runner = Runner::new(context, code, RunOptions::default()).await?;
    runner.migrator.purge_kept(which).await?;
    runner.close().await;
    context.output.line(format!("{BOLD}{} purged{BOLD:#}", copies_word(copies.len())));
    list_json(context, copies)
}

/// Why there is no copy to drop; there are `others`.
fn none_of(which: &Purge, others: usize) -> String {
    match (which, others) {
        (Purge::Restored, 1) => "no copy was restored completely; 1 copy was not: --all drops it too".to_owned(),
        (Purge::Restored, 2..) => {
            format!("no copy was restored completely; {others} copies were not: --all drops them too")
        }
        (Purge::Version(version), 1..) => format!("there is no copy of migration {version}"),
        _ => "no data is kept".to_owned(),
    }
}

async fn list(context: &Context<'_>) -> Result<Exit> {
    let copies = kept::list(&context.reach().await?, &context.environment.ledger).await?;
    let output = context.output;
    if copies.is_empty() {
        output.line(format!("no data is kept in {}", context.title()));
        output.next("`cargo xtask rollback --keep-data` keeps a copy of the data that a rollback destroys");
    }
    output.lines(&table(&copies).lines());
    if copies.iter().any(is_open) {
        output.next(
            "`cargo xtask migrate` restores the data when it reapplies the migration; if the migration is already \
             applied, `cargo xtask kept restore VERSION` restores it",
        );
    } else if !copies.is_empty() {
        output.next("`cargo xtask kept purge` drops the copies that were restored completely");
    }
    list_json(context, copies)
}

/// Whether the copy can still be restored.
fn is_open(copy: &KeptCopy) -> bool {
    copy.restored.is_none() && !copy.relation.is_empty()
}

fn list_json(context: &Context<'_>, copies: Vec<KeptCopy>) -> Result<Exit> {
    let kept = copies.into_iter().map(CopyJson::from).collect();
    context.output.document(&DocumentJson::new("kept", &context.name, KeptJson { kept }));
    Ok(Exit::Done)
}

fn table(copies: &[KeptCopy]) -> TextTable {
    let plain = style::PLAIN;
    let mut table = TextTable::default();
    for copy in copies {
        let (style, state) = match &copy.restored {
            // A remark instead of a copy.
            _ if copy.relation.is_empty() => (WARN, "not kept".to_owned()),
            Some(_) if copy.is_whole() => (GOOD, "restored".to_owned()),
            Some((_, rows)) => (WARN, format!("{rows} restored")),
            None => (WARN, "kept".to_owned()),
        };
        let rows = if copy.store.is_some() { style::count(copy.rows as usize, "row") } else { String::new() };
        let store = copy.store.as_ref().map(|store| format!("{}.{}", store.schema(), store.name())).unwrap_or_default();
        table.row([
            (BOLD, format!("{}_{}", copy.version, copy.name)),
            (plain, copy.relation.clone()),
            (plain, copy.what.clone()),
            (plain, rows),
            (DIM, style::moment(&copy.at)),
            (style, state),
            (DIM, store),
        ]);
    }
    table
}

fn copies_word(count: usize) -> String {
    if count == 1 { "1 copy".to_owned() } else { format!("{count} copies") }
}

impl From<KeptCopy> for CopyJson {
    fn from(copy: KeptCopy) -> Self {
        let (restored_at, restored_rows) = copy.restored.unzip();
        Self {
            version: copy.version,
            name: copy.name,
            at: copy.at,
            relation: copy.relation,
            what: copy.what,
            store: copy.store.map(|store| store.to_string()),
            rows: copy.rows,
            bytes: copy.bytes,
            restored_at,
            restored_rows,
        }
    }
}
