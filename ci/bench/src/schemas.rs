//! What a comparison and a capture of a whole schema cost: `drift` and `baseline`, beside `pg_dump --schema-only`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use migrate_test::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::client::client;
use crate::runs::{Bench, Result, timed};
use crate::{ROUNDS, median, ratio};

/// How many tables the schemas have.
const TABLES: [usize; 2] = [400, 4000];

pub(crate) fn measure(bench: &Bench) -> Result<()> {
    println!("schemas, beside pg_dump --schema-only of the same database, in turns");
    TABLES.into_iter().try_for_each(|tables| of_size(bench, tables))
}

fn of_size(bench: &Bench, tables: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let up = format!("-- migrate: no-transaction\n{}", schema(tables));
    std::fs::write(folder.path().join("20250101000000_base.up.sql"), up)?;
    std::fs::write(
        folder.path().join("20250101000000_base.down.sql"),
        "-- migrate: no-transaction\nDROP SCHEMA public CASCADE; CREATE SCHEMA public;\n",
    )?;
    let database = bench.wait(TestDatabase::create())?;
    let ours = |arguments: &[&str], folder: &Path| {
        let mut command = bench.ours();
        command.args(arguments).args(["--env", "development", "--database", &database.url()]);
        command.arg("--migrations").arg(folder);
        command
    };
    timed(&mut ours(&["migrate"], folder.path()))?;
    // The chain is made once and kept, as it is for whoever looks a second time.
    found(&mut ours(&["drift"], folder.path()), 0)?;
    let clean = in_turns(&database, || found(&mut ours(&["drift"], folder.path()), 0))?;
    show(&format!("drift, none, {tables} tables"), &clean);
    bench.wait(execute(&database, "ALTER TABLE t_7 ADD COLUMN by_hand integer"))?;
    let one = in_turns(&database, || found(&mut ours(&["drift"], folder.path()), 3))?;
    show(&format!("drift, one column, {tables} tables"), &one);
    let empty = tempfile::tempdir()?;
    let captured = in_turns(&database, || timed(&mut ours(&["baseline", "--dry-run"], empty.path())))?;
    show(&format!("baseline, proven, {tables} tables"), &captured);
    bench.wait(database.drop_now())
}

/// Tables as they are usual: eleven columns, five constraints, and two or three indexes each.
fn schema(tables: usize) -> String {
    let mut sql = String::new();
    for n in 0..tables {
        let to = n * 7 / 11;
        let _ = writeln!(
            sql,
            "CREATE TABLE t_{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, code varchar(20), \
             total numeric(12,2) DEFAULT 0, amount integer NOT NULL DEFAULT 1, made_at timestamptz NOT NULL DEFAULT now(), \
             note text, parent bigint, active boolean NOT NULL DEFAULT true, kind smallint, \
             CONSTRAINT t_{n}_code_key UNIQUE (code, amount), CONSTRAINT t_{n}_amount_check CHECK (amount > 0), \
             CONSTRAINT t_{n}_name_check CHECK (name <> ''));\n\
             ALTER TABLE t_{n} ADD CONSTRAINT t_{n}_parent_fkey FOREIGN KEY (parent) REFERENCES t_{to} (id);\n\
             CREATE INDEX t_{n}_name_idx ON t_{n} (name);\n\
             CREATE INDEX t_{n}_made_idx ON t_{n} (made_at DESC, kind);"
        );
        if n % 2 == 0 {
            let _ = writeln!(sql, "CREATE INDEX t_{n}_active_idx ON t_{n} (lower(name)) WHERE active;");
        }
    }
    sql
}

async fn execute(database: &TestDatabase, sql: &str) -> std::result::Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(&database.options()).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
    connection.close().await
}

/// Ours and `pg_dump`, one after the other, several times.
fn in_turns(
    database: &TestDatabase,
    mut ours: impl FnMut() -> Result<Duration>,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut own, mut dump) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(ours()?);
        dump.push(timed(client("pg_dump").arg("--schema-only").arg("--dbname").arg(database.url()))?);
    }
    Ok((own, dump))
}

/// Times a command that ends with this exit code.
fn found(command: &mut Command, code: i32) -> Result<Duration> {
    let begin = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    match status.code() == Some(code) {
        true => Ok(begin.elapsed()),
        false => Err(format!("{command:?} ended with {status}").into()),
    }
}

fn show(what: &str, (own, dump): &(Vec<Duration>, Vec<Duration>)) {
    println!("  {what:36} {:>9.1} ms   {:.2} × pg_dump", median(own).as_secs_f64() * 1000.0, ratio(own, dump));
}
