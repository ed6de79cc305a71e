//! A primary and a standby that replays its WAL: what is shown about the standby before a run on the primary,
//! and what the standby refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use migrate_test::provider::account::{Account, run_as};
use migrate_test::provider::binaries::Binaries;
use migrate_test::provider::cluster::{Cluster, SUPERUSER};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tempfile::TempDir;

use crate::production::{ROLLBACK, records, until};
use crate::runbook::{psql_on, refused};
use crate::support::{ProgramOutput, Project, SECRET, said};

/// Two servers for this test on private sockets, and a project for the database `shop` on them.
struct ReplicationPair {
    project: Project,
    primary: ReplicationServer,
    standby: ReplicationServer,
    _folder: TempDir,
}

/// A server that ends with this value, or with the process of the test, however that ends.
struct ReplicationServer {
    cluster: Cluster,
    process: Child,
    /// A shell that waits for the end of its input, and then ends the server.
    watch: Child,
}

impl Drop for ReplicationServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ReplicationServer {
    fn start(cluster: Cluster, project: &Project) -> Self {
        let settings = [
            ("fsync", "off"),
            ("autovacuum", "off"),
            ("wal_receiver_status_interval", "1s"),
            ("wal_retrieve_retry_interval", "200ms"),
        ];
        let mut process = cluster.start(None, &settings).unwrap();
        let mut watch = Command::new("sh");
        watch.args(["-c", "trap '' INT HUP; read -r _; kill -QUIT \"$0\"", &process.id().to_string()]);
        let watch = watch.stdin(Stdio::piped()).spawn().unwrap();
        let options = options(&cluster, "postgres", SUPERUSER);
        project.wait(cluster.wait(&mut process, &options, Duration::from_secs(60))).unwrap();
        Self { cluster, process, watch }
    }

    fn stop(&mut self) {
        drop(self.watch.stdin.take());
        self.watch.wait().unwrap();
        self.process.wait().unwrap();
    }

    fn options(&self) -> PgConnectOptions {
        options(&self.cluster, "shop", SUPERUSER)
    }

    fn url(&self, role: &str) -> String {
        let folder = self.cluster.sockets.display().to_string().replace('/', "%2F");
        format!("postgres://{role}:{SECRET}@{folder}:5432/shop")
    }
}

fn options(cluster: &Cluster, database: &str, role: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().socket(&cluster.sockets).port(5432);
    options.username(role).database(database).ssl_mode(PgSslMode::Disable)
}

