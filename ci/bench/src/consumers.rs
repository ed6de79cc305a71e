//! What the queries of other services add to `ci`: a thousand and ten thousand of them, for one new migration of the
//! reference shop.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use crate::runs::{Bench, Result};
use crate::{ROUNDS, median};

const SIZES: [usize; 2] = [1_000, 10_000];

/// What is migrated: a column comes, one gets another type, and a function comes.
const CHANGES: [(&str, &str); 3] = [
    ("a column of shipments", "ALTER TABLE shipments ADD COLUMN note text;\n"),
    (
        "a column of every query's table",
        "ALTER TABLE users ADD COLUMN nickname text;\nALTER TABLE orders ADD COLUMN note text;\nALTER TABLE products ADD COLUMN note text;\nALTER TABLE shipments ADD COLUMN note text;\nALTER TABLE reviews ADD COLUMN note text;\n",
    ),
    ("the labels of an enum", "ALTER TYPE shipment_state ADD VALUE 'lost';\n"),
];

/// Queries as applications have them, each with another number, so that no two are alike.
const QUERIES: [&str; 10] = [
    "SELECT id, email, full_name, created_at FROM users WHERE id = $1 AND {n} = {n}",
    "SELECT u.id, count(o.id) AS orders FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.newsletter GROUP BY u.id LIMIT {n}",
    "SELECT p.id, p.name, p.price, s.name AS supplier FROM products p JOIN suppliers s ON s.id = p.supplier_id WHERE p.is_active AND p.price < $1 LIMIT {n}",
    "INSERT INTO reviews (product_id, user_id, stars, body) VALUES ($1, $2, $3, 'review {n}') ON CONFLICT (product_id, user_id) DO UPDATE SET stars = excluded.stars RETURNING id",
    "UPDATE shipments SET state = $1, weight_grams = weight_grams + {n} WHERE id = $2",
    "SELECT s.id, s.state, a.city FROM shipments s JOIN addresses a ON a.id = s.address_id WHERE a.country_code = $1 ORDER BY s.id LIMIT {n}",
    "DELETE FROM cart_items WHERE cart_id = $1 AND product_id = {n}",
    "SELECT c.slug, avg(r.stars) AS stars FROM categories c JOIN product_categories pc ON pc.category_id = c.id JOIN reviews r ON r.product_id = pc.product_id GROUP BY c.slug HAVING count(*) > {n}",
    "SELECT product_id, on_hand - reserved AS free FROM stock_levels WHERE on_hand > {n} AND product_id = ANY ($1)",
    "SELECT o.id, o.status FROM orders o WHERE o.user_id = $1 AND o.id > {n} ORDER BY o.id",
];

/// Prints what each number of queries adds, in turns with a run that has none.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    for (what, up) in CHANGES {
        println!("one new migration: {what}");
        let without = project(0, up)?;
        for size in SIZES {
            let with = project(size, up)?;
            let (mut plain, mut full, mut alone) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                plain.push(run(bench, without.path(), &["ci"])?);
                full.push(run(bench, with.path(), &["ci"])?);
                alone.push(run(bench, with.path(), &["consumers", "check"])?);
            }
            let ms = |times: &[Duration]| median(times).as_secs_f64() * 1000.0;
            println!(
                "  {size:6} queries: ci {:8.0} ms, without them {:8.0} ms, added {:8.0} ms; consumers check alone {:8.0} ms",
                ms(&full),
                ms(&plain),
                ms(&full) - ms(&plain),
                ms(&alone)
            );
        }
    }
    Ok(())
}

/// The reference shop in a repository of its own, with queries on `main` and a migration that is new.
fn project(queries: usize, up: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let shell = Shell::new()?;
    cmd!(shell, "cp -r migrations {path}/migrations").quiet().run()?;
    shell.change_dir(path);
    let mut text = String::new();
    for n in 0..queries {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{};", QUERIES[n % QUERIES.len()].replace("{n}", &(n + 1).to_string()));
    }
    if queries > 0 {
        shell.write_file("consumers/billing/queries.sql", text)?;
    }
    cmd!(shell, "git init --quiet --initial-branch main").quiet().run()?;
    cmd!(shell, "git add --all").quiet().run()?;
    cmd!(shell, "git -c user.name=bench -c user.email=bench@example.org commit --quiet --message base")
        .quiet()
        .run()?;
    cmd!(shell, "git checkout --quiet -b topic").quiet().run()?;
    let head = "-- migrate: irreversible a benchmark\n";
    shell.write_file("migrations/20990101000000_change.up.sql", format!("{head}{up}"))?;
    Ok(folder)
}

/// A whole process; what it finds is no failure.
fn run(bench: &Bench, folder: &Path, arguments: &[&str]) -> Result<Duration> {
    let begin = Instant::now();
    let output = bench.ours().args(arguments).current_dir(folder).output()?;
    match output.status.code() {
        Some(0 | 3) => Ok(begin.elapsed()),
        _ => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
