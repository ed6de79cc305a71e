//! Chains of SQL files that the real tool applies: sqlx as a library, and sqitch where it is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use migrate_core::Database;
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use crate::support::Project;

/// What every adoption leads to. `again` runs the other tool, which finds nothing to do, and `next` writes a migration
/// in the form of the folder.
fn is_taken_over(project: &Project, tool: &str, again: &dyn Fn(&Project), next: &dyn Fn(&Project)) {
    project.run(&["verify", "--all"]).ok();
    let refused = project.run(&["migrate"]);
    assert!(refused.code == 3 && refused.err.contains("other-ledger"), "{refused:?}");
    let looked = project.run(&["adopt"]).ok();
    assert!(looked.out.contains("2 migrations would be recorded"), "{looked:?}");
    project.run(&["adopt", "--yes"]).ok();
    assert!(project.run(&["migrate"]).ok().out.contains("nothing to do"), "{tool}");
    assert!(project.run(&["drift"]).ok().out.contains("no drift"), "{tool}");
    again(project);
    next(project);
    project.run(&["migrate"]).ok();
    project.run(&["rollback"]).ok();
    let status = project.run(&["status"]).ok().out;
    assert!(status.contains("2 applied, 1 pending, 0 problems"), "{tool}: {status}");
    assert_eq!(project.query("SELECT balance::text FROM accounts"), ["1000"], "{tool}");
}

const UP: [&str; 2] = [
    "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);\nINSERT INTO accounts VALUES (1, 10);\n",
    "UPDATE accounts SET balance = balance * 100;\n",
];
const DOWN: [&str; 2] = ["DROP TABLE accounts;\n", "UPDATE accounts SET balance = balance / 100;\n"];

#[test]
fn sqlx_applies_and_we_go_on() {
    let project = Project::new();
    project.write("migrate.toml", "layout = \"sqlx\"\n");
    for (number, name) in [(0, "accounts"), (1, "cents")] {
        let stem = format!("migrations/2024010{}000000_{name}", number + 1);
        project.write(&format!("{stem}.up.sql"), UP[number]);
        project.write(&format!("{stem}.down.sql"), DOWN[number]);
    }
    let run = |project: &Project| {
        project.wait(async {
            let mut connection = PgConnection::connect_with(&project.database.options()).await.unwrap();
            let migrator = Migrator::new(project.path().join("migrations")).await.unwrap();
            migrator.run_direct(None, &mut connection, false).await.unwrap();
            connection.close().await.unwrap();
        });
    };
    run(&project);
    is_taken_over(&project, "sqlx", &run, &|project| {
        project.write("migrations/20240201000000_notes.up.sql", "ALTER TABLE accounts ADD note text;\n");
        project.write("migrations/20240201000000_notes.down.sql", "ALTER TABLE accounts DROP note;\n");
    });
    project.end();
}

#[test]
fn dbmate_applies_and_we_go_on() {
    let given = std::env::var("ROUNDTRIP_TEST_TOOLS").unwrap_or_default();
    let path = format!("{given}:{}", std::env::var("PATH").unwrap());
    let Some(program) = std::env::split_paths(&path).map(|folder| folder.join("dbmate")).find(|file| file.is_file())
    else {
        assert!(given.is_empty(), "dbmate is not in {given}");
        eprintln!("NOT TESTED: dbmate is not installed");
        return;
    };
    let project = Project::new();
    project.write("migrate.toml", "layout = \"dbmate\"\n");
    let file = |up: &str, down: &str| format!("-- migrate:up\n{up}\n-- migrate:down\n{down}");
    for (number, name) in [(0, "accounts"), (1, "cents")] {
        project.write(&format!("migrations/2024010{}000000_{name}.sql", number + 1), file(UP[number], DOWN[number]));
    }
    let run = |project: &Project| {
        let mut command = Command::new(&program);
        command.args(["--migrations-dir", "migrations", "--no-dump-schema", "migrate"]).current_dir(project.path());
        let [database, host, user] = ["PGDATABASE", "PGHOST", "PGUSER"].map(|wanted| {
            let variables = Database::from(project.database.options()).variables();
            variables.into_iter().find(|(name, _)| *name == wanted).unwrap().1
        });
        // As dbmate wants an address with a socket.
        let output =
            command.env("DATABASE_URL", format!("postgres://{user}@/{database}?socket={host}&sslmode=disable"));
        let output = output.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run(&project);
    is_taken_over(&project, "dbmate", &run, &|project| {
        let (up, down) = ("ALTER TABLE accounts ADD note text;\n", "ALTER TABLE accounts DROP note;\n");
        project.write("migrations/20240201000000_notes.sql", file(up, down));
    });
    project.end();
}

#[test]
fn sqitch_deploys_and_we_go_on() {
    if !["/usr/bin/sqitch", "/usr/local/bin/sqitch"].iter().any(|path| Path::new(path).is_file()) {
        assert!(std::env::var_os("ROUNDTRIP_TEST_TOOLS").is_none(), "sqitch is not installed");
        eprintln!("NOT TESTED: sqitch is not installed");
        return;
    }
    let project = Project::new();
    project.write("migrate.toml", "layout = \"sqitch\"\n");
    let folder = project.path().join("migrations");
    let sqitch = |project: &Project, arguments: &[&str]| {
        let database = Database::from(project.database.options());
        let mut command = Command::new("sqitch");
        command.args(arguments).current_dir(&folder).envs(database.variables());
        let identity = [("SQITCH_FULLNAME", "T"), ("SQITCH_EMAIL", "t@example.org"), ("LC_ALL", "C.UTF-8")];
        let output = command.envs(identity).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    let write = |change: &str, up: &str, down: &str| {
        fs::write(folder.join(format!("deploy/{change}.sql")), up).unwrap();
        fs::write(folder.join(format!("revert/{change}.sql")), down).unwrap();
        fs::remove_file(folder.join(format!("verify/{change}.sql"))).unwrap();
    };
    sqitch(&project, &["init", "shop", "--engine", "pg"]);
    for (number, name) in [(0, "accounts"), (1, "cents")] {
        sqitch(&project, &["add", name, "-n", name]);
        write(name, UP[number], DOWN[number]);
        // A plan has a time for each change, to the second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let deploy = |project: &Project| {
        let target = format!("db:pg:{}", project.database.name());
        sqitch(project, &["deploy", "--target", &target, "--no-verify"]);
    };
    deploy(&project);
    is_taken_over(&project, "sqitch", &|_| {}, &|project| {
        sqitch(project, &["add", "notes", "-n", "notes"]);
        write("notes", "ALTER TABLE accounts ADD note text;\n", "ALTER TABLE accounts DROP note;\n");
    });
    project.end();
}
