//! What a chain of migrations costs: apply, repeat with nothing to do, roll back, re-apply,
//! for 10, 100 and 1,000 migrations, beside psql and, where it is installed, sqlx-cli.
//!
//! Run it with `cargo run --release -p bench`; `-- proof` measures the proof instead, `-- consumers` the check of queries, `-- looks`
//! what only looks, `-- schemas` drift and baselines, `-- protected` runs in a protected environment, `-- kept` data that are
//! kept. Numbers are sizes of chains: `-- looks 10000`. Everything of one line of the table is measured
//! in turns in one run, and what counts is the ratio: the speed of a machine drifts, the
//! ratio of two things measured side by side does not.

mod chain;
mod client;
mod consumers;
mod kept;
mod looks;
mod proof;
mod protected;
mod runs;
mod schemas;

use std::collections::BTreeMap;
use std::time::Duration;

use runs::{Bench, Result};

const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    match std::env::args().nth(1).as_deref() {
        Some("proof") => return proof::measure(&Bench::new()?),
        Some("consumers") => return consumers::measure(&Bench::new()?),
        Some("looks") => return looks::measure(&Bench::new()?, &sizes),
        Some("kept") => return kept::measure(&Bench::new()?, sizes.first().copied().unwrap_or(1_000_000)),
        Some("protected") => return protected::measure(&Bench::new()?, sizes.first().copied().unwrap_or(1000)),
        Some("schemas") => return schemas::measure(&Bench::new()?),
        _ => {}
    }
    let sizes = if sizes.is_empty() { vec![10, 100, 1000] } else { sizes };
    let bench = Bench::new()?;
    println!("medians of {ROUNDS} rounds, all of a round in turns; × is the median of the rounds' ratios\n");
    for size in sizes {
        measure(&bench, size)?;
    }
    Ok(())
}

fn measure(bench: &Bench, size: usize) -> Result<()> {
    let folder = chain::write(size)?;
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (name, time) in bench.round(folder.path())? {
            times.entry(name).or_default().push(time);
        }
    }
    println!("{size} migrations");
    for (name, against) in runs::TABLE {
        let Some(own) = times.get(name) else { continue };
        let ratios = against.iter().filter_map(|other| Some(format!("{:.2} × {other}", ratio(own, times.get(other)?))));
        println!(
            "  {name:22} {:>9.1} ms   {}",
            median(own).as_secs_f64() * 1000.0,
            ratios.collect::<Vec<_>>().join("   ")
        );
    }
    println!();
    Ok(())
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn ratio(own: &[Duration], other: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> = own.iter().zip(other).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}
