//! Passwords with any characters, encoded or not, in every way that an address can be given to a command: no
//! part of one is shown.

use std::process::Stdio;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::support::{Project, said};

/// Characters with a special meaning in a URL, a shell, TOML or JSON, and some without.
const ODD: &str = "[@:/?#%&=+ '\"\\\\\\[\\]{}$`!;,<>|~^*()Aé✓\u{2028}\\-]{4,14}";

/// The parts of a password that must not be shown, four characters each.
fn parts(password: &str) -> Vec<String> {
    let all: Vec<char> = password.chars().collect();
    all.windows(4).map(|part| part.iter().collect()).collect()
}

fn encoded(password: &str) -> String {
    password.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Runs a command in both formats and checks everything that it prints.
#[track_caller]
fn is_silent(project: &Project, password: &str, arguments: &[&str], variables: &[(&str, &str)]) {
    for format in ["text", "json"] {
        let mut command = project.command(arguments);
        command.args(["--format", format]).envs(variables.iter().copied()).stdin(Stdio::null());
        // The correct address is used, and nothing listens there.
        let said = said(command.output().unwrap());
        assert_ne!(said.code, 0, "{arguments:?} {variables:?}: {said:?}");
        let all = format!("{}\n{}", said.out, said.err);
        for part in parts(password).iter().chain(&parts(&encoded(password))) {
            // A run of one character also occurs in every frame.
            let is_plain = part.chars().all(|c| part.starts_with(c)) || " |= ".contains(part.trim());
            assert!(is_plain || !all.contains(part), "{part:?} of {password:?} by {arguments:?} {variables:?}:\n{all}");
        }
    }
}

#[test]
fn no_part_of_a_password_is_shown_whatever_it_is_made_of() {
    let project = Project::new();
    project.migration(1, "a", "SELECT 1;", "SELECT 1;");
    let mut runner = TestRunner::deterministic();
    let generated = (0..12).map(|_| ODD.new_tree(&mut runner).unwrap().current());
    let named = [
        "aa?TopSecret123",
        "x@TopSecret123/y",
        "Top#Secret",
        "Top%Secret",
        "Top&Secret=1",
        "Top\nSecret",
        "Top\"Secret'",
    ];
    let passwords: Vec<String> = named.into_iter().map(str::to_owned).chain(generated).collect();
    for password in &passwords {
        for url in [
            format!("postgres://app:{password}@127.0.0.1:1/shop"),
            format!("postgres://app:{}@127.0.0.1:1/shop", encoded(password)),
            format!("postgres://127.0.0.1:1/shop?user=app&password={password}"),
            format!("host=127.0.0.1 port=1 user=app password={password}"),
            format!("mysql://app:{password}@127.0.0.1:1/shop"),
            format!("app:{password}@127.0.0.1:1/shop"),
        ] {
            is_silent(&project, password, &["status", "--database", "env:ODD"], &[("ODD", &url)]);
            is_silent(&project, password, &["status", "--database", &url], &[]);
        }
    }
    // The other ways parse the same texts with the same functions; a few of each are enough.
    for password in &passwords[..6] {
        let url = format!("postgres://app:{password}@127.0.0.1:1/shop");
        is_silent(&project, password, &["status", &url], &[]);
        is_silent(&project, password, &["status", &format!("--databse={url}")], &[]);
        is_silent(&project, password, &["diff", "migrations", &url], &[]);
        is_silent(&project, password, &["db", "url", "--database", &url, "--config", "nowhere"], &[]);
        is_silent(&project, password, &["db", "psql", "--database", &url], &[]);
        is_silent(&project, password, &["verify"], &[("ROUNDTRIP_TEST_SERVER", &url)]);
        let own = [("PGPASSWORD", password.as_str()), ("PGHOST", "127.0.0.1"), ("PGPORT", "1")];
        is_silent(&project, password, &["status", "--database", "postgres://app@/shop"], &own);
        for text in [
            format!("[environments.live]\ndatabase = \"{url}\"\n"),
            format!("[environments.live]\ndatabase = '{url}'\nunknown = 1\n"),
            // Without quotes a value ends with its line.
            format!("[environments.live]\ndatabase = {}\n", url.replace('\n', "")),
            format!("[environments.live]\ndatabase = \"app:{}@127.0.0.1/shop\"\n", password.replace('\n', "")),
            format!("[environments.live]\ndatabase = \"\"\"{url}\"\"\"\nunknown = 1\n"),
            format!("[notify.team]\nslack = \"https://hooks.example.org/{}\"\n", password.replace('\n', "")),
        ] {
            project.write("migrate.toml", text);
            is_silent(&project, password, &["status", "--env", "live"], &[]);
        }
        std::fs::remove_file(project.path().join("migrate.toml")).unwrap();
    }
    project.end();
}

/// Everybody on the machine can see the arguments that psql is started with.
#[test]
fn psql_is_given_the_password_in_its_environment() {
    let project = Project::new();
    let folder = project.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let program =
        project.write("bin/psql", "#!/bin/sh\necho \"$*\"\n[ \"$PGPASSWORD\" = 'a b' ] && echo it is there\n");
    std::fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for url in [
        "postgres://ann:a%20b@h:1/d?port=2",
        "postgres://ann@h:1/d?port=2&password=a%20b",
        "postgres://ann@h:1/d?password=a%20b&port=2",
    ] {
        let mut command = project.command(&["db", "psql", "--database", url]);
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let said = said(command.env("PATH", path).output().unwrap()).ok();
        assert_eq!(said.out, "postgres://ann@h:1/d?port=2\nit is there\n");
    }
    project.end();
}

/// A database that is kept because a law does not hold can be reached with the printed command, as it stands.
#[test]
fn the_address_of_a_kept_database_is_one_that_psql_takes() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a ();", "SELECT 1;");
    let server = project.database.url();
    let mut command = project.command(&["verify"]);
    let said = said(command.env("ROUNDTRIP_TEST_SERVER", &server).output().unwrap());
    assert_eq!(said.code, 3, "{said:?}");
    let all = format!("{}{}", said.out, said.err);
    let url = all.split("psql '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_else(|| panic!("{all}"));
    let psql = std::process::Command::new("psql")
        .args(["-X", "-w", "-At", "-d", url, "-c", "SELECT 'reached'"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&psql.stdout), "reached\n", "{url}: {psql:?}");
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    project.query(&format!("DROP DATABASE {name} WITH (FORCE)"));
    project.end();
}
