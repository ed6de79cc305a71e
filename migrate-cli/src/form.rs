//! New migrations in the form of the folder that they are written into.
//!
//! Inside the program a new migration is always a pair of drafts, `<version>_<name>.up.sql` and `.down.sql`. Only here,
//! before it is written, it gets the files of the tool.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use migrate_base::codes;
use migrate_core::{Layout, Migration, MigrationFolder, MigrationSet, Version};

use crate::exit::{Failure, Result};
use crate::files::{self, FileDraft};

/// The first version in an empty folder of a tool that counts.
const FIRST: &str = "0001";
/// How many digits a time in milliseconds has.
const MILLISECONDS: usize = 13;

/// Writes migrations into the migrations folder, in the form of its layout. The folder is created if it is missing.
pub(crate) fn write(folder: &MigrationFolder, drafts: &[FileDraft]) -> Result<Vec<PathBuf>> {
    let drafts = in_layout(folder, drafts)?;
    let mut written = Vec::new();
    for (name, text) in &drafts {
        let path = folder.path.join(name);
        let parent = path.parent().unwrap_or(&folder.path);
        fs::create_dir_all(parent).map_err(|error| files::cannot(parent, &error))?;
        // `create_new` never overwrites, even if two processes write at the same time.
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| files::cannot(&path, &error))?;
        written.push(path);
    }
    if let Err(error) = unread(folder) {
        written.iter().for_each(|path| drop(fs::remove_file(path)));
        return Err(error);
    }
    Ok(written)
}

/// The failure if what was written in the form of another tool cannot be read as it was meant: a line of a function may
/// look like a marker of the tool.
fn unread(folder: &MigrationFolder) -> Result<()> {
    if folder.layout == Layout::Roundtrip {
        return Ok(());
    }
    let loaded = folder.load();
    loaded.map(drop).map_err(|error| Failure::Core(error.note("nothing was written: it could not be read again")))
}

/// The version of the next migration in a folder: a time, or the next number if the folder counts.
pub(crate) fn next_version(folder: &MigrationFolder) -> Result<Version> {
    refuse(folder.layout)?;
    if folder.layout == Layout::Roundtrip {
        return files::next_version(&folder.path);
    }
    let set = existing(folder)?;
    let now = files::at(SystemTime::now());
    let next = match set.last().map(|last| last.version().as_str()) {
        None if counts(folder.layout) => version(FIRST, now),
        None if folder.layout == Layout::NodePgMigrate => milliseconds(now),
        None => now,
        Some(newest) => after(newest, now),
    };
    // The first changeset of a new file.
    let position = if folder.layout == Layout::Liquibase { ".1" } else { "" };
    Ok(version(&format!("{next}{position}"), next))
}

/// The version after another one: the next number of its kind.
pub(crate) fn after(newest: &str, now: Version) -> Version {
    let plain = newest.split('.').next().unwrap_or(newest);
    match plain.len() {
        files::DIGITS => {
            let next = files::after(&version(plain, now.clone()));
            if next > now { next } else { now }
        }
        MILLISECONDS => {
            let (next, now) = (counted(plain, &now), milliseconds(now));
            if next > now { next } else { now }
        }
        _ => counted(plain, &now),
    }
}

/// The next number, with as many digits.
fn counted(plain: &str, otherwise: &Version) -> Version {
    let next = plain.parse::<u64>().ok().and_then(|number| number.checked_add(1));
    next.map_or(otherwise.clone(), |next| version(&format!("{next:0width$}", width = plain.len()), otherwise.clone()))
}

fn version(text: &str, otherwise: Version) -> Version {
    text.parse().unwrap_or(otherwise)
}

fn milliseconds(otherwise: Version) -> Version {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(otherwise.clone(), |time| version(&time.as_millis().to_string(), otherwise))
}

/// Whether the tool numbers its files, and does not use times.
fn counts(layout: Layout) -> bool {
    matches!(
        layout,
        Layout::Flyway | Layout::Refinery | Layout::Tern | Layout::Postgrator | Layout::Yoyo | Layout::Liquibase
    )
}

