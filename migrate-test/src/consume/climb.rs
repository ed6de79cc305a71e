//! One new migration: what is asked about queries before it, and after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_base::ident::literal;
use migrate_base::template::fill;
use migrate_core::ledger::Direction;
use migrate_core::runner::Rehearsal;
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Database};
use migrate_review::consumer::{PrepareAnswer, differences, meaning, needs_value};
use migrate_schema::{Id, Kind, Object, Schema, SchemaChange, Watcher};

use super::constants::{self, NewRules};
use super::describe::{QueryInspector, describe, text};
use super::touched::{AffectedQueries, TypeDependents, UNNAMED, referred};
use super::written::WriteStatement;
use super::{ConsumerQueries, QueryEffects, plans, reach, through};
use crate::ephemeral::{TestDatabase, migrated, rehearsal};
use crate::error::ProofError;

/// A privilege of a role: the role, the schema, the table, and the privilege.
type RolePrivilege = [String; 4];

/// A database on the way up the chain, with a watcher for its schema.
pub(super) struct Climb<'a> {
    database: TestDatabase,
    rehearsal: Rehearsal,
    watcher: Watcher,
    code: &'a CodeMigrations,
    asked: &'a ConsumerQueries,
    /// The migrations that are applied.
    chain: Vec<Arc<Migration>>,
    /// The constants that texts write, by the number of the text, for those that have been checked.
    written: BTreeMap<usize, Option<WriteStatement>>,
}

/// What is queried from a schema before and after a step, besides the texts.
struct StepSnapshot {
    /// The privileges of the roles.
    rights: BTreeSet<RolePrivilege>,
    /// The objects of each type.
    types: TypeDependents,
    /// The columns, by the oid of their relation and their number, which a rename does not change.
    columns: BTreeMap<[String; 2], Id>,
    /// The search path.
    path: String,
}

/// The schema before the step, for questions that are only asked if the step turns out to need them.
struct PriorDatabase<'a> {
    chain: &'a [Arc<Migration>],
    code: &'a CodeMigrations,
    database: Option<TestDatabase>,
}

impl<'a> Climb<'a> {
    pub(super) async fn begin(
        database: TestDatabase,
        chain: &[Arc<Migration>],
        code: &'a CodeMigrations,
        asked: &'a ConsumerQueries,
    ) -> Result<Self, ProofError> {
        let address = Database::from(database.options());
        let rehearsal = rehearsal(address.clone(), code).await?;
        let watcher = Watcher::open(&address).await?;
        Ok(Self { database, rehearsal, watcher, code, asked, chain: chain.to_vec(), written: BTreeMap::new() })
    }

    pub(super) async fn end(self) -> Result<(), ProofError> {
        self.watcher.close().await;
        self.rehearsal.close().await;
        Ok(self.database.let_go().await?)
    }

    /// Applies one more migration; `before` is the server's answer for each text before it.
    pub(super) async fn step(
        &mut self,
        migration: &Arc<Migration>,
        before: &[Arc<PrepareAnswer>],
    ) -> Result<QueryEffects, ProofError> {
        let address = Database::from(self.database.options());
        let mut around = StepSnapshot::ask(&address, &self.asked.roles).await?;
        self.rehearsal.run(migration, Direction::Up).await?;
        let change = self.watcher.look().await?;
        let after = StepSnapshot::ask(&address, &self.asked.roles).await?;
        for (name, of) in after.types {
            around.types.entry(name).or_default().extend(of);
        }
        let touched = match around.path == after.path {
            true => AffectedQueries::by(&change, &around.types),
            false => AffectedQueries::All,
        };
        let texts = &self.asked.texts;
        let numbers: Vec<usize> = (0..texts.len()).filter(|at| touched.has(&texts[*at])).collect();
        let again: Vec<Arc<str>> = numbers.iter().map(|at| texts[*at].clone()).collect();
        let lost =
            around.rights.difference(&after.rights).filter(|right| is_there(self.watcher.schema(), right)).cloned();
        let mut step = QueryEffects::new(migration, change, before, lost.collect());
        let renamed = around.columns.iter().filter_map(|(at, old)| Some((old, after.columns.get(at)?)));
        step.renamed = renamed.filter(|(old, new)| old != new).map(|(old, new)| (old.clone(), new.clone())).collect();
        for (at, answer) in numbers.iter().zip(describe(&address, &again).await?) {
            let found = differences(&before[*at], &answer);
            if !found.is_empty() {
                step.differences.insert(*at, found);
            }
            step.answers[*at] = Arc::new(answer);
        }
        let described = |answer: &Arc<PrepareAnswer>| matches!(&**answer, PrepareAnswer::Described(_));
        // A query can lose a privilege, or call another function, without any of its tables being affected.
        let whole = (0..texts.len()).filter(|at| described(&before[*at]) && described(&step.answers[*at]));
        let whole: Vec<usize> = whole.collect();
        let mut behind = PriorDatabase { chain: &self.chain, code: self.code, database: None };
        // For writes that the schema refuses, it does not matter whether the query worked before.
        let after: Vec<usize> = (0..texts.len()).filter(|at| described(&step.answers[*at])).collect();
        step.written(&address, &after, texts).await?;
        let news = NewRules::of(&step.change);
        let numbers = chosen(&after, texts, &AffectedQueries::of(concerned(&news, &around.types)));
        for at in &numbers {
            self.written.entry(*at).or_insert_with(|| WriteStatement::read(&texts[*at]));
        }
        let written: Vec<(usize, &WriteStatement)> =
            numbers.iter().filter_map(|at| Some((*at, self.written.get(at)?.as_ref()?))).collect();
        step.refused = constants::refused(&address, self.watcher.schema(), &news, &written).await?;
        step.called(&address, &mut behind, &whole, texts).await?;
        step.planned(&address, &mut behind, &whole, texts).await?;
        behind.end().await?;
        self.chain.push(migration.clone());
        Ok(step)
    }
}

