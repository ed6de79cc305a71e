//! What child processes know, and what remains of servers that were named and containers that were started.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::{ProgramOutput, Project, SECRET, root, said, sources};

/// A process and all its descendants, by parent pid.
fn family(of: &[u32]) -> BTreeSet<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let mut all: BTreeSet<u32> = of.iter().copied().collect();
    while let Some((pid, _)) = parents.iter().find(|(pid, parent)| all.contains(parent) && !all.contains(pid)) {
        all.insert(*pid);
    }
    all
}

/// The environment that a process was started with; the processes of a server overwrite theirs with their
/// activity.
fn environment(pid: u32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()).replace('\0', "\n")
}

fn number(path: &Path) -> u32 {
    let text = fs::read_to_string(path).unwrap();
    text.lines().next().unwrap().trim().parse().unwrap()
}

#[track_caller]
fn know_nothing(pids: &[u32]) {
    let all = family(pids);
    assert!(pids.iter().all(|pid| environment(*pid).contains("PATH=")), "{all:?} can be read");
    for pid in all {
        let known = environment(pid);
        for secret in [SECRET, "CARGO_MANIFEST_DIR", "TEST_DATABASE_URL", "s3cret-token"] {
            assert!(!known.contains(secret), "process {pid} knows {secret}: {known}");
        }
    }
}

/// The executable with secrets in its environment; the address of the test's database is one of them.
fn command(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.command(arguments);
    command.env("PGPASSWORD", "s3cret-token").env("DATABASE_URL", "s3cret-token").env("VAULT_TOKEN", "s3cret-token");
    command
}

#[test]
fn servers_of_binaries_know_none_of_our_secrets() {
    let project = Project::new();
    fs::set_permissions(project.path(), fs::Permissions::from_mode(0o755)).unwrap();
    project.migration(1, "t", "CREATE TABLE t (id int);", "DROP TABLE t;");
    // The development server. Its output is read, so that it has been started when this returns.
    said(command(&project, &["db", "up", "--database", "local"]).output().unwrap()).ok();
    let homes = fs::read_dir(project.path().join("home")).unwrap();
    let home = homes.flatten().next().unwrap().path();
    know_nothing(&[number(&home.join("data/postmaster.pid"))]);
    said(command(&project, &["db", "down", "--destroy", "--database", "local"]).output().unwrap()).ok();
    // The shared server, with the shell that ends it.
    let folder = project.path().join("shared");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut verify = command(&project, &["verify", "--all"]);
    verify.env("ROUNDTRIP_TEST_DIR", &folder).env("ROUNDTRIP_TEST_SERVER", "local");
    said(verify.output().unwrap()).ok();
    let home = fs::read_dir(&folder).unwrap().flatten().next().unwrap().path();
    know_nothing(&[number(&home.join("data/postmaster.pid")), number(&home.join("supervisor.pid"))]);
    until("the server ends", || has_ended(&home));
    project.end();
}

#[test]
fn only_one_place_starts_processes() {
    let root = root();
    let mut folders = sources();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.contains("Command::new(")) {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(found, ["migrate-test/src/provider/child.rs"], "provider::child::command clears the environment");
}

/// The message where another server would be available, but must not be used.
fn refused(project: &Project, name: &str, value: &str) -> ProgramOutput {
    let mut verify = project.command(&["verify", "--all"]);
    let said = said(verify.env_remove("ROUNDTRIP_TEST_SERVER").env(name, value).output().unwrap());
    assert!([1, 2].contains(&said.code) && said.err.contains(name), "{said:?}");
    said
}