impl ReplicationPair {
    /// Starts both; `None` if the tests have no binaries with pg_basebackup.
    fn start() -> Option<Self> {
        let binaries = match std::env::var_os("ROUNDTRIP_TEST_BINDIR").filter(|folder| !folder.is_empty()) {
            Some(folder) => Binaries::probe(folder.as_ref()).ok(),
            None => Binaries::find(None).ok(),
        };
        let Some(binaries) = binaries.filter(|found| found.folder.join("pg_basebackup").is_file()) else {
            eprintln!("NOT TESTED: there is no pg_basebackup beside the server");
            return None;
        };
        let project = Project::new();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let account = Account::for_servers().unwrap();
        let cluster = |name: &str| {
            let home = folder.path().join(name);
            fs::create_dir(&home).unwrap();
            account.iter().for_each(|account| account.own(&home).unwrap());
            let (data, sockets, log) = (home.join("data"), home.join("s"), home.join("log"));
            Cluster { binaries: binaries.clone(), data, sockets, log, account: account.clone() }
        };
        let (first, second) = (cluster("1"), cluster("2"));
        first.init("nobody comes over TCP").unwrap();
        let primary = ReplicationServer::start(first, &project);
        project.query_on(&options(&primary.cluster, "postgres", SUPERUSER), "CREATE DATABASE shop");
        let mut copy = binaries.program("pg_basebackup");
        copy.arg("-h").arg(&primary.cluster.sockets).args(["-p", "5432", "-U", SUPERUSER, "--create-slot"]);
        copy.args(["--slot=one", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D"]).arg(&second.data);
        run_as(&mut copy, account.as_ref());
        let copied = copy.stdin(Stdio::null()).output().unwrap();
        assert!(copied.status.success(), "{copied:?}");
        let standby = ReplicationServer::start(second, &project);
        project.write(
            "migrate.toml",
            "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\nrecord = \"audit\"\n\
             [environments.open]\ndatabase = \"env:TEST_DATABASE_URL\"\n",
        );
        for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
            project.migration(number, name, &format!("CREATE TABLE {name} ();"), &format!("DROP TABLE {name};"));
        }
        let pair = Self { project, primary, standby, _folder: folder };
        pair.on(&pair.primary, &["migrate", "--env", "live", "--yes", "--to", "20250101000002"]).ok();
        pair.follow();
        Some(pair)
    }

    /// The executable on one of the servers.
    fn on(&self, server: &ReplicationServer, arguments: &[&str]) -> ProgramOutput {
        self.by(SUPERUSER, server, arguments)
    }

    fn by(&self, role: &str, server: &ReplicationServer, arguments: &[&str]) -> ProgramOutput {
        said(self.project.command(arguments).env("TEST_DATABASE_URL", server.url(role)).output().unwrap())
    }

    fn ask(&self, server: &ReplicationServer, sql: &str) -> Vec<String> {
        self.project.query_on(&server.options(), sql)
    }

    /// Waits until the standby has replayed what the primary has written.
    fn follow(&self) {
        let written = self.ask(&self.primary, "SELECT pg_current_wal_lsn()::text").remove(0);
        let replayed = format!("SELECT (pg_last_wal_replay_lsn() >= '{written}')::text");
        until("it follows", || self.ask(&self.standby, &replayed) == ["true"]);
    }

    /// Writes some megabytes on the primary, and returns how many bytes of WAL that was.
    fn write(&self) -> u64 {
        let sql = "CREATE TEMP TABLE place AS SELECT pg_current_wal_lsn() AS lsn; \
                   CREATE TABLE much AS SELECT repeat(n::text, 50) FROM generate_series(1, 100000) n; DROP TABLE much; \
                   SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), lsn)::bigint::text FROM place";
        self.ask(&self.primary, sql).remove(0).parse().unwrap()
    }

    /// The situation of a run on the primary, as data.
    fn situation(&self, role: &str) -> Value {
        let said = self.by(role, &self.primary, &["migrate", "--env", "live", "--dry-run", "--format", "json"]);
        said.ok().json()["brief"]["situation"].take()
    }

    /// The same for people.
    fn shown(&self) -> String {
        self.on(&self.primary, &["migrate", "--env", "live", "--dry-run"]).ok().out
    }

    /// What would differ if something had been written.
    fn written(&self) -> [Vec<String>; 2] {
        let ledger = "SELECT concat_ws(' ', id, event, version) FROM roundtrip.ledger ORDER BY id";
        let tables =
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1";
        [self.ask(&self.primary, ledger), self.ask(&self.primary, tables)]
    }

    fn end(self) {
        let Self { project, primary, standby, .. } = self;
        drop((standby, primary));
        project.end();
    }
}

#[test]
fn how_far_a_replica_is_behind_is_true_whatever_it_does() {
    let Some(pair) = ReplicationPair::start() else { return };
    until("it follows and says so", || {
        let situation = pair.situation(SUPERUSER);
        (&situation["replica_lag_bytes"], &situation["replica_lag_seconds"]) == (&0.into(), &0.into())
    });
    let situation = pair.situation(SUPERUSER);
    assert_eq!((&situation["replicas"], &situation["idle_slots"]), (&1.into(), &serde_json::json!([])));

    pair.ask(&pair.standby, "SELECT pg_wal_replay_pause()::text");
    until("it stands", || pair.ask(&pair.standby, "SELECT pg_get_wal_replay_pause_state()") == ["paused"]);
    let written = pair.write();
    let situation = pair.situation(SUPERUSER);
    assert!(situation["replica_lag_bytes"].as_u64() >= Some(written), "{written}: {situation}");
    assert_ne!(situation["replica_lag_seconds"], 0, "it stands, and nobody measured for how long: {situation}");
    let shown = pair.shown();
    assert!(shown.contains("1 connected, the slowest lags by") && shown.contains(" of WAL"), "{shown}");

    // A role that may not see the numbers is not told that all is well, and may continue.
    pair.ask(
        &pair.primary,
        "CREATE ROLE weak LOGIN; GRANT USAGE ON SCHEMA roundtrip TO weak; GRANT SELECT ON roundtrip.ledger TO weak",
    );
    let hidden = pair.situation("weak");
    assert_eq!(
        (&hidden["replicas"], &hidden["replica_lag_bytes"], &hidden["replica_lag_seconds"]),
        (&1.into(), &Value::Null, &Value::Null)
    );
    let hidden = pair.by("weak", &pair.primary, &["migrate", "--env", "live", "--dry-run"]).ok();
    assert!(hidden.out.contains("grant pg_monitor to the role"), "{hidden:?}");

    pair.ask(&pair.standby, "SELECT pg_wal_replay_resume()::text");
    until("it has caught up", || pair.situation(SUPERUSER)["replica_lag_bytes"] == 0);
    assert!(pair.shown().contains("1 connected, no lag"));
    pair.end();
}

#[test]
fn a_slot_that_nobody_reads_from_is_shown_with_what_it_holds() {
    let Some(mut pair) = ReplicationPair::start() else { return };
    assert_eq!(pair.situation(SUPERUSER)["idle_slots"], serde_json::json!([]), "a standby reads from it");
    pair.standby.stop();
    until("nobody reads", || pair.situation(SUPERUSER)["replicas"] == 0);
    let written = pair.write();
    let slots = pair.situation(SUPERUSER)["idle_slots"].take();
    assert_eq!((slots.as_array().unwrap().len(), &slots[0]["slot"]), (1, &"one".into()), "{slots}");
    assert!(slots[0]["bytes"].as_u64() >= Some(written), "{written}: {slots}");
    let shown = pair.shown();
    assert!(shown.contains("the replication slot one is inactive") && !shown.contains("connected, the"), "{shown}");

    pair.standby = ReplicationServer::start(pair.standby.cluster.clone(), &pair.project);
    until("it reads again", || pair.situation(SUPERUSER)["idle_slots"] == serde_json::json!([]));
    // A standby can have slots as well, but does not write the WAL whose end is requested.
    pair.ask(&pair.standby, "SELECT pg_create_physical_replication_slot('far', true)::text");
    let there = pair.on(&pair.standby, &["migrate", "--env", "live", "--dry-run", "--format", "json"]).ok().json();
    assert_eq!(there["brief"]["situation"]["idle_slots"][0]["slot"], "far", "{there}");
    pair.end();
}

#[test]
fn a_standby_can_be_looked_at_and_nothing_is_asked_or_run_on_it() {
    let Some(pair) = ReplicationPair::start() else { return };
    let before = pair.written();
    let migrate = ["migrate", "--env", "live"];
    let reason = ["rollback", "--env", "live", "--reason", "INC-1"];
    // Without --yes a person would be asked, and the command would report that there is none.
    for arguments in [&[&migrate[..], &["--yes"]].concat()[..], &ROLLBACK, &migrate, &reason] {
        let said = pair.on(&pair.standby, arguments);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains("error[read-only]") && said.err.contains("the primary"), "{arguments:?}: {said:?}");
    }
    assert_eq!(records(&pair.project).len(), 0);
    for arguments in [["migrate", "--env", "open"], ["rollback", "--env", "open"]] {
        let said = pair.on(&pair.standby, &arguments);
        assert!(said.code == 1 && said.err.contains("use the address of the primary"), "{arguments:?}: {said:?}");
    }
    assert_eq!(pair.written(), before);
    let locks = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'";
    until("no lock is left", || pair.ask(&pair.standby, locks) == ["0"]);

