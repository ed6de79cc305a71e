//! `adopt --convert`: turn a folder of another tool into ours. Ledgers stay as they are: each new file says what it
//! was.

use std::path::PathBuf;

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
    let old = old_files(&set);
    replace::refuse_uncommitted(&context.migrations, &old)?;
    let drafts = drafts(&set, context.layout)?;
    let mut document = ConvertJson {
        from: context.layout.to_string(),
        migrations: set.len(),
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

/// The files of all migrations.
fn old_files(set: &MigrationSet) -> Vec<PathBuf> {
    let of = |one: &Migration| {
        let down = one.down_script().map(|script| script.path().to_owned());
        std::iter::once(one.path().to_owned()).chain(down).collect::<Vec<_>>()
    };
    let mut files: Vec<PathBuf> = set.iter().flat_map(|one| of(one)).collect();
    files.sort();
    files.dedup();
    files
}

/// The new files: statements and order are those of the old ones.
fn drafts(set: &MigrationSet, layout: Layout) -> Result<Vec<FileDraft>> {
    let versions = versions(set);
    let mut drafts = Vec::new();
    for (one, version) in set.iter().zip(versions) {
        let Some(up) = one.up_script() else { continue };
        let name = name(one.name());
        let mut head = format!("-- migrate: was {} {}\n", one.version(), one.up_checksum());
        if one.is_up_only() {
            head += &format!("-- migrate: irreversible the {layout} files had no down script\n");
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
/// numbers from before every time.
pub(super) fn versions(set: &MigrationSet) -> Vec<String> {
    let padded = |version: &Version| {
        let text = version.as_str();
        let digits = text.trim_start_matches('0');
        (text.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= DIGITS)
            .then(|| format!("{digits:0>DIGITS$}"))
    };
    let kept: Option<Vec<String>> = set.iter().map(|one| padded(one.version())).collect();
    kept.unwrap_or_else(|| (BEFORE_TIME..).take(set.len()).map(|number| number.to_string()).collect())
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
    output.next(format!(
        "remove `layout = \"{}\"` from migrate.toml; `cargo xtask status --env NAME` then shows that nothing is \
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
            _ => vec![(format!("{number}_a.up.sql"), up), (format!("{number}_a.down.sql"), down)],
        };
        files.into_iter().collect()
    }

    fn layout() -> impl Strategy<Value = Layout> {
        prop::sample::select(vec![
            Layout::Goose,
            Layout::Dbmate,
            Layout::Tern,
            Layout::Flyway,
            Layout::Diesel,
            Layout::Prisma,
            Layout::GolangMigrate,
            Layout::Sqlx,
        ])
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
            let set = MigrationFolder::new(there.path(), layout).load().unwrap();
            let drafts = drafts(&set, layout).unwrap();
            let removed = old_files(&set);
            let created = replace::replace(there.path(), &drafts, &removed).unwrap();
            prop_assert!(!created.is_empty() && removed.iter().all(|path| !path.exists()));
            let ours = MigrationFolder::new(there.path(), Layout::Roundtrip).load().unwrap();
            prop_assert_eq!(statements(&ours), statements(&set));
            let was: Vec<_> = ours.iter().map(|one| one.was().unwrap().version.clone()).collect();
            prop_assert_eq!(was, set.iter().map(|one| one.version().clone()).collect::<Vec<_>>());
        }
    }
}
