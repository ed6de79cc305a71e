//! Servers that are still starting, and statements that take long.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;

use sqlx::postgres::PgConnectOptions;

use crate::codes::{failed, help};
use crate::support::{Project, said};

/// The answer of a server that does not accept connections yet.
fn starting() -> Vec<u8> {
    let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
    let length = u32::try_from(fields.len() + 4).unwrap();
    [b"E", &length.to_be_bytes()[..], fields].concat()
}

/// Reads the start of a client's connection; a TLS request is denied.
fn greet(client: &mut TcpStream) {
    let mut head = [0; 8];
    client.read_exact(&mut head).unwrap();
    let (length, code) =
        (u32::from_be_bytes(head[..4].try_into().unwrap()), u32::from_be_bytes(head[4..].try_into().unwrap()));
    if code == 80_877_103 {
        client.write_all(b"N").unwrap();
        return greet(client);
    }
    let mut rest = vec![0; length as usize - 8];
    client.read_exact(&mut rest).unwrap();
}

/// Forwards everything between two sockets.
fn hand_on(client: TcpStream, options: &PgConnectOptions) {
    fn both<S: Read + Write + Send + 'static>(client: &TcpStream, server: S, other: S) {
        let (mut from, mut to) = (client.try_clone().unwrap(), server);
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let (mut from, mut to) = (other, client.try_clone().unwrap());
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
    match options.get_socket() {
        Some(folder) => {
            let server = UnixStream::connect(folder.join(format!(".s.PGSQL.{}", options.get_port()))).unwrap();
            both(&client, server.try_clone().unwrap(), server);
        }
        None => {
            let server = TcpStream::connect((options.get_host(), options.get_port())).unwrap();
            both(&client, server.try_clone().unwrap(), server);
        }
    }
}

#[test]
fn a_server_that_is_starting_is_not_waited_for_otherwise() {
    let project = Project::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/shop", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            greet(&mut client);
            client.write_all(&starting()).unwrap();
        }
    });
    let said = project.run_bare(&["status", "--format", "json", "--database", &url]);
    let finding = failed(&said, (1, "starting", ""));
    assert!(finding["message"].as_str().unwrap().contains("starting up"), "{finding:#}");
    assert!(help(&finding).contains("`--wait`"), "{finding:#}");
    project.end();
}

#[test]
fn a_server_that_is_starting_is_waited_for_where_that_is_asked_for() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = project.query("SELECT current_database()").remove(0);
    let url = format!("postgres://postgres:{}@127.0.0.1:{port}/{address}", crate::support::SECRET);
    let run = |arguments: &[&str]| {
        let mut command = project.command(&[arguments, &["--database", "env:LATE"]].concat());
        command.env("LATE", &url);
        command
    };
    let at_once = said(run(&["status"]).output().unwrap());
    assert!(at_once.code == 1 && at_once.err.contains("connection-refused"), "{at_once:?}");
    assert!(at_once.err.contains("`--wait`"), "{at_once:?}");
    let in_vain = said(run(&["status", "--wait=300ms"]).output().unwrap());
    assert!(in_vain.code == 1 && in_vain.err.contains("waiting for postgres@127.0.0.1"), "{in_vain:?}");
    // First nothing listens, then the connection is closed, then the server says that it is starting, and then
    // it is ready.
    let mut child = run(&["migrate", "--wait=1min"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("waiting for "), "it says what it waits for");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let options = project.database.options();
    thread::spawn(move || {
        drop(listener.accept().unwrap());
        let (mut early, _) = listener.accept().unwrap();
        greet(&mut early);
        early.write_all(&starting()).unwrap();
        drop(early);
        listener.incoming().for_each(|client| hand_on(client.unwrap(), &options));
    });
    let told: Vec<String> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?} {told:?}");
    assert!(told.iter().any(|line| line.contains("starting up")), "{told:?}");
    assert_eq!(project.query("SELECT count(*) FROM roundtrip.ledger WHERE event = 'applied'"), ["1"]);
    // An error that does not go away by itself is not waited for.
    let mut wrong = run(&["status", "--wait=1min"]);
    wrong.env("LATE", url.replace(&address, "no_such_database"));
    let wrong = said(wrong.output().unwrap());
    assert!(wrong.code == 1 && wrong.err.contains("no-database") && !wrong.err.contains("waiting"), "{wrong:?}");
    project.end();
}

#[test]
fn a_name_that_is_not_there_yet_is_waited_for() {
    let project = Project::new();
    let mut command = project.command(&["ensure", "1", "--wait=200ms", "--database", "env:NOWHERE"]);
    command.env("NOWHERE", "postgres://a@no-such-host.invalid/b");
    let said = said(command.output().unwrap());
    assert!(said.code == 1 && said.err.contains("waiting for a@no-such-host.invalid"), "{said:?}");
    project.end();
}

/// Starts a run that cannot end before the lock of `hold` is released, and returns its first output.
fn first_words(project: &Project, arguments: &[&str]) -> String {
    let holding = project.hold("SELECT pg_advisory_lock(4711)");
    let all = [arguments, &["--env", "development", "--database", "env:TEST_DATABASE_URL"]].concat();
    let mut child = project.command(&all).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = lines.find(|line| line.contains("running")).unwrap_or_default();
    drop(holding);
    lines.for_each(drop);
    assert!(child.wait_with_output().unwrap().status.success());
    told
}

#[test]
fn a_statement_that_takes_long_is_reported_with_its_migration() {
    let project = Project::new();
    let wait = "SELECT pg_advisory_lock(4711), pg_advisory_unlock(4711);\n";
    project.migration(1, "quick", "CREATE TABLE a (id int);", "DROP TABLE a;");
    project.migration(2, "slow", &format!("-- migrate: statement-timeout 1min\n{wait}"), "DROP TABLE IF EXISTS b;");
    project.migration(3, "late", "CREATE TABLE c (id int);", "DROP TABLE c;");
    let told = first_words(&project, &["migrate"]);
    assert!(told.contains("20250101000002_slow: statement 1 of 1 has been running for "), "{told}");
    project.run(&["rollback", "--all"]).ok();
    let told = first_words(&project, &["migrate", "--format", "json"]);
    let event: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&event["progress"], &event["version"], &event["statement"], &event["statements"]),
        (&"running".into(), &"20250101000002".into(), &1.into(), &1.into())
    );
    let alone = format!(
        "-- migrate: no-transaction\n-- migrate: statement-timeout 1min\nSELECT 1;\n{wait}CREATE INDEX CONCURRENTLY i ON a (id);\n"
    );
    project.migration(4, "alone", &alone, "DROP INDEX i;");
    let told = first_words(&project, &["migrate"]);
    assert!(told.contains("20250101000004_alone: statement 2 of 3 has been running for "), "{told}");
    std::fs::create_dir(project.path().join("seeds")).unwrap();
    project.write("seeds/development.sql", wait);
    let told = first_words(&project, &["seed"]);
    assert!(told.contains("the seed: statement 1 of 1"), "{told}");
    project.end();
}