    let looks: [&[&str]; 6] = [
        &["status", "--env", "live", "--format", "json"],
        &["history", "--env", "live", "--format", "json"],
        &["drift", "--env", "live", "--format", "json"],
        &["migrate", "--env", "open", "--dry-run", "--format", "json"],
        &["migrate", "--env", "live", "--dry-run", "--format", "json"],
        &["rollback", "--env", "live", "--dry-run", "--format", "json"],
    ];
    for arguments in looks {
        let there = pair.on(&pair.standby, arguments);
        let here = pair.on(&pair.primary, arguments);
        assert_eq!((there.code, here.code), (0, 0), "{there:?} {here:?}");
        let told = |said: &ProgramOutput| {
            let mut told = said.json();
            // The address, the time and the situation are those of the server.
            for key in ["database", "milliseconds", "brief"] {
                told.as_object_mut().unwrap().remove(key);
            }
            told
        };
        assert_eq!(told(&there), told(&here), "a standby tells the same: {arguments:?}");
    }
    let dry = pair.on(&pair.standby, &["migrate", "--env", "live", "--dry-run"]).ok();
    assert!(dry.out.contains("read-only: migrations cannot run on it"), "{dry:?}");
    pair.end();
}

#[test]
fn a_script_for_psql_refuses_a_standby_and_runs_on_the_primary() {
    let Some(pair) = ReplicationPair::start() else { return };
    for (way, after) in [("rollback", &["a"][..]), ("migrate", &["a", "b"])] {
        let before = pair.written();
        let arguments = ["runbook", "--env", "live", "--for", way, "-n", "1"];
        let script = pair.on(&pair.primary, &arguments).ok().out;
        assert_eq!(pair.on(&pair.standby, &arguments).ok().out, script, "it can be written on a standby");
        pair.project.write("script.sql", &script);
        let run = |server: &ReplicationServer| {
            let mut psql = psql_on(&pair.project, &server.url(SUPERUSER), &["-f", "script.sql"]);
            said(psql.output().unwrap())
        };
        let there = run(&pair.standby);
        refused(&there, "this server is a standby");
        assert!(there.err.contains("Connect to the primary"), "{there:?}");
        assert_eq!(pair.written(), before, "{way}");
        run(&pair.primary).ok();
        assert_eq!(pair.written()[1], after, "{way}");
        pair.follow();
    }
    pair.end();
}
