//! graphile-migrate and yoyo, whose files have numbers and something at their heads.

use std::collections::BTreeSet;
use std::path::Path;

use migrate_base::error::Result;

use super::listing::{FolderEntry, FolderListing};
use super::{ForeignMigration, ForeignScript, Layout, Version, placeholder, unread};

/// The migrations of graphile-migrate: the files in `committed`. What is not committed yet is not part of the chain.
pub(super) fn graphile(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let inside = listing.folder.path.join("committed");
    let files = if inside.is_dir() { listing.entries_of(&inside)? } else { listing.entries()? };
    let mut drafts = Vec::new();
    for (file, path) in files.into_iter().filter(|(file, _)| file.ends_with(".sql") && file != "current.sql") {
        let stem = file.trim_end_matches(".sql");
        let (digits, name) = stem.split_once('-').unwrap_or((stem, ""));
        let Ok(version) = digits.parse::<Version>() else {
            listing.misnamed(&path, format!("`{file}` does not begin with a number"), "name it `<digits>-<name>.sql`");
            continue;
        };
        let Some(mut script) = listing.script(&path) else { continue };
        script.no_transaction = header(&script.text, "--!").any(|line| line.eq_ignore_ascii_case("no-transaction"));
        listing.fill(&mut script, placeholder::fill_colons);
        drafts.push(ForeignMigration::sql(version, name.to_owned(), script, None));
    }
    Ok(drafts)
}

/// The lines at the head of a file that begin with a mark, without it.
fn header<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = &'t str> {
    let lines = text.lines().take_while(|line| line.starts_with("--") || line.trim().is_empty());
    lines.filter_map(move |line| line.strip_prefix(mark)).map(str::trim)
}

/// The migrations of yoyo: `0001.name.sql` and `0001.name.rollback.sql`, after those that they depend on.
pub(super) fn yoyo(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let files = listing.entries()?;
    let names: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let mut drafts: Vec<YoyoMigration> = Vec::new();
    for (file, path) in &files {
        let is_sql = file.ends_with(".sql") && !file.ends_with(".rollback.sql");
        let is_python = file.ends_with(".py") && !file.starts_with('_');
        if !(is_sql || is_python) {
            continue;
        }
        if file.starts_with("post-apply") {
            listing.findings.push(unread::not_run(Layout::Yoyo, path, "it runs after each migration"));
            continue;
        }
        let stem = file.trim_end_matches(".sql").trim_end_matches(".py");
        let Some(version) = yoyo_version(stem) else {
            let form = "name it `<digits>.<name>.sql` or `<digits>_<digits>_<name>.sql`";
            listing.misnamed(path, format!("`{file}` does not begin with a number"), form);
            continue;
        };
        let rollback = format!("{stem}.rollback.sql");
        let rollback = names.contains(rollback.as_str()).then(|| path.with_file_name(&rollback));
        drafts.extend(YoyoMigration::read(listing, stem, version, (path, is_sql), rollback.as_deref()));
    }
    Ok(in_order(drafts))
}

/// A migration of yoyo, and the names of those that it depends on.
struct YoyoMigration {
    name: String,
    depends: Vec<String>,
    draft: ForeignMigration,
}

impl YoyoMigration {
    fn read(
        listing: &mut FolderListing<'_>,
        stem: &str,
        version: Version,
        (path, is_sql): (&Path, bool),
        rollback: Option<&Path>,
    ) -> Option<Self> {
        let words = stem.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '.').to_owned();
        let text = listing.text(path)?;
        let depends = header(&text, "--").filter_map(|line| line.strip_prefix("depends:"));
        let depends = depends.flat_map(str::split_whitespace).map(str::to_owned).collect();
        let is_outside = header(&text, "--").any(|line| line.replace(' ', "") == "transactional:false");
        let script = |text: String, path: &Path| ForeignScript {
            path: path.to_owned(),
            text,
            raw: None,
            no_transaction: is_outside,
        };
        let down = rollback.and_then(|path| Some(script(listing.text(path)?, path)));
        let draft = match is_sql {
            true => ForeignMigration::sql(version, words, script(text, path), down),
            false => listing.code(version, words, path.to_owned())?,
        };
        Some(Self { name: stem.to_owned(), depends, draft })
    }
}

/// The number at the start of a name: `0001.create`, `20240101_01_abcde-create`, whose version is `20240101.01`.
fn yoyo_version(stem: &str) -> Option<Version> {
    let mut parts = stem.split(['_', '.', '-']);
    let first: Version = parts.next()?.parse().ok()?;
    match parts.next().filter(|part| first.as_str().len() == 8 && part.len() == 2) {
        Some(second) => format!("{first}.{second}").parse().ok().or(Some(first)),
        None => Some(first),
    }
}

/// Each migration after those that it depends on, otherwise by name; what depends on itself comes last.
fn in_order(mut left: Vec<YoyoMigration>) -> Vec<ForeignMigration> {
    let all: BTreeSet<String> = left.iter().map(|one| one.name.clone()).collect();
    let (mut done, mut drafts) = (BTreeSet::new(), Vec::new());
    while !left.is_empty() {
        let is_ready = |one: &YoyoMigration| one.depends.iter().all(|name| done.contains(name) || !all.contains(name));
        let next = left.remove(left.iter().position(is_ready).unwrap_or(0));
        done.insert(next.name);
        drafts.push(next.draft);
    }
    drafts
}

/// Whether the names of a folder are those of yoyo.
pub(super) fn is_yoyo(files: &[FolderEntry]) -> bool {
    files.iter().any(|(name, _)| name.ends_with(".rollback.sql"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_yoyo_is_its_number() {
        let version = |stem: &str| yoyo_version(stem).map(|version| version.to_string());
        assert_eq!(version("0001.create-users").as_deref(), Some("0001"));
        assert_eq!(version("20240101_02_aBcDe-create").as_deref(), Some("20240101.02"));
        assert_eq!((version("3").as_deref(), version("create")), (Some("3"), None));
    }

    #[test]
    fn what_a_migration_depends_on_comes_before_it() {
        let one = |name: &str, depends: &[&str]| YoyoMigration {
            name: name.to_owned(),
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            draft: ForeignMigration::sql(
                1.into(),
                name.to_owned(),
                ForeignScript { path: name.into(), text: String::new(), raw: None, no_transaction: false },
                None,
            ),
        };
        let names = |drafts| in_order(drafts).into_iter().map(|draft| draft.name).collect::<Vec<_>>().concat();
        assert_eq!(names(vec![one("a", &["c"]), one("b", &[]), one("c", &["gone"])]), "bca");
        assert_eq!(names(vec![one("a", &["b"]), one("b", &["a"])]), "ab");
    }
}
