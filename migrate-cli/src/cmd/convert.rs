//! `adopt --convert`: turn a folder of another tool into ours. Ledgers stay as they are: each new file says what it
//! was.

use std::path::{Path, PathBuf};

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::{Finding, Place};
use migrate_core::source::Script;
use migrate_core::{Layout, Migration, MigrationSet, Version};
use serde::Serialize;

use super::replace;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files::{DIGITS, FileDraft};
use crate::git;
use crate::output::DocumentJson;
use crate::output::style::{self, BAD, BOLD, GOOD, paint};

/// The first version where the old ones cannot be kept: before every time, and not the number of any old one.
const BEFORE_TIME: u64 = 10_000_000_000_001;

#[derive(Serialize)]
struct ConvertJson {
    from: String,
    migrations: usize,
    created: Vec<PathBuf>,
    removed: Vec<PathBuf>,
    written: bool,
}

pub(super) fn run(context: &Context<'_>, yes: bool) -> Result<Exit> {
    let set = context.folder()?.load();
    if context.layout == Layout::Roundtrip {
        return Err(Failure::usage(codes::LAYOUT, "the folder has the roundtrip layout already")
            .help("if it is the folder of another tool: `layout` in migrate.toml, or --layout"));
    }
    let set = set?;
    if set.is_empty() {
        return Err(context.no_migrations(&set));
    }
    refuse_code(&set)?;
    let old = old_files(&set, context.layout);
    replace::refuse_uncommitted(&context.migrations, &old)?;
    let drafts = drafts(&set, context.layout)?;
    refuse_others(&context.migrations, &drafts, &old)?;
    let mut document = ConvertJson {
        from: context.layout.to_string(),
        migrations: set.up_to(None).len(),
        created: Vec::new(),
        removed: Vec::new(),
        written: yes,
    };
    if yes {
        document.created = replace::replace(&context.migrations, &drafts, &old)?;
        document.removed = old;
    }
    tell(context, &document, drafts.len());
    context.output.document(&DocumentJson::new("adopt-convert", &context.name, document));
    Ok(Exit::Done)
}

/// What is not SQL cannot become SQL by copying it.
fn refuse_code(set: &MigrationSet) -> Result<()> {
    let code = set.iter().filter_map(|one| Some((one, one.language()?)));
    let findings: Vec<Finding> = code
        .map(|(one, language)| {
            let message = format!("migration {} is written in {language}, and cannot be converted", one.version());
            Finding::new(codes::NO_CODE, message)
                .at(Place::file(one.path()))
                .help("write what it does in SQL, or leave it out on purpose: `skip` in migrate.toml")
        })
        .collect();
    if findings.is_empty() { Ok(()) } else { Err(Failure::Core(Error::of(ErrorKind::Files, findings))) }
}

/// The files of all migrations, and those in which the tool keeps its list and its options.
fn old_files(set: &MigrationSet, layout: Layout) -> Vec<PathBuf> {
    let of = |one: &Migration| {
        let down = one.down_script().map(|script| script.path().to_owned());
        std::iter::once(one.path().to_owned()).chain(down).collect::<Vec<_>>()
    };
    let mut files: Vec<PathBuf> = set.up_to(None).iter().flat_map(|one| of(one)).collect();
    let is_of_tool = |name: &str| match layout {
        Layout::Sqitch => name == "sqitch.plan" || name == "sqitch.conf" || name.starts_with("verify/"),
        Layout::Drizzle => name.starts_with("meta/"),
        Layout::Atlas => name == "atlas.sum",
        Layout::Prisma => name == "migration_lock.toml",
        Layout::Flyway => name.ends_with(".sql.conf"),
        Layout::Diesel => name.ends_with("/metadata.toml") || name == "diesel.toml",
        Layout::Refinery => name == "mod.rs",
        _ => false,
    };
    let there = git::files_here(set.folder()).into_keys().filter(|name| is_of_tool(name));
    files.extend(there.map(|name| set.folder().join(name)));
    files.sort();
    files.dedup();
    files
}

