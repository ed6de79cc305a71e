//! Any schema can be turned into any other one: random pairs, judged by our model and by `pg_dump`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use migrate_schema::ddl::{self, Ddl, DdlStage, DdlStyle};
use migrate_schema::{SchemaChange, SchemaDescription};
use migrate_test::shape;
use sqlx::{AssertSqlSafe, Row};

use super::dump::Dump;
use super::model::RandomPair;
use super::seat::{Seat, WORN};
use super::{SIDES, between, cannot_be_said};

/// The pairs to draw: `COUNT`, `COUNT:SEED` or `COUNT:SEED:FIRST` in an environment variable.
const DRAWN: &str = "ROUNDTRIP_TEST_PAIRS";
/// A folder for the pairs that fail, with a subfolder for each; all pairs are tested then.
const KEPT: &str = "ROUNDTRIP_TEST_PAIRS_KEEP";
/// How many pairs are drawn by default.
const PAIRS: u64 = 24;
/// How many smaller variants of a failing pair are tried.
const SHRINKS: usize = 120;
const WORKERS: usize = 2;
const ROLES: &str = "DO $$ DECLARE r text; BEGIN
    FOREACH r IN ARRAY ARRAY['model_a', 'model_b'] LOOP
        BEGIN EXECUTE format('CREATE ROLE %I', r); EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    END LOOP; END $$";
/// A part of the message about what a table keeps as its own when it is attached to a parent.
const OWN: &str = "the table keeps it as its own as well";
/// The beginning of a message about what `pg_dump` sees.
const DUMP: &str = "pg_dump sees";
/// Empties a database, whatever it contains.
const EMPTY: &str = include_str!("empty.sql");
/// Runs a statement, and returns whether the server accepted it.
const TRY: &str = "CREATE FUNCTION pg_temp.try(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN EXECUTE statement; RETURN true; EXCEPTION WHEN others THEN RETURN false; END $$";

/// Two databases that are reused for one pair after another.
struct PairBench {
    seats: [Seat; 2],
    nothing: SchemaDescription,
}

/// How thoroughly a pair is tested: up to which step, whether `pg_dump` is used, and in which steps the
/// statements are first tried on a shadow server, as users get them.
#[derive(Clone)]
struct TestDepth {
    last: usize,
    dump: bool,
    proven: BTreeSet<usize>,
}

/// The results for the random pairs.
#[derive(Default)]
struct PairResults {
    failures: Vec<String>,
    /// How many sets of statements were correct only after they had been completed on a shadow server.
    completed: usize,
}

/// A pair that fails: how it has to be tested to show that, what was wrong, and the statements of both schemas
/// that the server accepted.
struct PairFailure {
    reach: TestDepth,
    why: String,
    taken: [Vec<String>; 2],
}

/// A schema, as both judges see it.
struct JudgedSchema {
    described: SchemaDescription,
    dump: Dump,
}

/// From the first schema to the second, back, and to nothing; from the second, as it was created, to nothing;
/// from nothing to the second, and to nothing. Each step has the database, and the target schema.
const STEPS: [(&str, usize, Option<usize>); 6] = [
    ("there", 0, Some(1)),
    ("back", 0, Some(0)),
    ("removed", 0, None),
    ("second removed as it was made", 1, None),
    ("second from nothing", 0, Some(1)),
    ("second removed", 0, None),
];
/// The steps of every pair. The last two steps are run only for one pair out of several, because most pairs
/// have parts that begin with nothing.
const OF_ALL: usize = 4;
const FROM_NOTHING: u64 = 4;

/// A database in which statements of pairs can be tried.
async fn seat() -> Seat {
    let mut seat = Seat::new().await;
    seat.run(ROLES).await.unwrap();
    seat.run(TRY).await.unwrap();
    seat
}

impl Seat {
    /// Runs those of these statements that the server accepts, and returns them.
    async fn make_of(&mut self, statements: &[String]) -> Vec<String> {
        if statements.is_empty() {
            return Vec::new();
        }
        let literal = |text: &String| format!("({})", migrate_base::ident::literal(text));
        let list: Vec<String> = statements.iter().map(literal).collect();
        let query = format!("SELECT pg_temp.try(statement) FROM (VALUES {}) AS v (statement)", list.join(", "));
        let rows = sqlx::raw_sql(AssertSqlSafe(query)).fetch_all(&mut self.session).await.unwrap();
        let took = rows.iter().map(|row| row.get::<bool, _>(0));
        statements.iter().zip(took).filter(|(_, took)| *took).map(|(text, _)| text.clone()).collect()
    }

