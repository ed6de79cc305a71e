//! One table of URLs and environments. Each is tried with psql and with our executable: both use the same
//! server, role, database and kind of connection, or both fail to connect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use migrate_test::provider::{account::Account, binaries::Binaries, cluster::Cluster};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use sqlx::postgres::PgConnectOptions;

use crate::support::{Project, SECRET, said};

/// The expectation of a case.
enum ConnectExpectation {
    /// The same as psql.
    Same,
    /// The same as psql if it knows the parameter, from this version on; our executable connects in any case.
    Since(u32),
    /// Our executable refuses it by design, with these words.
    Refused(&'static str),
}
use ConnectExpectation::{Refused, Same, Since};

/// `{a}`, `{b}` and `{p}` are the ports of the server with TLS, the one without, and an unused port; `{d}` is
/// the folder of the test, `{s}` that of the socket of the first server, percent-encoded.
type ConnectCase = (&'static str, &'static [(&'static str, &'static str)], ConnectExpectation);

const CASES: &[ConnectCase] = &[
    // Hosts.
    ("postgres://ann:{w}@127.0.0.1:{a}/shop", &[], Same),
    ("postgresql://ann:{w}@localhost:{a}/shop", &[], Same),
    ("postgres://ann:{w}@[::1]:{a}/shop", &[], Same),
    ("postgres://slow:{w}@127.0.0.1:{a}/shop", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{p}/shop", &[], Same),
    ("postgres://postgres@{s}:{a}/shop", &[], Same),
    ("postgres://postgres@/shop?host={s}&port={a}", &[], Same),
    ("postgres://postgres@{s}:{a}/shop?sslmode=require", &[], Same),
    ("postgres://ann:{w}@:{a}/shop?host=127.0.0.1", &[], Same),
    ("postgres://ann:{w}@nowhere.invalid:{a}/shop?host=127.0.0.1", &[], Same),
    ("postgres://ann:{w}@nowhere.invalid:{a}/shop?hostaddr=127.0.0.1", &[], Same),
    ("postgres://ann:{w}@nowhere.invalid:{a}/shop?hostaddr=::1", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?hostaddr=nonsense", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop", &[("PGHOSTADDR", "127.0.0.1")], Same),
    ("postgres://ann:{w}@:{a}/shop", &[("PGHOSTADDR", "::1"), ("PGHOST", "nowhere.invalid")], Same),
    (
        "postgres:///",
        &[("PGHOST", "127.0.0.1"), ("PGPORT", "{a}"), ("PGUSER", "ann"), ("PGPASSWORD", "{w}"), ("PGDATABASE", "shop")],
        Same,
    ),
    ("postgres:///", &[("PGHOST", "{t}"), ("PGPORT", "{a}"), ("PGUSER", "postgres")], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/", &[("PGDATABASE", "shop")], Same),
    ("postgres://ann:{w}@127.0.0.1:99999/shop", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/sh%6Fp", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop%zz", &[], Same),
    ("host=127.0.0.1 port={a} user=ann password={w} dbname=shop", &[], Same),
    ("host = 127.0.0.1 port={a} user='ann' password='{w}' dbname='sh\\op'", &[], Same),
    ("host=127.0.0.1 port={a} user=ann password={w} dbname=shop nonsense=1", &[], Same),
    // Lists.
    ("postgres://ann:{w}@127.0.0.1:{p},127.0.0.1:{a}/shop", &[], Same),
    ("postgres://ann:{w}@127.0.0.1,[::1]/shop?port={p},{a}", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:1,127.0.0.1:2/shop?port=1,2,3", &[], Same),
    ("postgres://ann:wrong@127.0.0.1:{a},127.0.0.1:{b}/shop", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a},127.0.0.1:{b}/shop?target_session_attrs=read-only", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{b},127.0.0.1:{a}/shop?target_session_attrs=read-write", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{b},127.0.0.1:{a}/shop", &[("PGTARGETSESSIONATTRS", "primary")], Same),
    ("postgres://ann:{w}@127.0.0.1:{b},127.0.0.1:{a}/shop?target_session_attrs=standby", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{b},127.0.0.1:{a}/shop?target_session_attrs=prefer-standby", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?target_session_attrs=nonsense", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a},127.0.0.1:{p}/shop?load_balance_hosts=random", &[], Since(16)),
    // TLS: what each mode connects to, and what it tries next.
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=disable", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=allow", &[], Same),
    ("postgres://tls:{w}@localhost:{a}/shop?sslmode=allow", &[], Same),
    ("postgres://tls:{w}@localhost:{a}/shop?sslmode=disable", &[], Same),
    ("postgres://tls:{w}@localhost:{a}/shop", &[], Same),
    ("postgres://plain:{w}@localhost:{a}/shop", &[], Same),
    ("postgres://plain:{w}@localhost:{a}/shop?sslmode=prefer", &[], Same),
    ("postgres://plain:{w}@localhost:{a}/shop?sslmode=require", &[], Same),
    ("postgres://plain:{w}@localhost:{a}/shop?sslmode=prefer&sslrootcert={d}/other.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=prefer&sslrootcert={d}/other.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=require", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?ssl=true", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?requiressl=1", &[], Same),
    ("postgres://ann:{w}@localhost:{b}/shop", &[("PGREQUIRESSL", "1")], Same),
    ("postgres://ann:{w}@localhost:{b}/shop?sslmode=require", &[], Same),
    ("postgres://ann:{w}@localhost:{b}/shop?sslmode=prefer", &[], Same),
    ("postgres://ann:{w}@localhost:{b}/shop", &[("PGSSLMODE", "require")], Same),
    ("postgres://ann:{w}@localhost:{b}/shop?sslmode=disable", &[("PGSSLMODE", "require")], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=require&sslrootcert={d}/root.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=require&sslrootcert={d}/other.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=require", &[("PGSSLROOTCERT", "{d}/other.crt")], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=verify-ca&sslrootcert={d}/other.crt", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?sslmode=verify-ca&sslrootcert={d}/root.crt", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?sslmode=verify-full&sslrootcert={d}/root.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=verify-full&sslrootcert={d}/root.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=verify-full", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=verify-ca&sslrootcert={d}/none.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=require", &[("HOME", "{d}/other")], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=verify-full", &[("HOME", "{d}/home")], Same),
    ("postgres://certified@localhost:{a}/shop?sslmode=require", &[], Same),
    ("postgres://certified@localhost:{a}/shop?sslmode=require&sslcert={d}/own.crt&sslkey={d}/own.key", &[], Same),
    ("postgres://certified@localhost:{a}/shop?sslmode=require&sslcert={d}/own.crt&sslkey={d}/open.key", &[], Same),
    ("postgres://certified@localhost:{a}/shop?sslmode=require&sslcert={d}/own.crt&sslkey={d}/none.key", &[], Same),
    (
        "postgres://certified@localhost:{a}/shop?sslmode=require",
        &[("PGSSLCERT", "{d}/own.crt"), ("PGSSLKEY", "{d}/own.key")],
        Same,
    ),
    ("postgres://certified@localhost:{a}/shop?sslmode=require", &[("HOME", "{d}/home")], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=nonsense", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslrootcert=system", &[], Since(16)),
    ("postgres://ann:{w}@localhost:{a}/shop?sslcert={d}/none.crt", &[], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslcert={d}/own.crt&sslkey={d}/open.key", &[], Same),
    ("postgres://postgres@{s}:{a}/shop", &[("PGSSLKEY", "{d}/own.key")], Same),
    ("postgres://ann:{w}@localhost:{a}/shop?sslmode=disable", &[("PGSSLKEY", "{d}/own.key")], Same),
    // Passwords and services.
    ("postgres://ann:wrong@127.0.0.1:{a}/shop", &[], Same),
    ("postgres://ann@127.0.0.1:{a}/shop", &[], Same),
    ("postgres://ann@127.0.0.1:{a}/shop?password={w}", &[], Same),
    ("postgres://o%27dd%40:{w}@127.0.0.1:{a}/shop", &[], Same),
    ("postgres://ann@127.0.0.1:{a}/shop", &[("PGPASSFILE", "{d}/passwords")], Same),
    ("postgres://ann@127.0.0.1:{a}/shop?passfile={d}/passwords", &[], Same),
    ("postgres://ann@127.0.0.1:{a}/shop?passfile={d}/open", &[], Same),
    ("postgres://ann@localhost:{a}/shop", &[("HOME", "{d}/home")], Same),
    ("postgres://ann:wrong@localhost:{a}/shop", &[("HOME", "{d}/home")], Same),
    ("postgres://?service=shop", &[("PGSERVICEFILE", "{d}/services")], Same),
    ("postgres://", &[("PGSERVICEFILE", "{d}/services"), ("PGSERVICE", "shop"), ("PGPORT", "{p}")], Same),
    ("postgres://:{p}?service=shop", &[("PGSERVICEFILE", "{d}/services")], Same),
    ("postgres://?service=none", &[("PGSERVICEFILE", "{d}/services")], Same),
    ("postgres://?service=broken", &[("PGSERVICEFILE", "{d}/services")], Same),
    ("postgres://", &[("PGSYSCONFDIR", "{d}/system"), ("PGSERVICE", "shop")], Same),
    // Settings of the session.
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?options=-c%20geqo%3Doff%20-c%20my.own%3Da%5C%20b", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?options=-c%20nonsense%3Doff", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?options=-c geqo=off", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop", &[("PGOPTIONS", "-c nonsense=off")], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop", &[("PGOPTIONS", "-c geqo=off"), ("PGGEQO", "on")], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?application_name=deploy", &[("PGAPPNAME", "other")], Same),
    (
        "postgres://ann:{w}@127.0.0.1:{a}/shop?connect_timeout=3&keepalives=1&keepalives_idle=9&tcp_user_timeout=5000",
        &[],
        Same,
    ),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?keepalives=nonsense", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?gssencmode=disable&channel_binding=prefer&client_encoding=UTF8", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?sslnegotiation=postgres", &[], Since(17)),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?max_protocol_version=latest", &[], Since(18)),
    // Parameters that libpq does not have.
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?statement-cache-capacity=1", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?ssl-mode=require", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?options[geqo]=off", &[], Same),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?sslmode", &[], Same),
    ("mysql://ann:{w}@127.0.0.1:{a}/shop", &[], Same),
    // What is refused here by design.
    ("postgres://ann:{w}@localhost:{a}/shop", &[("PGSSLKEY", "{d}/own.key")], Refused("unset PGSSLKEY")),
    (
        "postgres://slow:{w}@localhost:{a}/shop?sslmode=require&channel_binding=require",
        &[],
        Refused("sslmode=verify-full&sslrootcert=system"),
    ),
    ("postgres://slow:{w}@localhost:{a}/shop", &[("PGCHANNELBINDING", "require")], Refused("PGCHANNELBINDING")),
    (
        "postgres://ann:{w}@localhost:{a}/shop?sslmode=require&sslrootcert={d}/none.crt",
        &[],
        Refused("none.crt does not exist"),
    ),
    (
        "postgres://ann:{w}@localhost:{a}/shop?sslmode=verify-full&sslrootcert={d}/root.crt&hostaddr=127.0.0.1",
        &[],
        Refused("hostaddr"),
    ),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?requirepeer=postgres", &[], Refused("requirepeer")),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop", &[("PGTZ", "Asia/Tokyo")], Refused("PGTZ")),
    ("postgres://ann:{w}@127.0.0.1:{a}/shop?client_encoding=LATIN1", &[], Refused("client_encoding")),
    ("postgres://127.0.0.1:{a}/shop?user=ann&password={w}&application_name=a@b", &[], Refused("percent-encoded")),
    (
        "postgres://ann:{w}@127.0.0.1:{a}/shop?options=-cgeqo%3Doff",
        &[("PGOPTIONS", "-c geqo=on")],
        Refused("PGOPTIONS"),
    ),
];

