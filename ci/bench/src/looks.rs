//! What it costs to look: `migrate` with nothing to do, and `status`, beside `psql -c 'SELECT 1'` and beside nothing but reading the
//! files, for chains of 1,000 and 10,000 migrations; by the built executable, and by the one that `cargo xtask` builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use crate::runs::{Bench, Result, timed};
use crate::{chain, median, ratio};

const SIZES: [usize; 2] = [1_000, 10_000];

/// More than elsewhere: each is short.
const ROUNDS: usize = 15;

/// The rows that the others are compared with.
const PSQL: &str = "psql: select 1";
const FILES: &str = "reading the files";

/// Prints a table for each size, or for those that are given.
pub(crate) fn measure(bench: &Bench, sizes: &[usize]) -> Result<()> {
    let dev = development_build()?;
    println!("medians of {ROUNDS} rounds, all of a round in turns; × is the median of the rounds' ratios\n");
    for size in if sizes.is_empty() { &SIZES } else { sizes } {
        let folder = chain::write(*size)?;
        bench.on_fresh(|name| {
            timed(bench.ours_on(name, folder.path()).arg("migrate"))?;
            let rows = rows(bench, &dev, name, folder.path())?;
            show(*size, &rows);
            Ok(())
        })?;
    }
    Ok(())
}

type TimingRow = (&'static str, Vec<Duration>);

fn rows(bench: &Bench, dev: &Path, name: &str, folder: &Path) -> Result<Vec<TimingRow>> {
    let ours = |program: Command, command: &str| timed(bench.aimed(program, name, folder).arg(command));
    let cargo = || {
        let mut cargo = Command::new("cargo");
        cargo.arg("xtask");
        cargo
    };
    let mut rows: Vec<TimingRow> = Vec::new();
    for _ in 0..ROUNDS {
        let once = [
            (PSQL, timed(bench.psql(name).args(["-c", "SELECT 1"]))?),
            (FILES, read(folder)?),
            ("nothing to do", ours(bench.ours(), "migrate")?),
            ("status", ours(bench.ours(), "status")?),
            ("dev: --version", timed(Command::new(dev).arg("--version"))?),
            ("dev: nothing to do", ours(Command::new(dev), "migrate")?),
            ("dev: status", ours(Command::new(dev), "status")?),
            ("cargo xtask --version", timed(cargo().arg("--version"))?),
            ("cargo xtask status", ours(cargo(), "status")?),
        ];
        for (at, (what, time)) in once.into_iter().enumerate() {
            match rows.get_mut(at) {
                Some((_, times)) => times.push(time),
                None => rows.push((what, vec![time])),
            }
        }
    }
    Ok(rows)
}

fn show(size: usize, rows: &[TimingRow]) {
    println!("{size} migrations");
    let times = |wanted: &str| rows.iter().find(|(what, _)| *what == wanted).map(|(_, times)| times);
    for (what, own) in rows {
        let against = [PSQL, FILES].into_iter().filter(|other| other != what);
        let ratios = against.filter_map(|other| Some(format!("{:.2} × {other}", ratio(own, times(other)?))));
        let ratios: Vec<String> = ratios.collect();
        println!("  {what:22} {:>9.1} ms   {}", median(own).as_secs_f64() * 1000.0, ratios.join("   "));
    }
    println!();
}

/// The least that has to be done for files that may have been edited: list them, and read each.
fn read(folder: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += fs::read(entry?.path())?.len();
    }
    let elapsed = begin.elapsed();
    if bytes > 0 { Ok(elapsed) } else { Err("there is nothing in the files".into()) }
}

/// Builds what `cargo xtask` runs.
fn development_build() -> Result<PathBuf> {
    let shell = Shell::new()?;
    cmd!(shell, "cargo build --quiet -p xtask").run()?;
    let ours = std::env::current_exe()?;
    let target = ours.parent().and_then(Path::parent).ok_or("this executable is in no target folder")?;
    Ok(target.join("debug").join("xtask"))
}