    /// The statements that lead to a schema, as `diff` writes them.
    async fn proven(from: &SchemaDescription, to: &SchemaDescription) -> Result<Ddl, String> {
        let difference = shape::difference(from.clone(), to.clone(), DdlStyle::Whole, &mut |_| {}).await.unwrap();
        let gaps = difference.ddl.uncovered.iter().map(|gap| format!("{gap}: {}", gap.why));
        let gaps = gaps.chain(difference.left_out.iter().map(ToString::to_string));
        let gaps: Vec<String> = gaps.filter(|gap| !cannot_be_said(gap) && !gap.contains(OWN)).collect();
        match (&difference.failed, gaps.is_empty() && difference.is_proven()) {
            (_, true) => Ok(difference.ddl),
            (Some((statement, why)), _) => Err(format!("{}: {why}", statement.text)),
            (None, _) => Err(format!("{gaps:?} {:?}", difference.remaining)),
        }
    }

    /// Runs the statements that lead to a schema, and compares; returns the resulting schema.
    async fn lead(
        &mut self,
        from: &SchemaDescription,
        to: &JudgedSchema,
        proven: bool,
    ) -> Result<SchemaDescription, String> {
        let ddl = if proven { Self::proven(from, &to.described).await? } else { between(from, &to.described)? };
        let script = ddl.script(DdlStage::Main);
        self.apply(&ddl).await?;
        let made = self.describe().await;
        let change = SchemaChange::between(&ddl::unowned(&to.described.schema), &ddl::unowned(&made.schema));
        let (excused, told): (Vec<_>, Vec<_>) =
            change.sentences(SIDES).into_iter().partition(|one| cannot_be_said(one));
        if !told.is_empty() {
            return Err(format!("{}\n{script}", told.join("\n")));
        }
        if to.dump.is_empty() || !excused.is_empty() {
            return Ok(made);
        }
        match to.dump.difference(&Dump::of(&self.database).await) {
            Some(different) => Err(format!("{DUMP}: {different}\n{script}")),
            None => Ok(made),
        }
    }
}

impl PairBench {
    async fn new() -> Self {
        let mut seats = [seat().await, seat().await];
        let nothing = seats[0].describe().await;
        Self { seats, nothing }
    }

    async fn end(self) {
        for seat in self.seats {
            seat.end().await;
        }
    }

    /// What is wrong with a pair in the steps up to `reach.last`; nothing of it remains in the databases.
    async fn judge(&mut self, pair: &RandomPair, reach: &TestDepth) -> Option<PairFailure> {
        let (mut taken, mut step) = ([Vec::new(), Vec::new()], 0);
        let walked = self.walk(pair, reach, &mut taken, &mut step).await;
        let ends_empty = [OF_ALL, STEPS.len()].contains(&(reach.last + 1));
        if walked.is_err() || !ends_empty {
            for seat in &mut self.seats {
                let emptied = seat.run(&format!("ROLLBACK; {EMPTY}")).await;
                if emptied.is_err() || seat.describe().await.schema != self.nothing.schema {
                    std::mem::replace(seat, self::seat().await).end().await;
                }
            }
        }
        walked.err().map(|why| {
            let reach = TestDepth { last: step, dump: why.starts_with(DUMP), proven: reach.proven.clone() };
            PairFailure { reach, why: format!("{}: {why}", STEPS[step].0), taken }
        })
    }

    async fn walk(
        &mut self,
        pair: &RandomPair,
        reach: &TestDepth,
        taken: &mut [Vec<String>; 2],
        at: &mut usize,
    ) -> Result<(), String> {
        for (side, seat) in self.seats.iter_mut().enumerate() {
            taken[side] = seat.make_of(&pair.statements(side)).await;
        }
        let [one, other] = &mut self.seats;
        let first = JudgedSchema { described: one.describe().await, dump: Dump::default() };
        let dump = if reach.dump { Dump::of(&other.database).await } else { Dump::default() };
        let second = JudgedSchema { described: other.describe().await, dump };
        let nothing = JudgedSchema { described: self.nothing.clone(), dump: Dump::default() };
        let mut now = [first.described.clone(), second.described.clone()];
        for (step, (_, seat, to)) in STEPS.iter().enumerate().take(reach.last + 1) {
            *at = step;
            let to = to.map_or(&nothing, |to| [&first, &second][to]);
            now[*seat] = self.seats[*seat].lead(&now[*seat], to, reach.proven.contains(&step)).await?;
        }
        Ok(())
    }
}

