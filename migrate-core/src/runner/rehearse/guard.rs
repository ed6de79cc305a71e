//! Refuses what a rehearsal does to a server with other users, before it is committed.

use migrate_base::codes;
use migrate_base::db::SessionFailure;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::Finding;

/// A query that fails if its transaction wrote to an object that is shared by the whole server, such as roles. What a
/// transaction does to its own database is not checked. The query runs after each script, so it identifies catalogs by
/// their fixed OIDs and joins nothing.
pub(crate) const GUARD: &str = "SELECT ('roundtrip-server: ' || NULLIF(pg_catalog.concat_ws(', ', \
    (SELECT pg_catalog.string_agg(v.what, ', ') FROM (VALUES (1260, 'roles'), (1261, 'memberships'), (1213, 'tablespaces'), \
        (6243, 'privileges on parameters'), (6000, 'replication origins')) AS v (catalog, what) \
     WHERE pg_catalog.pg_stat_get_xact_tuples_inserted(v.catalog) + pg_catalog.pg_stat_get_xact_tuples_updated(v.catalog) \
        + pg_catalog.pg_stat_get_xact_tuples_deleted(v.catalog) > 0), \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_db_role_setting r \
        WHERE r.setdatabase = 0 AND pg_catalog.age(r.xmin) <= 0) THEN 'settings of roles' END, \
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_shdescription d \
        WHERE d.classoid <> 1262 AND pg_catalog.age(d.xmin) <= 0) THEN 'comments on roles' END), ''))::pg_catalog.int4";
/// The start of the text that cannot be cast to a number. The rest of the message is in the language of the server.
const MARK: &str = "roundtrip-server: ";

/// The error for what the query found, if the query is what failed.
pub(crate) fn of_server(failure: &SessionFailure) -> Option<Error> {
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
pub(crate) fn is_of_server(error: &Error) -> bool {
    error.findings().iter().any(|finding| finding.code == "shared-server")
}