#[test]
fn every_url_means_what_psql_takes_it_to_mean() {
    let bed = TestBed::new();
    let (mut wrong, mut connected) = (Vec::new(), 0);
    for (url, environment, expected) in CASES {
        let (psql, ours) = (bed.psql(url, environment), bed.ours(url, environment));
        connected += usize::from(!ours.came.is_empty());
        let fits = match expected {
            Same => psql.came == ours.came,
            Since(version) if bed.version >= *version => psql.came == ours.came,
            Since(16) if url.contains("system") => ours.came.is_empty(),
            Since(_) => !ours.came.is_empty(),
            Refused(words) => !psql.came.is_empty() && ours.came.is_empty() && ours.said.contains(words),
        };
        if !fits {
            wrong.push(format!("{url} {environment:?}\n  psql: {psql:?}\n  ours: {ours:?}"));
        }
    }
    bed.end();
    assert!(connected > 50, "only {connected} cases lead to a connection");
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

/// Two servers, and the files that URLs name.
struct TestBed {
    project: Project,
    folder: tempfile::TempDir,
    with_tls: LibpqServer,
    without: LibpqServer,
    psql: PathBuf,
    version: u32,
    nobody: u16,
}

struct LibpqServer {
    cluster: Cluster,
    child: Child,
    port: u16,
}

/// A connection according to the server's log, and the output of the program.
#[derive(Debug)]
struct ConnectOutcome {
    came: Vec<String>,
    said: String,
}

const HBA: &str = "\
local all all trust
hostssl all certified all cert
hostssl all plain all reject
hostnossl all tls all reject
host all slow all scram-sha-256
host all all all md5
";

impl TestBed {
    fn new() -> Self {
        let project = Project::new();
        project.migration(1, "a", "SELECT 1;", "SELECT 1;");
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let binaries = Binaries::find(None).unwrap();
        let own = binaries.folder.join("psql");
        let psql = if own.is_file() { own } else { PathBuf::from("psql") };
        let version = Command::new(&psql).arg("--version").output().expect("psql has to be on this machine");
        let version = String::from_utf8(version.stdout).unwrap();
        let version = version.split_whitespace().nth(2).unwrap().split('.').next().unwrap().parse().unwrap();
        let issuer = authority();
        files(folder.path(), &issuer);
        let with_tls = LibpqServer::start(&project, &folder.path().join("a"), Some(&issuer), "off");
        let without = LibpqServer::start(&project, &folder.path().join("b"), None, "on");
        let nobody = free_port();
        let bed = Self { project, folder, with_tls, without, psql, version, nobody };
        for (name, text) in [("services", SERVICES), ("system/pg_service.conf", SERVICES)] {
            write(&bed.folder.path().join(name), &bed.fill(text), 0o644);
        }
        for (name, mode) in [("passwords", 0o600), ("open", 0o644), ("home/.pgpass", 0o600)] {
            write(&bed.folder.path().join(name), &bed.fill(PASSWORDS), mode);
        }
        bed
    }

    fn fill(&self, text: &str) -> String {
        let socket = self.with_tls.cluster.sockets.display().to_string();
        let ports = [("{a}", self.with_tls.port), ("{b}", self.without.port), ("{p}", self.nobody)];
        let text = ports.iter().fold(text.to_owned(), |text, (name, port)| text.replace(name, &port.to_string()));
        let text = text.replace("{w}", SECRET).replace("{d}", &self.folder.path().display().to_string());
        text.replace("{s}", &socket.replace('/', "%2F")).replace("{t}", &socket)
    }

    fn psql(&self, url: &str, environment: &[(&str, &str)]) -> ConnectOutcome {
        let mut command = Command::new(&self.psql);
        command.args(["-X", "-w", "-c", "SELECT 1", "-d", &self.fill(url)]);
        self.observe(command, environment)
    }

    fn ours(&self, url: &str, environment: &[(&str, &str)]) -> ConnectOutcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["status", "--database", "env:TEST_DATABASE_URL"]).env("TEST_DATABASE_URL", self.fill(url));
        command.env("ROUNDTRIP_HOME", self.project.path().join("home"));
        self.observe(command, environment)
    }

    /// Runs a program with only this environment, and reads from the logs how it connected.
    fn observe(&self, mut command: Command, environment: &[(&str, &str)]) -> ConnectOutcome {
        let own: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect();
        command.env_clear().envs(own).env("HOME", self.folder.path().join("nobody")).env("LC_ALL", "C.UTF-8");
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(environment.iter().map(|(name, value)| (name, self.fill(value))));
        let servers = [("a", &self.with_tls), ("b", &self.without)];
        let before = servers.map(|(_, server)| server.log().len());
        let output = command.current_dir(self.project.path()).stdin(Stdio::null()).output().unwrap();
        let is_done = output.status.success();
        let text = if command.get_program() == self.psql.as_os_str() {
            String::from_utf8_lossy(&output.stderr).into_owned()
        } else {
            let said = said(output);
            said.out + &said.err
        };
        let mut came: Vec<String> = Vec::new();
        for ((name, server), before) in servers.iter().zip(before).filter(|_| is_done) {
            let log = server.log().split_off(before);
            came.extend(log.lines().filter(|line| line.contains("connection authorized")).map(|line| {
                let line = line.split(" SSL enabled").next().unwrap().to_owned()
                    + if line.contains("SSL enabled") { " TLS" } else { "" };
                // The default application names of the programs may differ.
                let line = line.replace(" application_name=psql", "").replace(" application_name=roundtrip", "");
                format!("{name} {line}")
            }));
        }
        came.sort();
        came.dedup();
        ConnectOutcome { came, said: text }
    }

    fn end(self) {
        for mut server in [self.with_tls, self.without] {
            self.project.wait(server.cluster.stop()).unwrap();
            server.child.wait().unwrap();
        }
        self.project.end();
    }
}

