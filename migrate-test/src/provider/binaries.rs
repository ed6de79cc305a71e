//! PostgreSQL server binaries on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::child::{ChildEnvironment, command};
use super::output;

/// The oldest major version that is supported.
pub const OLDEST: u32 = 15;

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub folder: PathBuf,
    /// The version, as the server reports it: `15.18`.
    pub version: String,
    /// The major version.
    pub major: u32,
}

/// Folders of the usual packages; a `*` matches any text in one path component.
const USUAL: [&str; 7] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/libexec/postgresql*",
];

impl Binaries {
    /// The newest supported binaries on this machine, or those of one major version.
    ///
    /// # Errors
    ///
    /// What was found instead, and why it was not used: one line each.
    pub fn find(major: Option<u32>) -> Result<Self, Vec<String>> {
        let mut rejected = Vec::new();
        let mut good: Vec<Self> = Vec::new();
        for folder in candidates() {
            match Self::probe(&folder) {
                Ok(found) if major.is_some_and(|major| major != found.major) => {
                    rejected.push(format!("{} has PostgreSQL {}", folder.display(), found.version));
                }
                Ok(found) if found.major < OLDEST => {
                    rejected.push(format!(
                        "{} has PostgreSQL {}, older than {OLDEST}",
                        folder.display(),
                        found.version
                    ));
                }
                Ok(found) => good.push(found),
                Err(why) => rejected.push(why),
            }
        }
        let newest = good.into_iter().reduce(|best, next| if next.major > best.major { next } else { best });
        newest.ok_or_else(|| match rejected.is_empty() {
            true => vec!["no PostgreSQL server binaries in PATH or the usual folders".to_owned()],
            false => rejected,
        })
    }

    /// Checks whether a folder has server binaries, and which version they are.
    ///
    /// # Errors
    ///
    /// Why it has none, as a line.
    pub fn probe(folder: &Path) -> Result<Self, String> {
        let (initdb, postgres) = (folder.join("initdb"), folder.join("postgres"));
        if !initdb.is_file() || !postgres.is_file() {
            let is_client = folder.join("psql").is_file() || initdb.is_file();
            let what = if is_client { "has a client but no server" } else { "has no PostgreSQL server" };
            return Err(format!("{} {what}", folder.display()));
        }
        // `postgres` itself reports it as well, but is large and slow to start.
        let said = output(command(&initdb, ChildEnvironment::Nothing).arg("--version"), Duration::from_secs(10))
            .map_err(|e| e.to_string())?;
        let version = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let major = version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        match (version, major) {
            (Some(version), Some(major)) => Ok(Self { folder: folder.to_owned(), version: version.to_owned(), major }),
            _ => Err(format!("{} does not report its version: {}", postgres.display(), said.trim())),
        }
    }

    /// One of the programs.
    pub fn program(&self, name: &str) -> Command {
        command(self.folder.join(name), ChildEnvironment::Nothing)
    }
}

/// Folders to search, each once, with links resolved.
fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path).filter(|folder| has_any(folder)));
    }
    folders.extend(USUAL.iter().flat_map(|pattern| expand(pattern)).filter(|folder| has_any(folder)));
    if folders.is_empty() {
        // It costs a process, and the folder that it prints is nearly always among the usual ones.
        let config = output(command("pg_config", ChildEnvironment::Nothing).arg("--bindir"), Duration::from_secs(10));
        folders.extend(config.ok().map(|folder| PathBuf::from(folder.trim())).filter(|folder| has_any(folder)));
    }
    let mut real = Vec::new();
    for folder in folders {
        // A folder of links is shown as the folder that they point to: the location of the server matters.
        let server = folder.join("postgres").canonicalize().ok();
        let folder = server.and_then(|server| Some(server.parent()?.to_owned())).unwrap_or(folder);
        if !real.contains(&folder) {
            real.push(folder);
        }
    }
    real
}

fn has_any(folder: &Path) -> bool {
    folder.join("postgres").is_file() || folder.join("initdb").is_file()
}

/// The folders that match a pattern with at most one `*`, in order.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names.into_iter().map(|name| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}