/// The migrations of a folder, which may not exist yet.
fn existing(folder: &MigrationFolder) -> Result<MigrationSet> {
    if folder.path.exists() { Ok(folder.load()?) } else { Ok(MigrationSet::default()) }
}

/// Refuses a folder in which only the tool itself can add a file.
pub(crate) fn refuse(layout: Layout) -> Result<()> {
    let command = match layout {
        Layout::Drizzle => "drizzle-kit generate --custom --name NAME",
        Layout::GraphileMigrate => "graphile-migrate commit",
        Layout::Sqitch => "sqitch add NAME",
        Layout::Atlas => "atlas migrate new NAME",
        _ => return Ok(()),
    };
    Err(Failure::usage(
        codes::LAYOUT,
        format!("{layout} keeps a list of its migrations, which only {layout} can write"),
    )
    .help(format!("create the migration with `{command}`, and write the SQL into it")))
}

/// The files of these drafts in the form of the folder.
fn in_layout(folder: &MigrationFolder, drafts: &[FileDraft]) -> Result<Vec<FileDraft>> {
    if folder.layout == Layout::Roundtrip {
        return Ok(drafts.to_vec());
    }
    refuse(folder.layout)?;
    let set = existing(folder)?;
    let has_downs = is_with_downs(&set);
    // Flyway can be told to have no prefix.
    let begins = |one: &Arc<Migration>| one.path().file_name().and_then(|name| name.to_str()?.chars().next());
    let prefix = if set.last().and_then(begins).is_some_and(|first| first.is_ascii_digit()) { "" } else { "V" };
    let ups = drafts.iter().filter_map(|(name, text)| Some((name.strip_suffix(".up.sql")?, text)));
    Ok(ups
        .flat_map(|(stem, up)| {
            let (version, name) = stem.split_once('_').unwrap_or((stem, ""));
            let down = drafts.iter().find(|(name, _)| name.strip_suffix(".down.sql") == Some(stem));
            let down = down.map(|(_, text)| text.as_str()).filter(|_| has_downs);
            NewMigration { version, name, up, down, prefix }.files(folder.layout)
        })
        .collect())
}

/// The file of the down script for an up script, in a layout that has one.
pub(crate) fn down_path(layout: Layout, up: &Path) -> Option<PathBuf> {
    let name = up.file_name()?.to_str()?;
    let down = match layout {
        Layout::Sqlx | Layout::GolangMigrate => format!("{}.down.sql", name.strip_suffix(".up.sql")?),
        Layout::Diesel => "down.sql".to_owned(),
        Layout::Flyway => format!("U{}", name.strip_prefix('V').unwrap_or(name)),
        Layout::Postgrator => name.replacen(".do.", ".undo.", 1),
        Layout::Yoyo => format!("{}.rollback.sql", name.strip_suffix(".sql")?),
        _ => return None,
    };
    Some(up.with_file_name(down))
}

/// Whether the migrations of a folder have down scripts. A folder without any gets none.
pub(crate) fn has_downs(folder: &MigrationFolder) -> Result<bool> {
    Ok(folder.layout == Layout::Roundtrip || is_with_downs(&existing(folder)?))
}

fn is_with_downs(set: &MigrationSet) -> bool {
    set.is_empty() || !set.iter().all(|one| one.is_up_only())
}

/// A migration that is about to be written.
struct NewMigration<'d> {
    version: &'d str,
    name: &'d str,
    up: &'d str,
    down: Option<&'d str>,
    /// What an up script of Flyway begins with.
    prefix: &'d str,
}