#[test]
fn what_was_named_is_used_or_it_is_an_error() {
    let project = Project::new();
    project.migration(1, "t", "CREATE TABLE t (id int);", "DROP TABLE t;");
    let said = refused(&project, "ROUNDTRIP_TEST_SERVER", "env:NOT_SET");
    assert!(said.err.contains("NOT_SET is not set"), "{said:?}");
    refused(&project, "ROUNDTRIP_TEST_SERVER", "mysql");
    refused(&project, "ROUNDTRIP_TEST_BINDIR", "/nonexistent");
    assert!(!project.path().join("home").exists(), "no server was made in its place");

    // The configuration file: its server is used, unless the variable names one.
    project.write("migrate.toml", "[environments.shadow]\ndatabase = \"env:NOT_SET\"\n");
    let mut verify = project.command(&["verify", "--all"]);
    let output = crate::support::said(verify.env_remove("ROUNDTRIP_TEST_SERVER").output().unwrap());
    assert!(output.code == 2 && output.err.contains("[environments.shadow]"), "{output:?}");
    project.write("migrate.toml", "[environments.shadow]\ndatabase = \"env:TEST_DATABASE_URL\"\n");
    let mut verify = project.command(&["verify", "--all", "-v"]);
    let output = crate::support::said(verify.env_remove("ROUNDTRIP_TEST_SERVER").output().unwrap()).ok();
    assert!((output.out.clone() + &output.err).contains("[environments.shadow]"), "{output:?}");
    project.end();
}

/// The containers with the mark of a project, by name.
fn containers(of: u32) -> Vec<String> {
    let filter = format!("name=^/?roundtrip-test-{of}-");
    let list = Command::new("docker").args(["ps", "--all", "--format", "{{.Names}}", "--filter", &filter]).output();
    String::from_utf8_lossy(&list.unwrap().stdout).lines().map(str::to_owned).collect()
}

fn no_container() -> Option<String> {
    match Command::new("docker").args(["image", "inspect", "postgres:15"]).output() {
        Ok(output) if output.status.success() => None,
        _ => Some("no engine has the image postgres:15".to_owned()),
    }
}

#[test]
fn a_container_goes_with_whoever_started_it() {
    if let Some(why) = no_container() {
        eprintln!("NOT TESTED: {why}");
        return;
    }
    let project = Project::new();
    project.migration(1, "t", "CREATE TABLE t (id int);", "DROP TABLE t;");
    let verify = || {
        let mut verify = command(&project, &["verify", "--all", "-v"]);
        verify.env("ROUNDTRIP_TEST_SERVER", "docker:postgres:15").stdout(Stdio::piped()).stderr(Stdio::piped());
        verify.process_group(0);
        verify
    };
    // A process that ends normally has used the named server.
    let child = verify().spawn().unwrap();
    let pid = child.id();
    let output = said(child.wait_with_output().unwrap()).ok();
    assert!((output.out.clone() + &output.err).contains("a container of postgres:15"), "{output:?}");
    until("the container is gone", || containers(pid).is_empty());
    // Ctrl-C, and a kill, as soon as its watcher exists: before the engine has been contacted, and after.
    for (signal, later) in [(Signal::INT, true), (Signal::KILL, true), (Signal::KILL, false)] {
        let mut child = verify().spawn().unwrap();
        let pid = child.id();
        until("its watcher is there", || {
            let watches = |pid: &u32| {
                fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.contains("roundtrip-container"))
            };
            let found: Vec<u32> = family(&[pid]).into_iter().filter(watches).collect();
            found.iter().for_each(|watcher| know_nothing(&[*watcher]));
            !found.is_empty()
        });
        if later {
            until("the container is there", || !containers(pid).is_empty());
        }
        kill_process_group(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
        child.wait().unwrap();
        let marker = format!("roundtrip-test-{pid}-");
        let watched = || {
            let lines = fs::read_dir("/proc").unwrap().flatten();
            lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok()).any(|line| {
                let line = String::from_utf8_lossy(&line).into_owned();
                line.contains("roundtrip-container") && line.contains(&marker)
            })
        };
        until("its watcher ends", || !watched());
        assert_eq!(containers(pid), [""; 0], "{signal:?}");
    }
    project.end();
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: still not so");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the shell that ended a server has nothing more to do.
fn has_ended(home: &Path) -> bool {
    fs::read_to_string(home.join("supervisor.pid")).is_ok_and(|pid| pid.is_empty())
}
