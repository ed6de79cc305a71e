//! The folder of a run record: the record as JSON and as Markdown, and the schemas before and after the run.

use migrate_base::codes;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use migrate_schema::Schema;

use super::Record;
use crate::exit::{Failure, Result};
use crate::output::clean;

/// The folder of one run record.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Creates the folder of a new run record, and writes the record as it is before the run.
    ///
    /// If that fails, nothing may run, because a run that has to leave evidence must not run without it.
    pub(crate) fn open(parent: &Path, record: &Record) -> Result<Self> {
        let moment: String = record.started.chars().filter(char::is_ascii_alphanumeric).take(15).collect();
        let stem = format!("{moment}Z-{}-{}", plain(&record.environment), record.command);
        let made = fs::create_dir_all(parent).and_then(|()| new_folder(parent, &stem));
        let folder = Self { path: made.map_err(|error| refused(parent, &error))? };
        let written = folder.schema("before.json", &record.before.schema).and_then(|()| folder.write(record));
        written.map_err(|error| {
            // An incomplete record of a run that never started is useless. If it cannot be removed, it is visibly
            // incomplete.
            let _ = fs::remove_dir_all(&folder.path);
            refused(parent, &error)
        })?;
        Ok(folder)
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the record as it is now, each file atomically.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        let json = serde_json::to_string_pretty(record)?;
        self.put("record.json", clean::json(&json).as_bytes())?;
        self.put("record.md", record.markdown().as_bytes())
    }

    /// Writes the final record, with the schema after the run.
    pub(crate) fn close(&self, record: &Record) -> io::Result<()> {
        if let Some(after) = &record.after {
            self.schema("after.json", &after.schema)?;
        }
        self.write(record)
    }

    fn schema(&self, name: &str, schema: &Schema) -> io::Result<()> {
        self.put(name, &serde_json::to_vec_pretty(&schema.json())?)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!(".{name}.new"));
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(name))
    }
}

/// Creates a folder; two runs in the same second get different ones.
fn new_folder(parent: &Path, stem: &str) -> io::Result<PathBuf> {
    for number in 1.. {
        let name = if number == 1 { stem.to_owned() } else { format!("{stem}-{number}") };
        match fs::create_dir(parent.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {}
            outcome => return outcome.map(|()| parent.join(&name)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The name of an environment as a part of a file name.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn refused(parent: &Path, error: &io::Error) -> Failure {
    Failure::failed(
        codes::AUDIT_UNWRITABLE,
        format!("the run record cannot be written to {}: {error}", parent.display()),
    )
    .help("nothing was run: name another folder with --record, or check its permissions and the free disk space")
}
