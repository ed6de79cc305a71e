//! A pooler in front of a protected environment: one without session pooling is reported before anybody is
//! asked, and nothing is run.

use crate::pgbouncer::Pooler;
use crate::production::{BACK, ROLLBACK, project, records};
use crate::support::{ProgramOutput, Project, SECRET, said};

const LEDGER: &str = "SELECT concat_ws(' ', id, event, version) FROM roundtrip.ledger ORDER BY id";

/// Runs the command through a pooler in this mode; `None` on a machine without pgbouncer.
fn through(project: &Project, mode: &str, arguments: &[&str]) -> Option<ProgramOutput> {
    let pooler = project.wait(Pooler::start(&project.database, mode))?;
    let name = project.database.name();
    let url = format!("postgres://anybody:{SECRET}@127.0.0.1:{}/{name}?sslmode=disable", pooler.port);
    Some(said(project.command(arguments).env("TEST_DATABASE_URL", url).output().unwrap()))
}

#[test]
fn in_transaction_mode_nothing_is_asked_run_or_recorded() {
    let project = project(BACK);
    project.migration(3, "more", "CREATE TABLE more ();", "DROP TABLE more;");
    let before = project.query(LEDGER);
    let migrate = ["migrate", "--env", "live"];
    for arguments in [
        &[&migrate[..], &["--yes"]].concat()[..],
        &ROLLBACK,
        // Without --yes a person would be asked, and the command would report that there is none.
        &migrate,
        &["rollback", "--env", "live", "--reason", "INC-1"],
        &[&migrate[..], &["--dry-run"]].concat(),
        &["rollback", "--env", "live", "--dry-run"],
    ] {
        let Some(said) = through(&project, "transaction", arguments) else { return project.end() };
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains("error[pooler]") && said.err.contains("help"), "{arguments:?}: {said:?}");
        assert!(!said.err.contains("protected"), "nobody is asked: {said:?}");
    }
    assert_eq!((records(&project), project.query(LEDGER)), (vec![], before), "nothing is on record");
    assert_eq!(project.query("SELECT count(*) FROM parcel"), ["2"]);
    project.end();
}

#[test]
fn in_session_mode_it_is_asked_and_run_as_ever() {
    let project = project(BACK);
    let asked = &["rollback", "--env", "live", "--reason", "INC-1"];
    let Some(said) = through(&project, "session", asked) else { return project.end() };
    assert!(said.code == 2 && said.err.contains("error[needs-yes]") && said.out.contains("parcel: 2 rows"), "{said:?}");
    through(&project, "session", &ROLLBACK).unwrap().ok();
    assert_eq!((records(&project).len(), project.query("SELECT to_regclass('parcel')")), (1, vec!["NULL".to_owned()]));
    project.end();
}