/// Refuses a folder with files that would be neither migrations of ours nor removed: nothing could read it afterwards.
fn refuse_others(folder: &Path, drafts: &[FileDraft], old: &[PathBuf]) -> Result<()> {
    let mut files = git::files_here(folder);
    files.retain(|name, _| !old.contains(&folder.join(name)) && !name.split('/').any(|part| part.starts_with('.')));
    files.extend(drafts.iter().map(|(name, text)| (name.clone(), text.clone().into_bytes())));
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let read = MigrationSet::of_files(folder, files);
    read.map(drop).map_err(|error| {
        Failure::Core(error.note("nothing was converted"))
            .help("move files that are not migrations out of the folder first")
    })
}

/// The new files: statements and order are those of the old ones.
fn drafts(set: &MigrationSet, layout: Layout) -> Result<Vec<FileDraft>> {
    let versions = versions(set);
    let mut drafts = Vec::new();
    for (one, version) in set.up_to(None).iter().zip(versions) {
        let Some(up) = one.up_script() else { continue };
        let name = name(one.name());
        let mut head = format!("-- migrate: was {} {}\n", one.version(), one.up_checksum());
        if let Some(from) = one.captured() {
            head += &format!("{from}\n");
        }
        if one.is_up_only() {
            let why = match one.version().is_repeatable() {
                true => "it was a repeatable migration".to_owned(),
                false => format!("the {layout} files had no down script"),
            };
            head += &format!("-- migrate: irreversible {why}\n");
        }
        drafts.push((format!("{version}_{name}.up.sql"), head + &body(up)));
        let down = one.down_script().map(|down| (format!("{version}_{name}.down.sql"), body(down)));
        drafts.extend(down);
    }
    let files = drafts.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
    // Nothing is removed before the new files are known to be readable.
    MigrationSet::of_files(set.folder(), files)?;
    Ok(drafts)
}

/// The new versions: the old numbers with as many digits as ours, which are the same versions; if that is impossible,
/// numbers from before every time. A repeatable migration comes after all others, under a number of its own.
pub(super) fn versions(set: &MigrationSet) -> Vec<String> {
    let padded = |version: &Version| {
        let text = version.as_str();
        let digits = text.trim_start_matches('0');
        (text.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= DIGITS)
            .then(|| format!("{digits:0>DIGITS$}"))
    };
    let kept: Option<Vec<String>> = set.iter().map(|one| padded(one.version())).collect();
    let mut versions =
        kept.unwrap_or_else(|| (BEFORE_TIME..).take(set.len()).map(|number| number.to_string()).collect());
    let last: u64 = versions.last().and_then(|last| last.parse().ok()).unwrap_or(BEFORE_TIME);
    versions.extend((last + 1..).take(set.repeatables().len()).map(|number| format!("{number:0>DIGITS$}")));
    versions
}

/// A name in snake case.
pub(super) fn name(of: &str) -> String {
    let words: String = of
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect::<String>()
        .split('_')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    if words.is_empty() { "migration".to_owned() } else { words }
}

/// The text of a script, with our directive if it runs without a transaction.
fn body(script: &Script) -> String {
    let says = script.text().lines().any(|line| line.trim_start_matches('-').trim() == "migrate: no-transaction");
    let head = if script.directives().no_transaction && !says { "-- migrate: no-transaction\n" } else { "" };
    let lines: Vec<&str> = script.text().lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    let text = text.trim_matches('\n');
    match migrate_base::sql::split(text).0.is_empty() {
        true => format!("{head}{text}\nSELECT;\n").trim_start().to_owned(),
        false => format!("{head}{text}\n"),
    }
}

