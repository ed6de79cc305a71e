//! The managed server: created once, kept, found again, and explained when it is not available.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use migrate_test::{ManagedServer, ProviderChoice, ServerError, ServerProgress};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::support::{column, execute, no_container};

/// A folder that the unprivileged account can enter.
fn home() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn managed(folder: &Path) -> ManagedServer {
    ManagedServer::at(&folder.join("server"), ProviderChoice::Local).unwrap()
}

async fn connect(managed: &ManagedServer) -> PgConnection {
    let endpoint = managed.recorded().unwrap();
    PgConnection::connect_with(&endpoint.options("postgres")).await.unwrap()
}

/// The process of the server, from its pid file.
fn pid(managed: &ManagedServer) -> rustix::process::Pid {
    let file = std::fs::read_to_string(managed.home().join("data/postmaster.pid")).unwrap();
    rustix::process::Pid::from_raw(file.lines().next().unwrap().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn its_data_outlives_stopping_killing_and_a_stale_pid_file() {
    let folder = home();
    let managed = managed(folder.path());
    let mut said = Vec::new();
    let endpoint = managed.up(&mut |progress| said.push(progress)).await.unwrap();
    assert!(matches!(said[..], [ServerProgress::Making(_), ServerProgress::Running(_)]), "{said:?}");
    assert!(managed.ensure_database(&endpoint, "Shop \"x\"").await.unwrap());
    assert!(!managed.ensure_database(&endpoint, "Shop \"x\"").await.unwrap());
    execute(&mut connect(&managed).await, "CREATE TABLE kept AS SELECT 42 AS n").await;
    let kept = async |managed: &ManagedServer| column(&mut connect(managed).await, "SELECT n FROM kept").await;

    // It runs already: nothing is reported, nothing is done.
    let before = pid(&managed);
    managed.up(&mut |progress| panic!("{progress}")).await.unwrap();
    assert_eq!(pid(&managed), before);

    assert!(managed.down().await.unwrap());
    assert!(!managed.down().await.unwrap());
    assert!(!managed.status().await.unwrap().running);
    managed.up(&mut |_| {}).await.unwrap();
    assert_eq!(kept(&managed).await, ["42"]);

    // The server is killed; its processes may still be ending when the next one starts.
    execute(&mut connect(&managed).await, "CHECKPOINT").await;
    rustix::process::kill_process(pid(&managed), rustix::process::Signal::KILL).unwrap();
    managed.up(&mut |_| {}).await.unwrap();
    assert_eq!(kept(&managed).await, ["42"]);

    // A pid file with the pid of a running process that is not a server: our own.
    managed.down().await.unwrap();
    let stale = format!("{}\n/nowhere\n0\n0\n\n\n\n", std::process::id());
    std::fs::write(managed.home().join("data/postmaster.pid"), stale).unwrap();
    managed.up(&mut |_| {}).await.unwrap();
    assert_eq!(kept(&managed).await, ["42"]);

    managed.destroy().await.unwrap();
    assert!(!managed.home().exists());
}

#[tokio::test]
async fn a_taken_port_is_given_up_for_another() {
    let folder = home();
    let managed = managed(folder.path());
    let first = managed.up(&mut |_| {}).await.unwrap().display();
    managed.down().await.unwrap();
    let port: u16 = first.split([':', ' ']).nth(1).unwrap().parse().unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut said = Vec::new();
    let second = managed.up(&mut |progress| said.push(progress)).await.unwrap().display();
    assert!(said.iter().any(|progress| matches!(progress, ServerProgress::OtherPort(_))), "{said:?}");
    assert_ne!(first, second);
    managed.destroy().await.unwrap();
}

#[tokio::test]
async fn several_at_once_start_one() {
    let folder = home();
    let managed = managed(folder.path());
    let handles: Vec<_> = (0..4)
        .map(|_| {
            let managed = managed.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(managed.up(&mut |_| {})).unwrap().display()
            })
        })
        .collect();
    let mut at: Vec<String> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    at.dedup();
    assert_eq!(at.len(), 1);
    managed.destroy().await.unwrap();
}

#[tokio::test]
async fn its_url_works_over_tcp_and_its_password_is_not_shown() {
    let folder = home();
    let managed = managed(folder.path());
    let endpoint = managed.up(&mut |_| {}).await.unwrap();
    let url = endpoint.url("postgres");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    assert_eq!(column(&mut connection, "SELECT inet_client_addr()").await, ["127.0.0.1"]);
    let password = url.split([':', '@']).nth(2).unwrap();
    assert!(PgConnection::connect(&url.replace(password, "wrong")).await.is_err());
    assert!(!format!("{endpoint:?} {}", endpoint.display()).contains(password));
    let mode = std::fs::metadata(managed.home().join("state.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    managed.destroy().await.unwrap();
}

#[tokio::test]
async fn a_home_that_cannot_be_made_is_named() {
    let folder = home();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error =
        ManagedServer::at(&file.join("server"), ProviderChoice::Local).unwrap().up(&mut |_| {}).await.unwrap_err();
    assert!(matches!(&error, ServerError::Io { .. }), "{error}");
    assert!(error.to_string().contains("server") && error.help()[0].contains("ROUNDTRIP_HOME"), "{error}");
}

#[tokio::test]
async fn data_of_a_major_version_without_binaries_is_left_alone() {
    let folder = home();
    let managed = managed(folder.path());
    managed.up(&mut |_| {}).await.unwrap();
    managed.down().await.unwrap();
    let file = managed.home().join("data/PG_VERSION");
    let version = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "99\n").unwrap();
    let error = managed.up(&mut |_| {}).await.unwrap_err();
    assert!(matches!(error, ServerError::OtherVersion { major: 99, .. }), "{error}");
    std::fs::write(&file, version).unwrap();
    managed.up(&mut |_| {}).await.unwrap();
    managed.destroy().await.unwrap();
}

#[tokio::test]
async fn a_container_serves_where_an_engine_answers() {
    let image = migrate_test::provider::docker::image().unwrap_or_default();
    if let Some(why) = no_container(&image) {
        eprintln!("NOT TESTED: {why}");
        return;
    }
    let folder = home();
    let name = format!("roundtrip-test-{}", std::process::id());
    let managed = ManagedServer::at(&folder.path().join(name), ProviderChoice::Docker(Some(image))).unwrap();
    let endpoint = managed.up(&mut |_| {}).await.unwrap();
    let mut connection = PgConnection::connect(&endpoint.url("postgres")).await.unwrap();
    execute(&mut connection, "CREATE TABLE kept AS SELECT 42 AS n").await;
    drop(connection);
    assert!(managed.down().await.unwrap());
    let endpoint = managed.up(&mut |_| {}).await.unwrap();
    let mut connection = PgConnection::connect(&endpoint.url("postgres")).await.unwrap();
    assert_eq!(column(&mut connection, "SELECT n FROM kept").await, ["42"]);
    managed.destroy().await.unwrap();
}
