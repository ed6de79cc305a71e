//! Flyway and refinery, which name files `V1.2__name.sql`.

use std::path::Path;

use migrate_base::error::Result;

use super::listing::FolderListing;
use super::pairs::{FilePairs, ForeignFileName};
use super::{ForeignMigration, ForeignScript, Layout, Version, placeholder, unread};

const FORM: &str = "name it `V<version>__<anything>.sql` (or all of them without `V`), `U<version>__<anything>.sql` or \
                    `R__<anything>.sql`; \
                    if it is no migration, leave it out: `skip` in migrate.toml";

/// The events of Flyway before or after which a file with this name runs begin with one of these words.
///
/// See <https://documentation.red-gate.com/flyway/reference/callback-events>.
const EVENTS: [&str; 3] = ["before", "after", "createSchema"];

/// `V1.2__Add_users.sql`, `U1.2__Add_users.sql`, of any language; an underscore in the version is a dot.
pub(super) fn versioned(file: &str) -> Option<ForeignFileName> {
    let (stem, _) = file.rsplit_once('.')?;
    let up = match stem.chars().next()? {
        'V' => true,
        'U' => false,
        _ => return None,
    };
    let (version, name) = stem[1..].split_once("__")?;
    Some(ForeignFileName { version: version.replace('_', ".").parse().ok()?, name: name.to_owned(), up, alone: false })
}

/// `R__Add_views.sql`: the name after the mark, in which a space is an underscore, as in Flyway's ledger.
fn repeatable(file: &str) -> Option<String> {
    let name = file.strip_suffix(".sql")?.strip_prefix("R__")?;
    (!name.is_empty()).then(|| name.replace(' ', "_"))
}

/// The migrations of Flyway, which reads folders inside the folder as well.
pub(super) fn flyway(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let (mut sorted, mut repeatables, mut misnamed) = (FilePairs::default(), Vec::new(), Vec::new());
    let files = listing.files_below()?;
    let is_up = |file: &str| versioned(file).is_some_and(|name| name.up);
    // `sqlMigrationPrefix` may be empty: then no file has the usual one.
    let is_bare = !files.iter().any(|(file, _)| is_up(file));
    for (file, path) in files {
        if let Some(what) = not_versioned(&file) {
            listing.findings.push(unread::not_run(Layout::Flyway, &path, what));
            continue;
        }
        if file.starts_with("R__") && is_code(&path) {
            listing.findings.push(unread::not_run(Layout::Flyway, &path, "a repeatable migration that is not SQL"));
            continue;
        }
        if let Some(name) = repeatable(&file) {
            let Some(mut script) = script(listing, &path) else { continue };
            // Flyway runs it again if a value is another one.
            script.raw = None;
            repeatables.push(ForeignMigration::sql(Version::repeatable(&name), name, script, None));
            continue;
        }
        match versioned(&file).or_else(|| is_bare.then(|| versioned(&format!("V{file}"))).flatten()) {
            Some(name) if !file.ends_with(".sql") && name.up && is_code(&path) => {
                sorted.ups.extend(listing.code(name.version, name.name, path));
            }
            Some(name) if file.ends_with(".sql") => {
                let Some(script) = script(listing, &path) else { continue };
                sorted.add(name, script);
            }
            None if file.ends_with(".sql") => misnamed.push((file, path)),
            _ => {}
        }
    }
    let mut drafts = sorted.combined(&mut listing.findings);
    drafts.append(&mut repeatables);
    // Flyway itself ignores such files, unless its settings have another prefix: then they are migrations. In a folder
    // without any, they are those of another tool.
    let is_beside = |path: &Path| !drafts.is_empty() || path.parent() == Some(&*listing.folder.path);
    for (file, path) in misnamed.into_iter().filter(|(_, path)| is_beside(path)).collect::<Vec<_>>() {
        listing.misnamed(&path, format!("`{file}` is not a migration file name"), FORM);
    }
    Ok(drafts)
}

/// A script with the options beside it, and with its placeholders filled.
fn script(listing: &mut FolderListing<'_>, path: &Path) -> Option<ForeignScript> {
    let mut script = listing.script(path)?;
    script.no_transaction = listing.text_beside(path, ".conf").is_some_and(|text| outside(&text));
    listing.fill(&mut script, placeholder::fill_braces);
    Some(script)
}

/// Whether the options beside a script say that it runs without a transaction.
fn outside(options: &str) -> bool {
    options.lines().any(|line| line.replace(' ', "") == "executeInTransaction=false")
}

/// The migrations of refinery, which reads folders inside the folder as well: `V` and `U` differ in how strictly their
/// versions are checked, and both go up.
pub(super) fn refinery(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let mut drafts = Vec::new();
    for (file, path) in listing.files_below()? {
        let Some(name) = versioned(&file) else { continue };
        if file.ends_with(".rs") {
            drafts.extend(listing.code(name.version, name.name, path));
        } else if file.ends_with(".sql")
            && let Some(script) = listing.script(&path)
        {
            drafts.push(ForeignMigration::sql(name.version, name.name, script, None));
        }
    }
    Ok(drafts)
}

/// What a file is that Flyway runs beside the versioned migrations.
fn not_versioned(file: &str) -> Option<&'static str> {
    let stem = file.strip_suffix(".sql")?;
    let word = stem.split("__").next().unwrap_or(stem);
    let is_event = |event: &str| word.strip_prefix(event).is_some_and(|rest| !rest.contains(['_', ' ', '-']));
    if stem.starts_with('B') && stem.contains("__") && stem[1..].starts_with(|c: char| c.is_ascii_digit()) {
        Some("a baseline migration, which replaces all older ones in an empty database")
    } else if EVENTS.iter().any(|event| is_event(event)) {
        Some("a callback")
    } else {
        None
    }
}

/// Whether Flyway runs files with this extension.
fn is_code(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["java", "kt", "class", "sh", "bash", "py", "ps1", "bat", "cmd"].iter().any(|one| *one == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_flyway_are_read() {
        let shown = |file: &str| versioned(file).map(|n| format!("{} {} {}", n.version, n.name, n.up));
        assert_eq!(shown("V1_2__Add_users.sql").as_deref(), Some("1.2 Add_users true"));
        assert_eq!(shown("U10__x.sql").as_deref(), Some("10 x false"));
        assert_eq!(shown("V3__Fill.java").as_deref(), Some("3 Fill true"));
        assert_eq!((shown("R__views.sql"), shown("V__x.sql")), (None, None));
        assert_eq!((repeatable("R__all views.sql").as_deref(), repeatable("R_x.sql")), (Some("all_views"), None));
    }

    #[test]
    fn what_flyway_runs_beside_the_chain_is_known_by_its_name() {
        for file in ["B7__base.sql", "afterMigrate.sql", "beforeEachMigrate__x.sql", "createSchema.sql"] {
            assert!(not_versioned(file).is_some(), "{file}");
        }
        for file in ["V1__after.sql", "R__v.sql", "Bad__x.sql", "after_party.sql", "R__v.txt", "notes.sql"] {
            assert!(not_versioned(file).is_none(), "{file}");
        }
    }
}
