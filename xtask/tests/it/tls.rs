//! Encrypted connections: what each `sslmode` accepts, against a server with a certificate.

use std::time::Duration;

use migrate_test::provider::{account::Account, binaries::Binaries, cluster::Cluster};

use crate::support::{Project, SECRET};

#[test]
fn verify_full_wants_the_right_root_and_the_right_name() {
    let project = Project::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let account = Account::for_servers().unwrap();
    let at = |name: &str| folder.path().join(name);
    // This tests our side; some builds of a server have no TLS.
    let binaries = Binaries::find(None).unwrap();
    let cluster = Cluster { binaries, data: at("data"), sockets: at("s"), log: at("log"), account };
    cluster.init(SECRET).unwrap();
    let own = |name: &str, text: String| {
        let path = cluster.data.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if let Some(account) = &cluster.account {
            account.own(&path).unwrap();
        }
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    own("server.crt", made.cert.pem());
    own("server.key", made.signing_key.serialize_pem());
    let root = project.write("root.crt", made.cert.pem());
    let other =
        project.write("other.crt", rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem());

    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut child = cluster.start(Some(port), &[("ssl", "on"), ("fsync", "off")]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .socket(&cluster.sockets)
        .port(port)
        .username("postgres")
        .database("postgres");
    runtime.block_on(cluster.wait(&mut child, &options, Duration::from_secs(30))).unwrap();

    let status = |host: &str, password: &str, parameters: &str| {
        project.run_bare(&[
            "status",
            "--database",
            &format!("postgres://postgres:{password}@{host}:{port}/postgres?{parameters}"),
        ])
    };
    let with = |mode: &str, root: &std::path::Path| format!("sslmode={mode}&sslrootcert={}", root.display());
    let outcomes = [
        ("full", status("localhost", SECRET, &with("verify-full", &root)).code),
        ("required", status("localhost", SECRET, "sslmode=require").code),
        ("plain", status("localhost", SECRET, "sslmode=disable").code),
        ("other name", status("127.0.0.1", SECRET, &with("verify-full", &root)).code),
        ("other name, only the root counts", status("127.0.0.1", SECRET, &with("verify-ca", &root)).code),
        ("other root", status("localhost", SECRET, &with("verify-full", &other)).code),
        ("no root file", status("localhost", SECRET, &with("verify-full", &project.path().join("none"))).code),
    ];
    let wrong_password = status("localhost", "not-it", "sslmode=require");
    let wrong_root = status("localhost", SECRET, &with("verify-full", &other));
    runtime.block_on(cluster.stop()).unwrap();
    child.wait().unwrap();
    let expected = [0, 0, 0, 1, 0, 1, 1];
    assert_eq!(outcomes.map(|(_, code)| code), expected, "{outcomes:?}");
    assert!(wrong_password.code == 1 && wrong_password.err.contains("[password]"), "{wrong_password:?}");
    assert!(wrong_root.err.contains("[tls]"), "{wrong_root:?}");
    project.end();
}
