//! The clients of PostgreSQL that we are compared with.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use migrate_test::provider::binaries::Binaries;

/// The binaries of this machine; `None` where there are none.
static BINARIES: LazyLock<Option<Binaries>> = LazyLock::new(|| {
    let named = std::env::var_os("ROUNDTRIP_TEST_BINDIR").and_then(|folder| Binaries::probe(Path::new(&folder)).ok());
    named.filter(|found| found.folder.join("psql").is_file()).or_else(|| Binaries::find(None).ok())
});

/// A program of PostgreSQL: the binary itself, for what stands in `PATH` may be a script that looks for it, as on Debian, and takes
/// longer than the program.
pub(crate) fn client(name: &str) -> Command {
    match &*BINARIES {
        Some(found) if found.folder.join(name).is_file() => found.program(name),
        _ => Command::new(name),
    }
}
