//! The codes of a server that refuses what every run needs: the command reports what was refused, and runs nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;

use crate::codes::{failed, help, refused_by};
use crate::support::{ProgramOutput, Project, said};

/// A role that may do everything in the database of a project, except what its functions and catalogs are said to
/// refuse.
struct Role {
    project: Project,
    name: String,
}

impl Role {
    fn new() -> Self {
        let project = Project::new();
        let database = project.query("SELECT current_database()").remove(0);
        let name = format!("role_of_{database}");
        let create = format!("CREATE ROLE {name} LOGIN; GRANT CREATE ON DATABASE \"{database}\" TO {name}; ");
        project.query(&format!("{create} GRANT CREATE ON SCHEMA public TO {name}"));
        Self { project, name }
    }

    /// Runs a command as this role.
    fn run(&self, arguments: &[&str]) -> ProgramOutput {
        let target = ["--env", "development", "--database", "env:TEST_DATABASE_URL", "--format", "json"];
        let url = self.project.database.url().replacen("postgres@", &format!("{}@", self.name), 1);
        let mut command = self.project.command(&[arguments, &target].concat());
        said(command.env("TEST_DATABASE_URL", url).output().unwrap())
    }

    fn end(self) {
        self.project.query(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name));
        self.project.end();
    }
}

/// Which process works is asked first: without an answer, no run could be kept apart from another.
#[test]
fn a_server_that_does_not_say_which_process_answers_is_not_worked_on() {
    let role = Role::new();
    role.project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    role.project.query("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_stat_get_activity(int) FROM PUBLIC");
    let finding = refused_by(&role.project, (1, "session", ""), || role.run(&["migrate"]));
    assert!(finding["message"].as_str().unwrap().contains("pg_stat_get_activity"), "{finding:#}");
    assert!(help(&finding).contains("GRANT"), "{finding:#}");
    role.project.query("GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_get_activity(int) TO PUBLIC");
    role.run(&["migrate"]).ok();
    role.end();
}

#[test]
fn a_role_that_may_not_lock_does_not_run() {
    let role = Role::new();
    role.project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    role.project.query("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_try_advisory_lock(bigint) FROM PUBLIC");
    let finding = refused_by(&role.project, (1, "lock", ""), || role.run(&["migrate"]));
    assert!(finding["message"].as_str().unwrap().contains("take the migration lock"), "{finding:#}");
    assert!(help(&finding).contains("GRANT"), "{finding:#}");
    role.project.query("GRANT EXECUTE ON FUNCTION pg_catalog.pg_try_advisory_lock(bigint) TO PUBLIC");
    role.run(&["migrate"]).ok();
    role.end();
}

/// What cannot be found out is not taken for nothing.
#[test]
fn a_catalog_that_may_not_be_read_is_no_empty_one() {
    let role = Role::new();
    role.project.query("REVOKE SELECT ON pg_catalog.pg_event_trigger FROM PUBLIC");
    let finding = refused_by(&role.project, (1, "query", ""), || role.run(&["audit"]));
    assert!(finding["message"].as_str().unwrap().contains("pg_event_trigger"), "{finding:#}");
    assert!(help(&finding).contains("GRANT"), "{finding:#}");
    role.end();
}

/// Something between the run and the server damages the message that ends a failed transaction. Everything else is
/// passed on as it is.
fn damaging(server: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = server.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = UnixStream::connect(&server).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut part = [0; 65536];
                while let Ok(length @ 1..) = from.read(&mut part) {
                    let sent = &mut part[..length];
                    if let Some(at) = sent.windows(CLEANING.len()).position(|text| text == CLEANING) {
                        sent[at] = b'X';
                    }
                    if to.write_all(sent).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut &server, &mut &client);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

/// How the message begins that ends a failed transaction and restores the settings of its session.
const CLEANING: &[u8] = b"ROLLBACK; SET CONSTRAINTS";

#[test]
fn a_run_whose_session_cannot_be_restored_stops() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    project.migration(2, "b", "CREATE TABLE b (id int);\nSELECT 1 / 0;\n", "DROP TABLE b;\n");
    let folder = project.query("SHOW unix_socket_directories").remove(0);
    let port = damaging(&format!("{folder}/.s.PGSQL.{}", project.query("SHOW port").remove(0)));
    let name = project.query("SELECT current_database()").remove(0);
    let url = format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
    let all = ["migrate", "--env", "development", "--database", "env:TEST_DATABASE_URL", "--format", "json"];
    let migrate = said(project.command(&all).env("TEST_DATABASE_URL", url).output().unwrap());
    let finding = failed(&migrate, (1, "rollback", ""));
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("20250101000002_b") && message.contains("XOLLBACK"), "{finding:#}");
    // The transaction ended with its session, and what was committed before it stays.
    assert_eq!(project.query("SELECT to_regclass('a') IS NULL OR to_regclass('b') IS NOT NULL"), ["f"]);
    project.migration(2, "b", "CREATE TABLE b (id int);\n", "DROP TABLE b;\n");
    project.run(&["migrate"]).ok();
    project.end();
}