impl QueryEffects {
    fn new(
        migration: &Arc<Migration>,
        change: SchemaChange,
        before: &[Arc<PrepareAnswer>],
        lost: BTreeSet<RolePrivilege>,
    ) -> Self {
        Self {
            migration: migration.clone(),
            change,
            answers: before.to_vec(),
            differences: BTreeMap::new(),
            unplanned: BTreeMap::new(),
            reach: BTreeMap::new(),
            refused: BTreeMap::new(),
            indexes: BTreeMap::new(),
            lost,
            renamed: BTreeMap::new(),
        }
    }

    /// What texts use of tables that have stricter rules than before, or on which a role lost a privilege.
    async fn written(&mut self, address: &Database, whole: &[usize], texts: &[Arc<str>]) -> Result<(), ProofError> {
        let strict = self.change.objects().filter(|(id, before, after)| match id.kind {
            Kind::Column => {
                let is_filled = |one: &Object| one.fact("not null").is_some();
                after.is_some_and(is_filled) && !before.is_some_and(is_filled)
                    || after.is_some_and(needs_value) && !before.is_some_and(needs_value)
            }
            Kind::Constraint => after.is_some() && before != after,
            _ => false,
        });
        let tables = strict.flat_map(|(id, _, after)| [Some(&*id.parent), after.and_then(referred)]).flatten();
        let mut tables: BTreeSet<String> = tables.map(str::to_owned).collect();
        tables.extend(self.lost.iter().map(|right| right[2].clone()));
        // The rules of a table apply to a view on it as well, and so do the caller's privileges if the view
        // says so.
        tables.extend(through::over(address, &tables).await?);
        let chosen = chosen(whole, texts, &AffectedQueries::of(tables.iter().map(String::as_str)));
        let found = reach::written(address, &self.with(&chosen, texts)).await?;
        self.reach.extend(chosen.into_iter().zip(found).filter_map(|(at, reach)| Some((at, reach?))));
        Ok(())
    }

    /// Whether texts call another function or operator than before.
    async fn called(
        &mut self,
        address: &Database,
        behind: &mut PriorDatabase<'_>,
        whole: &[usize],
        texts: &[Arc<str>],
    ) -> Result<(), ProofError> {
        let chosen = chosen(whole, texts, &may_call_others(&self.change));
        if chosen.is_empty() {
            return Ok(());
        }
        let with = self.with(&chosen, texts);
        let before = reach::reach(&behind.address().await?, &with).await?;
        let after = reach::reach(address, &with).await?;
        for ((at, before), after) in chosen.into_iter().zip(before).zip(after) {
            let changed = before.zip(after).map(|(before, after)| meaning(&before, &after)).unwrap_or_default();
            if !changed.is_empty() {
                self.differences.entry(at).or_default().extend(changed);
            }
        }
        Ok(())
    }