const SERVICES: &str = "# ours\n[broken]\nnonsense=1\n[shop]\nhost=127.0.0.1\nport={a}\nuser=ann\npassword={w}\ndbname=shop\n\n[x]\nport=1\n";
const PASSWORDS: &str = "# ours\n127.0.0.1:{b}:shop:ann:wrong\n*:{a}:shop:ann:{w}\n*:*:*:*:wrong\n";

impl LibpqServer {
    fn start(
        project: &Project,
        folder: &Path,
        issuer: Option<&CertifiedIssuer<'static, KeyPair>>,
        read_only: &str,
    ) -> Self {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let at = |name: &str| folder.join(name);
        let (binaries, account) = (Binaries::find(None).unwrap(), Account::for_servers().unwrap());
        let cluster = Cluster { binaries, data: at("data"), sockets: at("s"), log: at("log"), account };
        cluster.init(SECRET).unwrap();
        let own = |name: &str, text: &str| {
            write(&cluster.data.join(name), text, 0o600);
            if let Some(account) = &cluster.account {
                account.own(&cluster.data.join(name)).unwrap();
            }
        };
        let without = HBA.lines().filter(|line| !line.contains("ssl")).collect::<Vec<_>>().join("\n");
        own("pg_hba.conf", &if issuer.is_some() { HBA.to_owned() } else { format!("{without}\n") });
        let mut settings = vec![
            ("fsync", "off"),
            ("listen_addresses", "127.0.0.1,::1"),
            ("log_connections", "on"),
            ("log_line_prefix", "%h "),
        ];
        if let Some(issuer) = issuer {
            let key = KeyPair::generate().unwrap();
            let made = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
            own("server.crt", &made.pem());
            own("server.key", &key.serialize_pem());
            own("root.crt", &issuer.pem());
            settings.extend([("ssl", "on"), ("ssl_ca_file", "root.crt")]);
        }
        let port = free_port();
        let mut child = cluster.start(Some(port), &settings).unwrap();
        let options = PgConnectOptions::new_without_pgpass().socket(&cluster.sockets).port(port);
        let options = options.username("postgres").database("postgres");
        project.wait(cluster.wait(&mut child, &options, Duration::from_secs(30))).unwrap();
        // SCRAM is slow in a debug build; one role is enough to see that it works.
        for (kind, roles) in
            [("md5", &["ann", "tls", "plain", "certified", "\"o'dd@\""][..]), ("scram-sha-256", &["slow"])]
        {
            for role in roles {
                let make = format!("SET password_encryption TO '{kind}'; CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'");
                project.query_on(&options, &make);
            }
        }
        project.query_on(&options, "CREATE DATABASE shop");
        project.query_on(&options, "CREATE DATABASE ann");
        project.query_on(&options, &format!("ALTER DATABASE shop SET default_transaction_read_only TO {read_only}"));
        Self { cluster, child, port }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.cluster.log).unwrap()
    }
}

/// An authority that signs certificates.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "the authority of a test");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificates for clients, and home folders that contain some.
fn files(folder: &Path, issuer: &CertifiedIssuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "certified");
    let own = params.signed_by(&key, issuer).unwrap().pem();
    let other = authority().pem();
    let texts = [
        ("root.crt", issuer.pem(), 0o644),
        ("other.crt", other.clone(), 0o644),
        ("own.crt", own.clone(), 0o644),
        ("own.key", key.serialize_pem(), 0o600),
        ("open.key", key.serialize_pem(), 0o644),
        ("home/.postgresql/root.crt", issuer.pem(), 0o644),
        ("home/.postgresql/postgresql.crt", own, 0o644),
        ("home/.postgresql/postgresql.key", key.serialize_pem(), 0o600),
        ("other/.postgresql/root.crt", other, 0o644),
    ];
    for (name, text, mode) in texts {
        write(&folder.join(name), &text, mode);
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
