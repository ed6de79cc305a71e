//! The queries of consumers along a chain: what the server says of each on the schema before the new
//! migrations, and behind each of them.
//!
//! A text is described once for each schema, however many consumers send it, and only where the step before can have
//! touched it. What is dearer (the tree of a query, its plan) is asked for where the step makes it a question.

mod describe;
mod plans;
mod reach;
mod touched;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_core::consumer::{Answer, Difference, Reach, Refusal, differences, meaning};
use migrate_core::ident::literal;
use migrate_core::ledger::Direction;
use migrate_core::runner::Rehearsal;
use migrate_core::schema::{Change, Kind, Schema, Watcher};
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Database};

use crate::ephemeral::{TestDatabase, migrated};
use crate::proof::ProofError;
use describe::{Asker, text};
use touched::Touched;

pub use uses::{Standing, Uses, uses};

/// Which queries are asked about, and as which roles they are sent.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The texts, each once.
    pub texts: Vec<Arc<str>>,
    /// The roles.
    pub roles: BTreeSet<String>,
}

/// What became of the queries along a chain.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// What the server says before the first of the new migrations, for each text.
    pub base: Vec<Arc<Answer>>,
    /// The steps, one for each new migration.
    pub steps: Vec<Step>,
}

/// A new migration, and what it does to queries.
#[derive(Debug, Clone)]
pub struct Step {
    /// The migration.
    pub migration: Arc<Migration>,
    /// What it changes.
    pub change: Change,
    /// What the server says behind it, for each text.
    pub answers: Vec<Arc<Answer>>,
    /// What is different for texts that it can have touched, by their numbers.
    pub differences: BTreeMap<usize, Vec<Difference>>,
    /// Why texts that can be prepared have no plan any more.
    pub unplanned: BTreeMap<usize, Refusal>,
    /// What texts use behind it, for those that it can have touched and that can be prepared.
    pub reach: BTreeMap<usize, Reach>,
    /// Indexes that the plans of texts used before, and that are gone.
    pub indexes: BTreeMap<usize, BTreeSet<String>>,
    /// The rights that roles had on tables before and have no longer: role, schema, table, right.
    pub lost: BTreeSet<[String; 4]>,
}

/// A database on the way up, with an eye on its schema.
struct Climb {
    database: TestDatabase,
    rehearsal: Rehearsal,
    watcher: Watcher,
}

/// The same schema a step behind, for what is only asked when the step turned out to need it.
struct Behind<'a> {
    chain: &'a [Arc<Migration>],
    code: &'a CodeMigrations,
    database: Option<TestDatabase>,
}

/// Follows queries along the new migrations, which come behind those that are released.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn follow(
    released: &[Arc<Migration>],
    new: &[Arc<Migration>],
    code: &CodeMigrations,
    asked: &Asked,
) -> Result<Course, ProofError> {
    let database = migrated(released, code, true).await?;
    let address = Database::from(database.options());
    let base: Vec<Arc<Answer>> = describe::describe(&address, &asked.texts).await?.into_iter().map(Arc::new).collect();
    let mut course = Course { base, steps: Vec::new() };
    if new.is_empty() {
        database.drop_now().await?;
        return Ok(course);
    }
    let rehearsal = Rehearsal::open(address.clone(), code.clone()).await?;
    let watcher = Watcher::open(&address).await?;
    let mut climb = Climb { database, rehearsal, watcher };
    let mut chain = released.to_vec();
    for migration in new {
        let before = course.steps.last().map_or(&course.base, |step| &step.answers);
        let step = climb.step(migration, before, &chain, code, asked).await?;
        course.steps.push(step);
        chain.push(migration.clone());
    }
    climb.watcher.close().await;
    climb.rehearsal.close().await;
    climb.database.drop_now().await?;
    Ok(course)
}

impl Climb {
    fn address(&self) -> Database {
        Database::from(self.database.options())
    }

