//! What a run costs in a protected environment, where it looks before it and leaves a record, beside psql, which does neither.

use std::time::Duration;

use crate::runs::{Bench, Result, timed};
use crate::{chain, median, ratio};

const ROUNDS: usize = 5;

/// Measures a chain of this length, up and down.
pub(crate) fn measure(bench: &Bench, size: usize) -> Result<()> {
    let folder = chain::write(size)?;
    let own = tempfile::tempdir()?;
    let config = own.path().join("migrate.toml");
    std::fs::write(
        &config,
        "[environments.production]\ndatabase = \"env:BENCH_URL\"\nprotected = true\nrecord = \"records\"\n",
    )?;
    let script = |ending: &str| -> Result<std::path::PathBuf> {
        let path = own.path().join(ending);
        std::fs::write(&path, chain::psql_script(folder.path(), ending)?)?;
        Ok(path)
    };
    let (up, down) = (script(".up.sql")?, script(".down.sql")?);
    let (mut ours, mut psql): ([Vec<Duration>; 2], [Vec<Duration>; 2]) = Default::default();
    for _ in 0..ROUNDS {
        bench.on_fresh(|name| {
            for (all, script) in psql.iter_mut().zip([&up, &down]) {
                all.push(timed(bench.psql(name).arg("-f").arg(script))?);
            }
            Ok(())
        })?;
        bench.on_fresh(|name| {
            let commands: [&[&str]; 2] = [&["migrate"], &["rollback", "--all", "--reason", "benchmark"]];
            for (all, arguments) in ours.iter_mut().zip(commands) {
                let mut command = bench.ours();
                command.args(arguments).args(["--env", "production", "--yes", "--config"]).arg(&config);
                command.arg("--migrations").arg(folder.path()).env("BENCH_URL", bench.url(name));
                all.push(timed(&mut command)?);
            }
            Ok(())
        })?;
    }
    println!("{size} migrations in a protected environment, medians of {ROUNDS} rounds");
    for (what, (own, other)) in ["apply", "roll back"].iter().zip(ours.iter().zip(&psql)) {
        println!("  {what:12} {:>9.1} ms   {:.2} × psql", median(own).as_secs_f64() * 1000.0, ratio(own, other));
    }
    Ok(())
}
