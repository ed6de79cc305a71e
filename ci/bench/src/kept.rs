//! What it costs to keep the data that a rollback takes away, and to bring them back, beside the SQL that somebody would write
//! for it by hand: copy the columns that go, run the script, and put them back after it.

use std::time::{Duration, Instant};

use crate::runs::{Bench, Result, timed};
use crate::{median, ratio};

const ROUNDS: usize = 3;

/// One kind of loss: a migration on a table, and how it is kept and brought back by hand.
struct LossCase {
    name: &'static str,
    /// What is there before the migration.
    schema: &'static str,
    up: &'static str,
    down: &'static str,
    /// What fills it; `{rows}` is how many rows there are.
    fill: &'static str,
    copy: &'static str,
    back: &'static str,
}

const ITEM: &str =
    "CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, price numeric(12,2) NOT NULL, kind text);";
const FILL: &str = "INSERT INTO item (id, name, price, kind) SELECT g, 'item ' || g, g % 1000 / 10.0, \
                    CASE WHEN g % 2 = 0 THEN 'given' END FROM generate_series(1, {rows}) g; ANALYZE item;";

const CASES: [LossCase; 4] = [
    LossCase {
        name: "dropped column",
        schema: ITEM,
        up: "ALTER TABLE item ADD COLUMN note text;",
        down: "ALTER TABLE item DROP COLUMN note;",
        fill: "INSERT INTO item SELECT g, 'item ' || g, g % 1000 / 10.0, NULL, 'note ' || g FROM generate_series(1, {rows}) g; ANALYZE item;",
        copy: "CREATE TABLE kept AS SELECT id, note FROM item;",
        back: "UPDATE item t SET note = k.note FROM kept k WHERE t.id = k.id;",
    },
    LossCase {
        name: "dropped table",
        schema: "SELECT 1;",
        up: ITEM,
        down: "DROP TABLE item;",
        fill: FILL,
        copy: "CREATE TABLE kept AS SELECT * FROM item;",
        back: "INSERT INTO item SELECT * FROM kept;",
    },
    LossCase {
        name: "retyped column",
        schema: "CREATE TABLE item (id bigint PRIMARY KEY, name varchar(8) NOT NULL, price numeric(12,2) NOT NULL, kind text);",
        up: "ALTER TABLE item ALTER name TYPE text;",
        down: "ALTER TABLE item ALTER name TYPE varchar(8) USING left(name, 8);",
        fill: FILL,
        copy: "CREATE TABLE kept AS SELECT id, name FROM item;",
        back: "UPDATE item t SET name = k.name FROM kept k WHERE t.id = k.id AND t.name <> k.name;",
    },
    LossCase {
        name: "deleted rows",
        schema: ITEM,
        up: "INSERT INTO item VALUES (0, 'first', 1, 'given');",
        down: "DELETE FROM item WHERE kind = 'given';",
        fill: FILL,
        copy: "CREATE TABLE kept AS SELECT * FROM item WHERE kind = 'given';",
        back: "INSERT INTO item SELECT * FROM kept ON CONFLICT DO NOTHING;",
    },
];

/// Measures all cases with so many rows.
pub(crate) fn measure(bench: &Bench, rows: usize) -> Result<()> {
    println!("{rows} rows, medians of {ROUNDS} rounds; × is the median of the rounds' ratios to SQL by hand\n");
    for case in &CASES {
        let mut ours: [Vec<Duration>; 2] = Default::default();
        let mut by_hand: [Vec<Duration>; 2] = Default::default();
        for _ in 0..ROUNDS {
            let times = case.ours(bench, rows)?;
            ours.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
            let times = case.by_hand(bench, rows)?;
            by_hand.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
        }
        for (what, (own, other)) in ["kept", "brought back"].iter().zip(ours.iter().zip(&by_hand)) {
            let (time, hand) = (median(own).as_secs_f64(), median(other).as_secs_f64());
            println!("  {:16} {what:14} {time:>7.2} s   by hand {hand:>7.2} s   {:.2} ×", case.name, ratio(own, other));
        }
    }
    Ok(())
}

impl LossCase {
    /// A rollback that keeps, and the next apply.
    fn ours(&self, bench: &Bench, rows: usize) -> Result<[Duration; 2]> {
        let folder = tempfile::tempdir()?;
        for (stem, up, down) in [("1_schema", self.schema, "SELECT 1;"), ("2_change", self.up, self.down)] {
            let path = |ending: &str| folder.path().join(format!("2025010100000{stem}.{ending}.sql"));
            std::fs::write(path("up"), format!("{up}\n"))?;
            std::fs::write(path("down"), format!("{down}\n"))?;
        }
        bench.on_fresh(|name| {
            timed(bench.ours_on(name, folder.path()).arg("migrate"))?;
            timed(bench.psql(name).args(["-c", &self.fill.replace("{rows}", &rows.to_string())]))?;
            let kept = timed(bench.ours_on(name, folder.path()).args(["rollback", "--keep-data"]))?;
            Ok([kept, timed(bench.ours_on(name, folder.path()).arg("migrate"))?])
        })
    }

    /// The same by hand: one process of psql and one transaction for each way.
    fn by_hand(&self, bench: &Bench, rows: usize) -> Result<[Duration; 2]> {
        bench.on_fresh(|name| {
            let fill = self.fill.replace("{rows}", &rows.to_string());
            timed(bench.psql(name).args(["-c", self.schema, "-c", self.up, "-c", &fill]))?;
            let run = |first: &str, second: &str| {
                let begin = Instant::now();
                timed(bench.psql(name).args(["-c", "BEGIN", "-c", first, "-c", second, "-c", "COMMIT"]))?;
                Result::Ok(begin.elapsed())
            };
            Ok([run(self.copy, self.down)?, run(self.up, self.back)?])
        })
    }
}