    async fn step(
        &mut self,
        migration: &Arc<Migration>,
        before: &[Arc<Answer>],
        chain: &[Arc<Migration>],
        code: &CodeMigrations,
        asked: &Asked,
    ) -> Result<Step, ProofError> {
        let address = self.address();
        let (rights, rows) = around(&address, &asked.roles).await?;
        let old = self.watcher.schema().clone();
        self.rehearsal.run(migration, Direction::Up).await?;
        let change = self.watcher.look().await?;
        let (rights_after, rows_after) = around(&address, &asked.roles).await?;
        let touched = Touched::by(&change, &rows.union(&rows_after).cloned().collect());
        let numbers: Vec<usize> = (0..asked.texts.len()).filter(|at| touched.has(&asked.texts[*at])).collect();
        let texts: Vec<Arc<str>> = numbers.iter().map(|at| asked.texts[*at].clone()).collect();
        let mut answers = before.to_vec();
        for (at, answer) in numbers.iter().zip(describe::describe(&address, &texts).await?) {
            answers[*at] = Arc::new(answer);
        }
        let mut step = Step {
            migration: migration.clone(),
            change,
            differences: BTreeMap::new(),
            unplanned: BTreeMap::new(),
            reach: BTreeMap::new(),
            indexes: BTreeMap::new(),
            lost: rights
                .difference(&rights_after)
                .filter(|right| is_there(self.watcher.schema(), right))
                .cloned()
                .collect(),
            answers,
        };
        for at in &numbers {
            let found = differences(&before[*at], &step.answers[*at]);
            if !found.is_empty() {
                step.differences.insert(*at, found);
            }
        }
        let mut behind = Behind { chain, code, database: None };
        let whole = numbers.iter().copied().filter(|at| step.is_whole(*at, before)).collect::<Vec<_>>();
        step.reach(&address, &mut behind, &whole, asked, &old).await?;
        step.plans(&address, &mut behind, &whole, asked).await?;
        behind.end().await?;
        Ok(step)
    }
}

impl Step {
    /// Whether a query can be prepared before and after.
    fn is_whole(&self, at: usize, before: &[Arc<Answer>]) -> bool {
        [&before[at], &self.answers[at]].iter().all(|answer| matches!(&***answer, Answer::Described(_)))
    }

    /// Looks into the trees of queries where what they use can matter.
    async fn reach(
        &mut self,
        address: &Database,
        behind: &mut Behind<'_>,
        whole: &[usize],
        asked: &Asked,
        old: &Schema,
    ) -> Result<(), ProofError> {
        let tightens = self.change.objects().any(|(id, before, after)| match id.kind {
            Kind::Column => {
                after.is_some_and(|new| new.fact("not null").is_some())
                    && before.is_none_or(|old| old.fact("not null").is_none() || old.fact("default").is_some())
            }
            Kind::Constraint => after.is_some() && before != after,
            _ => false,
        });
        let calls = self.change.objects().any(|(id, before, after)| match id.kind {
            Kind::Function
            | Kind::Aggregate
            | Kind::Operator
            | Kind::Cast
            | Kind::Extension
            | Kind::Type
            | Kind::Domain => true,
            Kind::Column => before.zip(after).is_some_and(|(old, new)| old.fact("type") != new.fact("type")),
            _ => false,
        });
        if !(tightens || calls || !self.lost.is_empty()) || old.objects().next().is_none() {
            return Ok(());
        }
        let with = |at: &usize| (asked.texts[*at].clone(), self.answers[*at].clone());
        let after = reach::reach(address, &whole.iter().map(with).collect::<Vec<_>>()).await?;
        if calls {
            let texts: Vec<_> = whole.iter().map(with).collect();
            let before = reach::reach(&behind.address().await?, &texts).await?;
            for ((at, before), after) in whole.iter().zip(before).zip(&after) {
                let changed = before.as_ref().zip(after.as_ref()).map(|(before, after)| meaning(before, after));
                let changed = changed.filter(|changed| !changed.is_empty());
                changed.into_iter().for_each(|changed| self.differences.entry(*at).or_default().extend(changed));
            }
        }
        self.reach = whole.iter().copied().zip(after).filter_map(|(at, reach)| Some((at, reach?))).collect();
        Ok(())
    }