impl NewMigration<'_> {
    fn files(&self, layout: Layout) -> Vec<FileDraft> {
        let Self { version, name, up, prefix, .. } = self;
        let outside = self.up.lines().any(|line| line.trim() == "-- migrate: no-transaction");
        let alone = self.down.is_none();
        match layout {
            Layout::Sqlx if alone => {
                vec![(format!("{version}_{name}.sql"), self.first_line(outside, "-- no-transaction"))]
            }
            Layout::Sqlx | Layout::GolangMigrate => {
                let up = self.first_line(outside && layout == Layout::Sqlx, "-- no-transaction");
                self.pair(format!("{version}_{name}.up.sql"), up, format!("{version}_{name}.down.sql"))
            }
            Layout::Diesel => {
                let folder = format!("{}_{name}", dashed(version));
                let mut files = self.pair(format!("{folder}/up.sql"), (*up).to_owned(), format!("{folder}/down.sql"));
                if outside {
                    files.push((format!("{folder}/metadata.toml"), "run_in_transaction = false\n".to_owned()));
                }
                files
            }
            Layout::Flyway => {
                let file = format!("{prefix}{version}__{name}.sql");
                let options = outside.then(|| (format!("{file}.conf"), "executeInTransaction=false\n".to_owned()));
                let mut files = self.pair(file, (*up).to_owned(), format!("U{version}__{name}.sql"));
                files.extend(options);
                files
            }
            Layout::Liquibase => {
                vec![(format!("{}_{name}.sql", version.trim_end_matches(".1")), self.changeset(outside))]
            }
            Layout::Refinery => vec![(format!("V{version}__{name}.sql"), (*up).to_owned())],
            Layout::Prisma => vec![(format!("{version}_{name}/migration.sql"), (*up).to_owned())],
            Layout::Postgrator => {
                self.pair(format!("{version}.do.{name}.sql"), (*up).to_owned(), format!("{version}.undo.{name}.sql"))
            }
            Layout::Yoyo => {
                let up = self.first_line(outside, "-- transactional: false");
                self.pair(format!("{version}.{name}.sql"), up, format!("{version}.{name}.rollback.sql"))
            }
            Layout::Dbmate | Layout::Goose | Layout::SqlMigrate | Layout::NodePgMigrate | Layout::Tern => {
                vec![(format!("{version}_{name}.sql"), self.one_file(layout, outside))]
            }
            // Supabase; and Drizzle, graphile-migrate, Atlas and sqitch were refused before.
            _ => vec![(format!("{version}_{name}.sql"), (*up).to_owned())],
        }
    }

    fn pair(&self, up_file: String, up: String, down_file: String) -> Vec<FileDraft> {
        let down = self.down.map(|down| (down_file, down.to_owned()));
        std::iter::once((up_file, up)).chain(down).collect()
    }

    /// The up script, after a line that only the tool reads.
    fn first_line(&self, is_wanted: bool, line: &str) -> String {
        if is_wanted { format!("{line}\n{}", self.up) } else { self.up.to_owned() }
    }

    /// A file with one changeset.
    fn changeset(&self, outside: bool) -> String {
        let option = if outside { " runInTransaction:false" } else { "" };
        let rollback = self.down.unwrap_or_default().trim_end().lines().map(|line| format!("--rollback {line}\n"));
        format!(
            "--liquibase formatted sql\n\n--changeset roundtrip:{}{option} splitStatements:false\n{}\n{}",
            self.name,
            self.up.trim_end(),
            rollback.collect::<String>()
        )
    }

    /// Both scripts in one file, each after its marker.
    fn one_file(&self, layout: Layout, outside: bool) -> String {
        let option = |word: &'static str| if outside { word } else { "" };
        let (up, down) = match layout {
            Layout::Dbmate => {
                let option = option(" transaction:false");
                (format!("-- migrate:up{option}"), format!("-- migrate:down{option}"))
            }
            Layout::SqlMigrate => {
                let option = option(" notransaction");
                (format!("-- +migrate Up{option}"), format!("-- +migrate Down{option}"))
            }
            Layout::Goose => {
                (format!("{}-- +goose Up", option("-- +goose NO TRANSACTION\n")), "-- +goose Down".to_owned())
            }
            Layout::Tern => {
                (option("---- tern: disable-tx ----").to_owned(), "---- create above / drop below ----".to_owned())
            }
            _ => ("-- Up Migration".to_owned(), "-- Down Migration".to_owned()),
        };
        let mark = match layout {
            Layout::Goose => Some(("-- +goose StatementBegin", "-- +goose StatementEnd")),
            Layout::SqlMigrate => Some(("-- +migrate StatementBegin", "-- +migrate StatementEnd")),
            _ => None,
        };
        // These two split a script at every semicolon, also inside of a function.
        let body = |text: &str| match mark.filter(|_| text.contains('$') || text.contains("BEGIN ATOMIC")) {
            Some((begin, end)) => format!("{begin}\n{}\n{end}", text.trim_end()),
            None => text.trim_end().to_owned(),
        };
        let down = self.down.map_or(String::new(), |text| format!("\n{down}\n{}\n", body(text)));
        format!("{up}\n{}\n{down}", body(self.up)).trim_start_matches('\n').to_owned()
    }
}