fn tell(context: &Context<'_>, document: &ConvertJson, drafts: usize) {
    let output = context.output;
    let migrations = style::count(document.migrations, "migration");
    if !document.written {
        let created = style::count(drafts, "file");
        output.line(format!("  would convert {BOLD}{migrations}{BOLD:#} of {} into {created}", document.from));
        output.next("`cargo xtask adopt --convert --yes` replaces the files; no database is changed");
        return;
    }
    let (created, removed) =
        (style::count(document.created.len(), "file"), style::count(document.removed.len(), "file"));
    output.line(format!("  {} {migrations} of {}", paint(GOOD, "converted"), document.from));
    output.line(format!("  {}  {created}", paint(GOOD, "created")));
    output.line(format!("  {}  {removed}", paint(BAD, "removed")));
    let folder = context.folder();
    let is_empty = folder.is_ok_and(|one| one.skip.is_empty() && one.whole.is_empty() && one.placeholders.is_empty());
    let more = if is_empty { "" } else { ", with `skip`, `whole` and `[placeholders]`," };
    output.next(format!(
        "remove `layout = \"{}\"`{more} from migrate.toml; `cargo xtask status --env NAME` then shows that nothing is \
         pending where everything was applied",
        document.from
    ));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use migrate_core::MigrationFolder;
    use proptest::prelude::*;

    use super::*;

    /// What a chain does: the statements of each script, in order, and how it runs.
    fn statements(set: &MigrationSet) -> Vec<(Vec<String>, Option<Vec<String>>, bool)> {
        let of = |script: &Script| {
            let text = script.text();
            script.statements().iter().map(|one| text[one.span.clone()].to_owned()).collect::<Vec<_>>()
        };
        let meant =
            |statements: Vec<String>| -> Vec<String> { statements.into_iter().filter(|one| one != "SELECT").collect() };
        set.iter()
            .map(|one| {
                let up = one.up_script().unwrap();
                (meant(of(up)), one.down_script().map(|down| meant(of(down))), up.directives().no_transaction)
            })
            .collect()
    }

    /// The files of a migration with these statements in the form of a layout.
    fn written(layout: Layout, number: u32, ups: &[String], downs: &[String]) -> BTreeMap<String, String> {
        let (up, down) = (ups.concat(), downs.concat());
        let files = match layout {
            Layout::Goose => vec![(
                format!("{number:05}_a.sql"),
                format!("-- +goose Up\n-- +goose StatementBegin\n{up}-- +goose StatementEnd\n-- +goose Down\n{down}"),
            )],
            Layout::Dbmate => {
                vec![(format!("{number:05}_A b.sql"), format!("-- migrate:up\n{up}\n-- migrate:down\n{down}"))]
            }
            Layout::Tern => {
                vec![(format!("{number:03}_a.sql"), format!("{up}\n---- create above / drop below ----\n{down}"))]
            }
            Layout::Flyway => vec![(format!("V{number}.5__A_b.sql"), up), (format!("U{number}.5__A_b.sql"), down)],
            Layout::Diesel => vec![
                (format!("2024-01-01-{number:06}_a/up.sql"), up),
                (format!("2024-01-01-{number:06}_a/down.sql"), down),
            ],
            Layout::Prisma => vec![(format!("{number:05}_a/migration.sql"), up)],
            Layout::SqlMigrate => {
                vec![(format!("{number:05}-a.sql"), format!("-- +migrate Up\n{up}\n-- +migrate Down\n{down}"))]
            }
            Layout::NodePgMigrate => {
                let text = format!("-- Up Migration\n{up}\n-- Down Migration\n{down}");
                vec![(format!("17000000{number:05}_a.sql"), text)]
            }
            Layout::Liquibase => {
                let rollback: String = down.lines().map(|line| format!("--rollback {line}\n")).collect();
                let head = "--liquibase formatted sql\n--changeset a:b";
                vec![(format!("{number:05}_a.sql"), format!("{head}\n{up}{rollback}"))]
            }
            Layout::Refinery => vec![(format!("V{number}__a.sql"), up)],
            Layout::Drizzle => vec![(format!("{number:04}_a.sql"), up.replace(";\n", ";\n--> statement-breakpoint\n"))],
            Layout::GraphileMigrate => {
                vec![(format!("committed/{number:06}.sql"), format!("--! Previous: -\n--! Hash: x\n\n{up}"))]
            }
            Layout::Supabase | Layout::Atlas => vec![(format!("{number:014}_a.sql"), up)],
            Layout::Sqitch => {
                vec![(format!("deploy/c{number}.sql"), up), (format!("revert/c{number}.sql"), down)]
            }
            Layout::Yoyo => {
                vec![(format!("{number:04}.a.sql"), up), (format!("{number:04}.a.rollback.sql"), down)]
            }
            Layout::Postgrator => {
                vec![(format!("{number:03}.do.a.sql"), up), (format!("{number:03}.undo.a.sql"), down)]
            }
            _ => vec![(format!("{number}_a.up.sql"), up), (format!("{number}_a.down.sql"), down)],
        };
        files.into_iter().collect()
    }

    /// The list that a tool keeps of its migrations, if it keeps one.
    fn list(layout: Layout, numbers: &[u32]) -> Option<(&'static str, String)> {
        match layout {
            Layout::Drizzle => {
                let entry = |number: &u32| format!(r#"{{"idx": {number}, "when": {number}, "tag": "{number:04}_a"}}"#);
                let entries: Vec<String> = numbers.iter().map(entry).collect();
                Some(("meta/_journal.json", format!(r#"{{"entries": [{}]}}"#, entries.join(", "))))
            }
            Layout::Sqitch => {
                let change = |number: &u32| format!("c{number} 2024-01-01T00:00:{number:02}Z Ann <a@x>\n");
                let changes: String = numbers.iter().map(change).collect();
                Some(("sqitch.plan", format!("%syntax-version=1.0.0\n%project=x\n\n{changes}")))
            }
            _ => None,
        }
    }

    /// Every layout but ours.
    fn layout() -> impl Strategy<Value = Layout> {
        let all: Vec<Layout> = Layout::names().into_iter().map(|name| name.parse().unwrap()).collect();
        prop::sample::select(all.into_iter().filter(|layout| *layout != Layout::Roundtrip).collect::<Vec<_>>())
    }

    fn statement() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "CREATE TABLE t (a int);\n",
            "SELECT 'a;b', $$ x; $$;\n",
            "-- remark\nUPDATE t SET a = 1;\n",
            "/* x; */ DELETE FROM t WHERE a = 1;\n",
            "INSERT INTO t VALUES (1);\n",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        /// Law: files → ours keeps statements and order, and every version of ours is known to be the old one.
        #[test]
        fn a_converted_chain_has_the_same_statements_in_the_same_order(
            layout in layout(),
            chain in prop::collection::vec(
                (prop::collection::vec(statement(), 1..4), prop::collection::vec(statement(), 0..3)),
                1..6,
            ),
        ) {
            let there = tempfile::tempdir().unwrap();
            for ((ups, downs), number) in chain.iter().zip(1..) {
                for (name, text) in written(layout, number * 7, ups, downs) {
                    let path = there.path().join(name);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, text).unwrap();
                }
            }
            let numbers: Vec<u32> = (1..=u32::try_from(chain.len()).unwrap()).map(|number| number * 7).collect();
            if let Some((name, text)) = list(layout, &numbers) {
                fs::create_dir_all(there.path().join(name).parent().unwrap()).unwrap();
                fs::write(there.path().join(name), text).unwrap();
            }
            let set = MigrationFolder::new(there.path(), layout).load().unwrap();
            prop_assert_eq!(set.len(), chain.len());
            let drafts = drafts(&set, layout).unwrap();
            let removed = old_files(&set, layout);
            refuse_others(there.path(), &drafts, &removed).unwrap();
            let created = replace::replace(there.path(), &drafts, &removed).unwrap();
            prop_assert!(!created.is_empty() && removed.iter().all(|path| !path.exists()));
            let ours = MigrationFolder::new(there.path(), Layout::Roundtrip).load().unwrap();
            prop_assert_eq!(statements(&ours), statements(&set));
            let was: Vec<_> = ours.iter().map(|one| one.was().unwrap().version.clone()).collect();
            prop_assert_eq!(was, set.iter().map(|one| one.version().clone()).collect::<Vec<_>>());
        }
    }
}