    /// Plans queries whose plan can have gone, or used an index that is gone.
    async fn plans(
        &mut self,
        address: &Database,
        behind: &mut Behind<'_>,
        whole: &[usize],
        asked: &Asked,
    ) -> Result<(), ProofError> {
        let gone = self.change.objects().filter(|(id, before, after)| {
            matches!(id.kind, Kind::Index | Kind::Constraint) && before.is_some() && before != after
        });
        let gone: Vec<(String, String, bool)> =
            gone.map(|(id, _, after)| (id.parent.to_string(), id.name.to_string(), after.is_none())).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let names_one = |at: &&usize| {
            gone.iter().any(|(table, ..)| asked.texts[**at].to_lowercase().contains(&table.to_lowercase()))
        };
        let chosen: Vec<usize> = whole.iter().filter(names_one).copied().collect();
        let texts: Vec<_> = chosen.iter().map(|at| (asked.texts[*at].clone(), self.answers[*at].clone())).collect();
        let after = plans::plans(address, &texts).await?;
        let before = if texts.is_empty() { Vec::new() } else { plans::plans(&behind.address().await?, &texts).await? };
        for ((at, before), after) in chosen.into_iter().zip(before).zip(after) {
            let Some(Ok(used)) = before else { continue };
            if let Some(Err(refusal)) = after {
                self.unplanned.insert(at, refusal);
                continue;
            }
            let used: BTreeSet<String> = gone
                .iter()
                .filter(|(_, name, gone)| *gone && used.contains(name))
                .map(|(_, name, _)| name.clone())
                .collect();
            if !used.is_empty() {
                self.indexes.insert(at, used);
            }
        }
        Ok(())
    }
}

impl Behind<'_> {
    /// A database with the schema before the step, made when somebody asks for it first.
    async fn address(&mut self) -> Result<Database, ProofError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => migrated(self.chain, self.code, true).await?,
        };
        let address = Database::from(database.options());
        self.database = Some(database);
        Ok(address)
    }

    async fn end(self) -> Result<(), ProofError> {
        match self.database {
            Some(database) => Ok(database.drop_now().await?),
            None => Ok(()),
        }
    }
}

fn is_there(schema: &Schema, [_, of, table, _]: &[String; 4]) -> bool {
    schema.objects().any(|one| *one.id.schema == **of && *one.id.name == **table && one.id.parent.is_empty())
}

/// The rights of roles on tables, and the names of tables whose rows are a type that something stands on.
async fn around(
    database: &Database,
    roles: &BTreeSet<String>,
) -> Result<(BTreeSet<[String; 4]>, BTreeSet<String>), ProofError> {
    let mut asker = Asker::open(database).await?;
    let names: Vec<String> = roles.iter().map(|role| literal(role)).chain(["''".to_owned()]).collect();
    let query = format!(
        "SELECT '', '', c.relname, '' FROM pg_class c JOIN pg_type t ON t.oid = c.reltype \
         JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = 'n' \
         UNION ALL SELECT r.rolname, n.nspname, c.relname, p.name FROM pg_roles r \
         JOIN pg_class c ON c.relkind IN ('r', 'v', 'm', 'p', 'f') AND c.oid >= 16384 JOIN pg_namespace n ON n.oid = c.relnamespace \
         CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) p (name) \
         WHERE r.rolname IN ({}) AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND (has_table_privilege(r.oid, c.oid, p.name) \
         OR CASE WHEN p.name <> 'DELETE' THEN has_any_column_privilege(r.oid, c.oid, p.name) END)",
        names.join(", ")
    );
    let (mut rights, mut rows) = (BTreeSet::new(), BTreeSet::new());
    for row in asker.rows(&query).await? {
        let right = [text(&row, 0)?, text(&row, 1)?, text(&row, 2)?, text(&row, 3)?];
        if right[3].is_empty() {
            rows.insert(right[2].clone());
        } else {
            rights.insert(right);
        }
    }
    asker.close().await;
    Ok((rights, rows))
}