/// The version of diesel: `2024-01-01-000000`.
fn dashed(version: &str) -> String {
    let part = |range: std::ops::Range<usize>| version.get(range);
    match (part(0..4), part(4..6), part(6..8), part(8..14)) {
        (Some(year), Some(month), Some(day), Some(time)) if version.len() == files::DIGITS => {
            format!("{year}-{month}-{day}-{time}")
        }
        _ => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_is_of_the_kind_of_the_newest() {
        let now: Version = "20260101000000".parse().unwrap();
        let next = |newest: &str| after(newest, now.clone()).to_string();
        assert_eq!(
            (next("009"), next("0001"), next("1.7"), next("9")),
            ("010".into(), "0002".into(), "2".into(), "10".into())
        );
        assert_eq!(next("20250101000000"), "20260101000000");
        assert_eq!(next("20270101000059"), "20270101000100");
        assert_eq!(next("9999999999998"), "9999999999999");
        assert!(next("1700000000000").len() == 13 && *next("1700000000000") > *"1700000000000");
    }

    /// Law: what is written in the form of a layout is read back as the same migration, after those that are there.
    #[test]
    fn what_is_written_in_the_form_of_a_layout_is_read_back() {
        let up = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\nCREATE TABLE t (a int);\n";
        let down = "DROP TABLE t;\nDROP FUNCTION f();\n";
        let layouts: Vec<Layout> = Layout::names().into_iter().map(|name| name.parse().unwrap()).collect();
        let (mut written, mut refused) = (0, 0);
        for layout in layouts {
            let there = tempfile::tempdir().unwrap();
            let folder = MigrationFolder::new(there.path(), layout);
            for name in ["one", "two", "three"] {
                let Ok(version) = next_version(&folder) else {
                    refused += 1;
                    break;
                };
                let drafts = files::pair(&version, name, up.to_owned(), down.to_owned());
                let files = write(&folder, &drafts).unwrap();
                assert!(files.iter().all(|path| path.is_file()), "{layout} {files:?}");
                let set = folder.load().unwrap();
                let last = set.last().unwrap();
                assert_eq!((last.name(), last.version()), (name, &version), "{layout}");
                assert_eq!(last.up_script().unwrap().text().trim(), up.trim(), "{layout}");
                // Liquibase has its rollback in comments.
                let lines = |text: &str| text.trim().lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
                let read_down = last.down_script().map(|script| lines(script.text()));
                assert!(read_down.is_none_or(|text| text == lines(down)), "{layout}");
                written += 1;
            }
        }
        assert_eq!((written, refused), (48, 4));
    }

    /// A script without a transaction says so to its tool as well.
    #[test]
    fn a_script_without_a_transaction_says_so_to_its_tool() {
        let up = "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);\n";
        for (layout, mark) in [
            (Layout::Sqlx, "-- no-transaction\n"),
            (Layout::Diesel, "run_in_transaction = false"),
            (Layout::Dbmate, "migrate:up transaction:false"),
            (Layout::Goose, "-- +goose NO TRANSACTION\n"),
            (Layout::SqlMigrate, "+migrate Up notransaction"),
            (Layout::Tern, "---- tern: disable-tx ----"),
            (Layout::Flyway, "executeInTransaction=false"),
            (Layout::Yoyo, "-- transactional: false"),
        ] {
            let there = tempfile::tempdir().unwrap();
            let folder = MigrationFolder::new(there.path(), layout);
            let version = next_version(&folder).unwrap();
            let drafts = files::pair(&version, "a", up.to_owned(), "DROP INDEX i;\n".to_owned());
            let files = write(&folder, &drafts).unwrap();
            let texts: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
            assert!(texts.contains(mark), "{layout}: {texts}");
            assert!(
                folder.load().unwrap().last().unwrap().up_script().unwrap().directives().no_transaction,
                "{layout}"
            );
        }
    }
}