    /// Whether texts have no plan any more, or a plan without an index that it used before.
    async fn planned(
        &mut self,
        address: &Database,
        behind: &mut PriorDatabase<'_>,
        whole: &[usize],
        texts: &[Arc<str>],
    ) -> Result<(), ProofError> {
        let gone = self.change.objects().filter(|(id, before, after)| {
            matches!(id.kind, Kind::Index | Kind::Constraint) && before.is_some() && before != after
        });
        let gone = gone.map(|(id, _, after)| (id.parent.to_string(), id.name.to_string(), after.is_none()));
        let gone: Vec<(String, String, bool)> = gone.collect();
        // A literal that is too long for its column is refused at planning time.
        let retyped = self.change.objects().filter(|(id, before, after)| {
            let types = before.zip(*after).map(|(old, new)| old.fact("type") != new.fact("type"));
            id.kind == Kind::Column && types.unwrap_or(false)
        });
        let retyped = retyped.map(|(id, ..)| id.parent.to_string()).collect::<Vec<_>>();
        let tables = gone.iter().map(|(table, ..)| table.as_str()).chain(retyped.iter().map(String::as_str));
        let chosen = chosen(whole, texts, &AffectedQueries::of(tables));
        if chosen.is_empty() {
            return Ok(());
        }
        let with = self.with(&chosen, texts);
        let before = plans::plans(&behind.address().await?, &with).await?;
        let after = plans::plans(address, &with).await?;
        for ((at, before), after) in chosen.into_iter().zip(before).zip(after) {
            let Some(Ok(used)) = before else { continue };
            if let Some(Err(refusal)) = after {
                self.unplanned.insert(at, refusal);
                continue;
            }
            let lost = gone.iter().filter(|(_, name, is_gone)| *is_gone && used.contains(name));
            let lost: BTreeSet<String> = lost.map(|(_, name, _)| name.clone()).collect();
            if !lost.is_empty() {
                self.indexes.insert(at, lost);
            }
        }
        Ok(())
    }

    /// These texts with the server's answers.
    fn with(&self, numbers: &[usize], texts: &[Arc<str>]) -> Vec<(Arc<str>, Arc<PrepareAnswer>)> {
        numbers.iter().map(|at| (texts[*at].clone(), self.answers[*at].clone())).collect()
    }
}

fn chosen(whole: &[usize], texts: &[Arc<str>], touched: &AffectedQueries) -> Vec<usize> {
    whole.iter().copied().filter(|at| touched.has(&texts[*at])).collect()
}

/// The names of the tables that a new rule is about, or that have a column of a domain that it is about.
fn concerned<'a>(news: &NewRules<'a>, types: &'a TypeDependents) -> BTreeSet<&'a str> {
    let of_type = |name: &'a str| types.get(name).into_iter().flatten().map(String::as_str);
    news.parents().flat_map(|name| of_type(name).chain([name])).filter(|name| *name != UNNAMED).collect()
}

/// The texts that may call another function or operator: those that contain the name of one that was added or
/// removed, or of a table with a column whose type changed; all of them if casts or operators changed.
fn may_call_others(change: &SchemaChange) -> AffectedQueries {
    let mut names = Vec::new();
    for (id, before, after) in change.objects() {
        match id.kind {
            Kind::Function | Kind::Aggregate if before.is_none() || after.is_none() => names.push(&*id.name),
            Kind::Column if before.zip(after).is_some_and(|(old, new)| old.fact("type") != new.fact("type")) => {
                names.push(&*id.parent);
            }
            Kind::Operator | Kind::Cast | Kind::Extension => return AffectedQueries::All,
            _ => {}
        }
    }
    AffectedQueries::of(names)
}

impl PriorDatabase<'_> {
    /// A database with the schema before the step, created on the first call.
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
            Some(database) => Ok(database.let_go().await?),
            None => Ok(()),
        }
    }
}

fn is_there(schema: &Schema, [_, of, table, _]: &RolePrivilege) -> bool {
    schema.objects().any(|one| *one.id.schema == **of && *one.id.name == **table && one.id.parent.is_empty())
}

impl StepSnapshot {
    async fn ask(database: &Database, roles: &BTreeSet<String>) -> Result<Self, ProofError> {
        let mut asker = QueryInspector::open(database).await?;
        let path =
            asker.rows("SHOW search_path").await?.first().map(|row| text(row, 0)).transpose()?.unwrap_or_default();
        let names: Vec<String> = roles.iter().map(|role| literal(role)).chain(["''".to_owned()]).collect();
        let query = fill(include_str!("rights.sql"), &[("roles", names.join(", "))]);
        let mut rights = BTreeSet::new();
        for row in asker.rows(&query).await? {
            rights.insert([text(&row, 0)?, text(&row, 1)?, text(&row, 2)?, text(&row, 3)?]);
        }
        let query = fill(include_str!("types.sql"), &[("unnamed", literal(UNNAMED))]);
        let mut types = TypeDependents::new();
        for row in asker.rows(&query).await? {
            types.entry(text(&row, 0)?).or_default().insert(text(&row, 1)?);
        }
        let query = "SELECT c.oid, a.attnum, n.nspname, c.relname, a.attname FROM pg_attribute a \
             JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
        let mut columns = BTreeMap::new();
        for row in asker.rows(query).await? {
            let named = Id::named(Kind::Column, &text(&row, 2)?, &text(&row, 4)?);
            columns.insert([text(&row, 0)?, text(&row, 1)?], Id { parent: text(&row, 3)?.into(), ..named });
        }
        asker.close().await;
        Ok(Self { rights, types, columns, path })
    }
}