/// What is wrong with a pair even if failing statements are completed on a shadow server, and what was wrong
/// with those that are correct then.
async fn wrong(bench: &mut PairBench, pair: &RandomPair, steps: usize) -> (Option<PairFailure>, Vec<String>) {
    let mut reach = TestDepth { last: steps - 1, dump: true, proven: BTreeSet::new() };
    let mut completed = Vec::new();
    while let Some(failure) = bench.judge(pair, &reach).await {
        if !reach.proven.insert(failure.reach.last) {
            return (Some(failure), completed);
        }
        completed.push(failure.why);
    }
    (None, completed)
}

/// The smallest pair found that still fails.
async fn shrunk(bench: &mut PairBench, pair: RandomPair, failure: PairFailure) -> PairFailure {
    let (mut best, mut failure) = (pair.without_refused(&failure.taken), failure);
    let mut tries = SHRINKS;
    'smaller: loop {
        let size = best.size();
        for pair in best.smaller().into_iter().filter(|pair| pair.size() <= size) {
            if tries == 0 {
                return failure;
            }
            tries -= 1;
            let found = bench.judge(&pair, &failure.reach).await;
            if let Some(found) = found.filter(|found| found.reach.proven.contains(&found.reach.last)) {
                (best, failure) = (pair, found);
                continue 'smaller;
            }
        }
        return failure;
    }
}

/// The requested pairs: how many, with which seed, and the number of the first one.
fn wanted() -> (u64, u64, u64) {
    let text = std::env::var(DRAWN).unwrap_or_default();
    let mut numbers = text.split(':').map(|number| number.parse().ok());
    let mut next = |usual| numbers.next().flatten().unwrap_or(usual);
    (next(PAIRS), next(1), next(0))
}

impl PairFailure {
    fn text(&self, seed: u64, number: u64) -> String {
        let [a, b] = self.taken.each_ref().map(|taken| RandomPair::script(taken));
        format!("pair {number} of seed {seed}: {}\n-- a.sql\n{a}-- b.sql\n{b}", self.why)
    }

    fn keep(&self, folder: &std::path::Path, number: u64) {
        let folder = folder.join(number.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let [a, b] = self.taken.each_ref().map(|taken| RandomPair::script(taken));
        for (name, text) in [("a.sql", &a), ("b.sql", &b), ("why", &self.why)] {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
}

async fn work(next: &AtomicU64, (seed, end): (u64, u64), kept: Option<&PathBuf>, outcome: &Mutex<PairResults>) {
    let mut bench = PairBench::new().await;
    for done in 1.. {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end || (kept.is_none() && !outcome.lock().unwrap().failures.is_empty()) {
            break;
        }
        if kept.is_some() && number.is_multiple_of(100) {
            println!("from pair {number} on");
        }
        let pair = RandomPair::draw(seed, number);
        let steps = if number.is_multiple_of(FROM_NOTHING) { STEPS.len() } else { OF_ALL };
        let (failure, completed) = wrong(&mut bench, &pair, steps).await;
        if let Some(failure) = failure {
            let failure = shrunk(&mut bench, pair, failure).await;
            kept.inspect(|folder| failure.keep(folder, number));
            outcome.lock().unwrap().failures.push(failure.text(seed, number));
        } else if let Some(why) = completed.first() {
            println!("pair {number} is completed on a shadow server: {}", why.lines().next().unwrap_or_default());
            kept.inspect(|folder| std::fs::write(folder.join(format!("{number}.completed")), why).unwrap());
            outcome.lock().unwrap().completed += 1;
        }
        if done % WORN == 0 {
            std::mem::replace(&mut bench, PairBench::new().await).end().await;
        }
    }
    bench.end().await;
}

#[test]
fn any_schema_becomes_any_other() {
    let (count, seed, first) = wanted();
    let (next, outcome) = (AtomicU64::new(first), Mutex::new(PairResults::default()));
    let kept = std::env::var_os(KEPT).map(PathBuf::from);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(work(&next, (seed, first + count), kept.as_ref(), &outcome));
            });
        }
    });
    let PairResults { failures, completed } = outcome.into_inner().unwrap();
    println!("{count} pairs, {completed} of them completed on a shadow server, {} failures", failures.len());
    assert!(failures.is_empty(), "{} of {count} pairs:\n{}", failures.len(), failures.join("\n"));
}
