//! Finds the file of a migration by its key.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files in which a migration may be written.
const ENDINGS: [&str; 16] =
    ["py", "rb", "js", "ts", "mjs", "cjs", "mts", "cts", "exs", "php", "sql", "cs", "java", "kt", "go", "rs"];
/// Folders that no project writes its migrations in.
const ASIDE: [&str; 11] = [
    "node_modules",
    "site-packages",
    "__pycache__",
    "target",
    "vendor",
    "dist",
    "build",
    "_build",
    "deps",
    "bower_components",
    "tmp",
];
/// How many files are looked at.
const MOST: usize = 20_000;
/// How much of a file is searched for its key.
const HEAD: u64 = 4096;

/// The files of a project in which a migration may be written, those in the folder of the migrations first.
pub(super) fn candidates(project: &Path, folder: &Path) -> Vec<PathBuf> {
    let is_source = |file: &Path| file.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known));
    let mut files = below(folder, &|_| true);
    files.extend(below(project, &is_source).into_iter().filter(|file| !file.starts_with(folder)));
    // What rolls a migration back may have the same name.
    files.sort_by_key(|file| {
        let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        ["down", "rollback", "revert", "undo"].iter().any(|word| name.contains(&format!(".{word}")))
    });
    files
}

/// The files in a folder and those inside it, in the order of their names.
fn below(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(&at).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                let is_aside = name.starts_with('.') || ASIDE.contains(&&*name) || path.join("pyvenv.cfg").is_file();
                folders.extend((!is_aside).then_some(path));
            } else if is_wanted(&path) {
                files.push(path);
            }
            if files.len() >= MOST {
                return files;
            }
        }
    }
    files
}

/// The other files of a migration: those with the same name before `.up`, `.down`, `.rollback` and so on.
pub(super) fn beside<'f>(file: &'f Path, files: &'f [PathBuf]) -> impl Iterator<Item = PathBuf> + 'f {
    let plain = |file: &Path| {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let end = WAYS.iter().find_map(|way| stem.strip_suffix(way).map(str::len)).unwrap_or(stem.len());
        stem[..end].to_owned()
    };
    let (own, folder) = (plain(file), file.parent());
    files.iter().filter(move |other| *other != file && other.parent() == folder && plain(other) == own).cloned()
}

/// What stands between the name of a migration and the ending of a file, for one of its directions.
const WAYS: [&str; 6] = [".up", ".down", ".rollback", ".revert", ".undo", ".deploy"];

/// The file of the migration with this key.
pub(super) fn of_key(key: &str, files: &[PathBuf]) -> Option<PathBuf> {
    let stem = |file: &Path| file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = |file: &Path| file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // `shop.0002_cents` is `shop/migrations/0002_cents.py`.
    if let Some((app, own)) = key.split_once('.') {
        let is_of_app = |file: &Path| file.ancestors().nth(2).and_then(Path::file_name).is_some_and(|name| name == app);
        let found = files.iter().find(|file| stem(file) == own && is_of_app(file));
        if found.is_some() {
            return found.cloned();
        }
    }
    // `changes.xml::add-users::ann`
    let key = key.split("::").next().unwrap_or(key);
    let begins = format!("{key}_");
    let forms: [&dyn Fn(&Path) -> bool; 4] = [
        &|file| name(file) == key || stem(file) == key,
        &|file| stem(file).starts_with(&begins) || stem(file).starts_with(&format!("{key}-")),
        &|file| key.len() > 7 && stem(file).contains(key),
        &|file| key.len() > 3 && file.extension().is_some_and(|end| end == "py") && says(file, key),
    ];
    forms.iter().find_map(|is| files.iter().find(|file| is(file)).cloned())
}

/// Whether a file says that it is the revision with this key, as those of Alembic do.
fn says(file: &Path, key: &str) -> bool {
    let mut bytes = Vec::new();
    if fs::File::open(file).and_then(|file| file.take(HEAD).read_to_end(&mut bytes)).is_err() {
        return false;
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let is_it = |line: &str| {
        let Some((left, right)) = line.split_once('=') else { return false };
        let left = left.split(':').next().unwrap_or_default().trim();
        left == "revision" && right.trim().trim_matches(['"', '\'']) == key
    };
    head.lines().any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_found_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("alembic/versions/1975ea83b712_accounts.py", "");
        write("alembic/versions/accounts_again.py", "x = 1\nrevision: str = 'ae10'\n");
        write("shop/migrations/0001_initial.py", "");
        write("blog/migrations/0001_initial.py", "");
        write("alembic/0003.down", "");
        write("alembic/0003.up", "");
        write("node_modules/x/20240101000000_a.js", "");
        write("db/20240101000000_a.js", "");
        write("env/pyvenv.cfg", "");
        write("env/lib/0002_x.py", "");
        let files = candidates(folder.path(), &folder.path().join("alembic"));
        let found = |key: &str| {
            of_key(key, &files).map(|file| file.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(found("1975ea83b712").as_deref(), Some("alembic/versions/1975ea83b712_accounts.py"));
        assert_eq!(found("ae10").as_deref(), Some("alembic/versions/accounts_again.py"));
        assert_eq!(found("blog.0001_initial").as_deref(), Some("blog/migrations/0001_initial.py"));
        assert_eq!(found("shop.0001_initial").as_deref(), Some("shop/migrations/0001_initial.py"));
        assert_eq!(found("0003").as_deref(), Some("alembic/0003.up"));
        assert_eq!(found("20240101000000_a.js").as_deref(), Some("db/20240101000000_a.js"));
        assert_eq!(found("20240101000000").as_deref(), Some("db/20240101000000_a.js"));
        assert_eq!((found("0002_x"), found("auth.0001_initial2")), (None, None));
        assert_eq!(found("migrations.0001_initial"), None);
        let up = folder.path().join("alembic/0003.up");
        assert_eq!(beside(&up, &files).collect::<Vec<_>>(), [folder.path().join("alembic/0003.down")]);
    }
}
