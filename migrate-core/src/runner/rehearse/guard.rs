//! Refuses what a rehearsal does to a server with other users, before it is committed.

use migrate_base::codes;
use migrate_base::db::SessionFailure;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::Finding;

/// A query that fails if its transaction wrote to an object that is shared by the whole server, such as roles. What a
/// transaction does to its own database is not checked. The query runs after each script, so it identifies catalogs by
/// their fixed OIDs and joins nothing.
pub(in crate::runner) const GUARD: &str = include_str!("guard.sql");
/// The start of the text that cannot be cast to a number. The rest of the message is in the language of the server.
const MARK: &str = "roundtrip-server: ";

/// The error for what the query found, if the query is what failed.
pub(in crate::runner) fn of_server(failure: &SessionFailure) -> Option<Error> {
    let SessionFailure::Server(refusal) = failure else { return None };
    let (_, what) = refusal.message.split_once(MARK)?;
    let what = what.trim_end_matches(|c: char| !c.is_alphanumeric());
    let finding = Finding::new(
        codes::SHARED_SERVER,
        format!("this changes objects that the whole server shares ({what}), and this server has other users"),
    )
    .help(
        "leave out the address: each database then gets its own server, from the PostgreSQL binaries of this machine \
         or from Docker",
    )
    .help("or choose another source of servers: ROUNDTRIP_TEST_SERVER=local, or docker:postgres:17");
    Some(Error::new(ErrorKind::Statement, finding))
}

/// Whether an error is such a refusal.
pub(in crate::runner) fn is_of_server(error: &Error) -> bool {
    error.findings().iter().any(|finding| finding.code == codes::SHARED_SERVER)
}
