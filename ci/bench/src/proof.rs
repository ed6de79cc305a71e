//! What the proof costs: servers, databases, schemas, one migration, a whole chain.

use std::time::{Duration, Instant};

use migrate_core::{CodeMigrations, Database, MigrationSet};
use migrate_schema as schema;
use migrate_test::{EphemeralServer, TestDatabase, migrated};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::client::client;
use crate::runs::{Bench, Result, timed};
use crate::{ROUNDS, chain, median, ratio};

/// How many tables the schemas have that are read.
const TABLES: [usize; 3] = [40, 400, 4000];

pub(crate) fn measure(bench: &Bench) -> Result<()> {
    println!("throw-away servers and databases");
    let joined = rounds(|| {
        let begin = Instant::now();
        bench.wait(EphemeralServer::start())?;
        Ok(begin.elapsed())
    })?;
    show("a server that runs already", &joined, None);
    let chain_of_100 = chain::write(100)?;
    let set = MigrationSet::load(chain_of_100.path())?;
    let all: Vec<_> = set.iter().cloned().collect();
    drop(bench.wait(migrated(&all, &CodeMigrations::none(), true))?);
    let cloned = rounds(|| {
        let begin = Instant::now();
        let database = bench.wait(migrated(&all, &CodeMigrations::none(), true))?;
        let elapsed = begin.elapsed();
        bench.wait(database.drop_now())?;
        Ok(elapsed)
    })?;
    show("a migrated database, 25 tables", &cloned, None);
    println!("\nreading a schema, beside pg_dump --schema-only");
    for tables in TABLES {
        read(bench, tables)?;
    }
    println!("\nproving");
    for size in [10, 1000] {
        let folder = chain::write(size + 1)?;
        let newest = (20_250_101_000_000 + size).to_string();
        let verify = |arguments: &[&str]| {
            timed(bench.ours().arg("verify").args(arguments).arg("--migrations").arg(folder.path()))
        };
        verify(&[&newest])?;
        let one = rounds(|| verify(&[&newest]))?;
        show(&format!("one new migration after {size}"), &one, None);
        let all = verify(&["--all"])?;
        println!(
            "  {:36} {:>9.1} ms",
            format!("each of a chain of {}", size + 1),
            all.as_secs_f64() * 1000.0 / (size + 1) as f64
        );
    }
    real_schema(bench)?;
    branch(bench, 1000)
}

/// One new migration on a schema that was made in one step, without and with what an extension brings.
fn real_schema(bench: &Bench) -> Result<()> {
    let folders = [chain::on_schema(40, "")?, chain::on_schema(40, "CREATE EXTENSION btree_gist;\n")?];
    let verify = |folder: &tempfile::TempDir| {
        timed(bench.ours().args(["verify", chain::NEWEST]).arg("--migrations").arg(folder.path()))
    };
    let mut times: [Vec<Duration>; 2] = Default::default();
    for folder in &folders {
        verify(folder)?;
    }
    for _ in 0..ROUNDS {
        for (folder, times) in folders.iter().zip(&mut times) {
            times.push(verify(folder)?);
        }
    }
    let [plain, extended] = &times;
    show("one new migration on 40 tables", plain, None);
    println!(
        "  {:36} {:>9.1} ms   {:.2} × without",
        "with btree_gist",
        median(extended).as_secs_f64() * 1000.0,
        ratio(extended, plain)
    );
    Ok(())
}

/// All checks of a branch with one migration more than what is released.
fn branch(bench: &Bench, size: usize) -> Result<()> {
    let folder = chain::write(size + 1)?;
    let shell = xshell::Shell::new()?;
    shell.change_dir(folder.path());
    let git = |arguments: &[&str]| {
        xshell::cmd!(shell, "git -c user.name=bench -c user.email=bench@localhost {arguments...}")
            .quiet()
            .ignore_stdout()
            .run()
    };
    git(&["init", "--quiet"])?;
    let newest = format!("{}_step_{size}", 20_250_101_000_000 + size);
    for (stem, message) in [(format!(":!{newest}*"), "released"), (".".to_owned(), "new")] {
        git(&["add", "--", ".", &stem])?;
        git(&["commit", "--quiet", "--message", message])?;
    }
    let ci = || timed(bench.ours().args(["ci", "--base", "HEAD~1"]).arg("--migrations").arg(folder.path()));
    ci()?;
    let times = rounds(ci)?;
    show(&format!("ci, {size} + 1 migrations"), &times, None);
    Ok(())
}

fn read(bench: &Bench, tables: usize) -> Result<()> {
    let database = bench.wait(TestDatabase::create())?;
    bench.wait(async {
        let mut connection = PgConnection::connect_with(&database.options()).await?;
        for n in 0..tables {
            let columns: Vec<String> = (0..9).map(|c| format!("c_{c} integer NOT NULL DEFAULT {c}")).collect();
            let sql = format!(
                "CREATE TABLE t_{n} (id bigint PRIMARY KEY, name text CHECK (name <> ''), {}); CREATE INDEX ON t_{n} (name);",
                columns.join(", ")
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        }
        connection.close().await
    })?;
    let ours = rounds(|| {
        let begin = Instant::now();
        bench.wait(schema::read(&Database::from(database.options())))?;
        Ok(begin.elapsed())
    })?;
    let dump = rounds(|| timed(client("pg_dump").arg("--schema-only").arg("--dbname").arg(database.url())))?;
    show(&format!("{tables} tables"), &ours, Some(&dump));
    bench.wait(database.drop_now())?;
    Ok(())
}

fn rounds(mut once: impl FnMut() -> Result<Duration>) -> Result<Vec<Duration>> {
    (0..ROUNDS).map(|_| once()).collect()
}

fn show(what: &str, times: &[Duration], other: Option<&Vec<Duration>>) {
    let against = other.map_or(String::new(), |other| format!("   {:.2} × pg_dump", ratio(times, other)));
    println!("  {what:36} {:>9.1} ms{against}", median(times).as_secs_f64() * 1000.0);
}
