//! `consumers`: which query of which consumer a new migration breaks, where and why, and in which order to deploy.

mod culprit;
mod fault;
mod order;
mod sides;
mod stricter;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use culprit::{Culprit, CulpritCriteria};
use fault::QueryFault;
use migrate_base::codes;
use migrate_base::finding::{Finding, Place, Severity};
use migrate_base::suggest;
use migrate_core::{ErrorKind, Migration};
use migrate_review::consumer::{DeclaredUse, PrepareAnswer, Query, SafeOrder, differences};
use migrate_schema::{Kind, Object, Schema};
use migrate_test::consume::{ChainAnswers, QueryEffects, follow};
use migrate_test::proof::ProofError;
use sides::ConsumerSides;

use super::{CheckInput, Clock};
use crate::exit::Result;
use crate::output::style;
use crate::report::{CheckResult, MigrationOrder};

pub(crate) use sides::{here, told};

/// The prefix of an allowance for a consumer: `-- migrate: allow consumer:billing reason`.
const ALLOW: &str = "consumer:";

/// Describes the queries of all consumers before and after each new migration, and says in which order to deploy each.
///
/// # Errors
///
/// The connection to the server is lost.
pub(crate) async fn consumers(ground: &CheckInput<'_>) -> Result<(CheckResult, Vec<MigrationOrder>)> {
    let clock = Clock::start("consumers");
    let Ok(set) = &ground.set else { return Ok((clock.skipped("the files cannot be read as migrations"), Vec::new())) };
    let sides = ConsumerSides::find(ground);
    if sides.here.consumers.is_empty() && sides.here.problems.is_empty() {
        return Ok((clock.skipped("there are no consumers"), Vec::new()));
    }
    // Without a base branch, nothing is released, and no query can have run before. A baseline stands for released
    // migrations, and those after it need what it creates.
    let is_new = |migration: &Arc<Migration>| {
        ground.released.is_ok() && ground.new.contains(migration.version()) && migration.squashes().is_none()
    };
    let (new, mut released): (Vec<_>, Vec<_>) = set.up_to(None).into_iter().partition(is_new);
    released.extend(ground.replaced_repeatables()?);
    released.sort_by(|a, b| a.version().cmp(b.version()));
    let asked = sides.asked();
    let course = match follow(&released, &new, &ground.code, &asked).await {
        Ok(course) => course,
        Err(ProofError::Core(error)) if error.kind() == ErrorKind::Statement => {
            return Ok((clock.could_not_look("the migrations do not apply", &error), Vec::new()));
        }
        Err(error) => return Err(error.into()),
    };
    let judge = ConsumerJudge { ground, sides: &sides, texts: &asked.texts, course: &course };
    let mut findings = sides.here.problems.clone();
    findings.extend(judge.base());
    if sides.here.consumers.iter().any(|one| !one.uses.is_empty())
        && let Some(released) = ground.released_schema().await?
    {
        findings.extend(judge.missing(&released.schema));
    }
    let mut orders = Vec::new();
    for (at, step) in course.steps.iter().enumerate() {
        let (found, order) = judge.step(at);
        findings.extend(found);
        let (version, name) = (step.migration.version().clone(), step.migration.name().to_owned());
        orders.push(MigrationOrder { version, name, order });
    }
    let queries = sides.here.consumers.iter().map(|one| one.queries.len()).sum();
    let (queries, consumers) = (count(queries, "query"), style::count(sides.here.consumers.len(), "consumer"));
    let what = orders.iter().map(|one| one.order).max().map_or("no new migrations", SafeOrder::as_str);
    Ok((clock.done(format!("{queries} of {consumers}, {what}"), findings), orders))
}

fn count(number: usize, noun: &str) -> String {
    if noun == "query" && number != 1 { format!("{number} queries") } else { style::count(number, noun) }
}

struct ConsumerJudge<'a> {
    ground: &'a CheckInput<'a>,
    sides: &'a ConsumerSides,
    texts: &'a [Arc<str>],
    course: &'a ChainAnswers,
}

/// A query of this branch, or a declared use, and what a step does to it.
struct AffectedQuery<'a> {
    consumer: &'a str,
    /// The name of the query: `monthly`.
    name: String,
    place: Place,
    /// The text to look for in the statements of a migration.
    text: Cow<'a, str>,
    calls: Option<u64>,
    /// Whether the base branch has it.
    is_old: bool,
    fault: QueryFault,
    /// The reason why the migration allows it, if it does.
    allowed: Option<&'a str>,
}

impl<'a> ConsumerJudge<'a> {
    /// The queries of this branch, each with its consumer, the role of the consumer, and the number of its text.
    fn queries(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>, &'a Query, usize)> {
        let sides = self.sides;
        sides.here.consumers.iter().flat_map(move |one| {
            let of = move |query: &'a Query| (one.name.as_str(), one.role.as_deref(), query, sides.number(&query.text));
            one.queries.iter().map(of)
        })
    }

    /// The server's description of a text before a step.
    fn before(&self, at: usize, number: usize) -> &'a PrepareAnswer {
        match at.checked_sub(1).and_then(|at| self.course.steps.get(at)) {
            Some(step) => &step.answers[number],
            None => &self.course.base[number],
        }
    }

    /// The server's description of a text after the last step.
    fn last(&self, number: usize) -> &'a PrepareAnswer {
        self.before(self.course.steps.len(), number)
    }

    /// Queries that could not be prepared before this branch either, so that no migration of this branch is the cause.
    fn base(&self) -> Vec<Finding> {
        let base = self.ground.released.as_ref().map_or("the migrations", |released| &released.base.name);
        let finding = |(consumer, _, query, number): (&str, Option<&str>, &Query, usize)| {
            let PrepareAnswer::Refused(why) = self.before(0, number) else { return None };
            let works_now = matches!(self.last(number), PrepareAnswer::Described(_));
            if works_now && !self.sides.is_old(consumer, &query.text) {
                return None;
            }
            let message =
                format!("{consumer}: `{}` cannot be prepared on the schema of {base}: {}", query.name, why.message);
            let finding = Finding::new(codes::CONSUMER_BASE, message).at(part(query, why.at));
            let finding = finding.note(format!("SQLSTATE {}", why.sqlstate));
            Some(match works_now {
                true => finding.note("it can be prepared after the new migrations"),
                false => finding.note("so it is unknown what a migration does to it"),
            })
        };
        self.queries().filter_map(finding).collect()
    }

    /// Declared uses of objects that do not exist on the base branch.
    fn missing(&self, schema: &Schema) -> Vec<Finding> {
        let is_meant = |one: &Object, used: &DeclaredUse| {
            let (of, table) = (used.table.schema(), used.table.name());
            match &used.column {
                Some(column) => {
                    (one.id.kind, &*one.id.schema, &*one.id.parent, &*one.id.name) == (Kind::Column, of, table, column)
                }
                None => one.id.parent.is_empty() && (&*one.id.schema, &*one.id.name) == (of, table),
            }
        };
        let consumers = self.sides.here.consumers.iter();
        let uses = consumers.flat_map(|one| one.uses.iter().map(|used| (one.name.as_str(), used)));
        let missing = uses.filter(|(_, used)| !schema.objects().any(|one| is_meant(one, used)));
        let finding = |(consumer, used): (&str, &DeclaredUse)| {
            let message =
                format!("{consumer}: `{}` is used, but does not exist on the base branch", fault::named(used));
            Finding::new(codes::CONSUMER_BASE, message).at(used.place.clone())
        };
        missing.map(finding).collect()
    }

    /// The findings on a step, and the order in which to deploy it.
    fn step(&self, at: usize) -> (Vec<Finding>, SafeOrder) {
        let step = &self.course.steps[at];
        let hits = self.hits(at);
        let mut findings: Vec<Finding> = hits.iter().map(|hit| self.finding(step, hit)).collect();
        let (verdict, order, mut used) = self.order(at, &hits);
        findings.extend(verdict);
        used.extend(hits.iter().map(|hit| hit.consumer.to_owned()));
        findings.extend(self.useless(&step.migration, &used));
        (findings, order)
    }

    fn hits(&self, at: usize) -> Vec<AffectedQuery<'a>> {
        let step = &self.course.steps[at];
        let mut hits = Vec::new();
        for (consumer, role, query, number) in self.queries() {
            // A query that could not run before cannot break.
            if matches!(self.before(at, number), PrepareAnswer::Refused(_)) {
                continue;
            }
            let mut all = fault::faults(step, number, &query.text, query.expands);
            all.extend(role.into_iter().flat_map(|role| fault::rights(step, number, role)));
            hits.extend(all.into_iter().map(|fault| AffectedQuery {
                consumer,
                name: query.name.clone(),
                place: part(query, fault.at),
                text: Cow::Borrowed(&query.text),
                calls: query.calls,
                is_old: self.sides.is_old(consumer, &query.text),
                fault: self.weighed(fault, number),
                allowed: allowance(&step.migration, consumer),
            }));
        }
        for consumer in &self.sides.here.consumers {
            let faults = consumer.uses.iter().flat_map(|used| Some((used, fault::declared(&step.change, used)?)));
            hits.extend(faults.map(|(used, fault)| AffectedQuery {
                consumer: &consumer.name,
                name: fault::named(used),
                place: used.place.clone(),
                text: Cow::Owned(fault::named(used)),
                calls: None,
                is_old: true,
                fault,
                allowed: allowance(&step.migration, &consumer.name),
            }));
        }
        hits
    }

    /// A fault that a later new migration fixes is only a warning: the query fails until that migration is applied.
    fn weighed(&self, fault: QueryFault, number: usize) -> QueryFault {
        let left = differences(self.before(0, number), self.last(number));
        if !fault.is_fixable || left.iter().any(migrate_review::consumer::QueryDifference::is_breaking) {
            return fault;
        }
        match fault.severity {
            Severity::Error => {
                let mut fault = QueryFault { severity: Severity::Warning, ..fault };
                fault.notes.push("a later new migration fixes it; between the two, the query fails".to_owned());
                fault
            }
            _ => fault,
        }
    }

    fn finding(&self, step: &QueryEffects, hit: &AffectedQuery<'_>) -> Finding {
        let AffectedQuery { consumer, name, fault, allowed, .. } = hit;
        let culprit = blamed(step, &hit.text, fault);
        let message = format!("{consumer}: `{name}` {}", fault.message);
        let finding = Finding::new(fault.code, message).with_severity(fault.severity);
        let finding = finding.at(hit.place.clone()).note(format!("caused by {}", culprit.told));
        let finding = fault.notes.iter().fold(finding, Finding::note);
        let finding =
            hit.calls.iter().fold(finding, |finding, calls| finding.note(format!("it was run {calls} times")));
        match allowed {
            Some(reason) => finding.with_severity(Severity::Note).note(format!("allowed: {reason}")),
            None => fault.help.iter().fold(finding, Finding::help),
        }
    }

    /// Allowances for consumers that do not exist, or that the migration does not break.
    fn useless(&self, migration: &Migration, used: &BTreeSet<String>) -> Vec<Finding> {
        let Some(script) = migration.up_script() else { return Vec::new() };
        let known: Vec<&str> = self.sides.here.consumers.iter().map(|one| one.name.as_str()).collect();
        let named = script.directives().allow.iter().filter_map(|(rule, _)| rule.strip_prefix(ALLOW));
        let finding = |name: &str| {
            let word = format!("{ALLOW}{name}");
            let at = script.text().find(&word).unwrap_or(0);
            let place = Place::within(script.path(), script.text().clone(), at..at + word.len());
            if known.contains(&name) {
                return Finding::new(codes::ALLOW_UNUSED, format!("nothing here breaks a query of {name}"))
                    .at(place)
                    .help("remove the line, because it would hide later breaks");
            }
            let finding = Finding::new(codes::CONSUMER_UNKNOWN, format!("there is no consumer {name}")).at(place);
            match suggest::nearest(name, known.iter().copied()) {
                Some(near) => finding.help(format!("did you mean {ALLOW}{near}?")),
                None => finding.help(format!("the consumers are {}", known.join(", "))),
            }
        };
        named.filter(|name| !used.contains(*name)).map(finding).collect()
    }
}

/// The statement that causes a fault.
fn blamed(step: &QueryEffects, text: &str, fault: &QueryFault) -> Culprit {
    let about = |id: &migrate_schema::Id| {
        let meant =
            |(parent, name): &(String, String)| *id.name == **name && (parent.is_empty() || *id.parent == **parent);
        fault.about.as_ref().is_none_or(meant)
    };
    let (label, definition) = (fault.label.as_deref(), fault.definition.as_deref());
    let sought = CulpritCriteria { query: text, about: &about, label, definition, message: &fault.message };
    Culprit::find(&step.migration, &step.change, &sought)
}

/// The reason why a migration may break a consumer, if the head of its file gives one.
fn allowance<'a>(migration: &'a Migration, consumer: &str) -> Option<&'a str> {
    let allow = &migration.up_script()?.directives().allow;
    let of = |(rule, _): &&(String, String)| rule.strip_prefix(ALLOW) == Some(consumer);
    allow.iter().find(of).map(|(_, reason)| reason.as_str())
}

/// The place of a word of a query, or of its first line.
fn part(query: &Query, at: Option<usize>) -> Place {
    let text = &query.text;
    let Some(at) = at.filter(|at| *at < text.len()) else {
        return query.part(0..text.find('\n').unwrap_or(text.len()));
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let end = text[at..].find(|c| !is_word(c)).filter(|end| *end > 0);
    let end = end.unwrap_or(if text[at..].chars().next().is_some_and(is_word) { text.len() - at } else { 1 });
    query.part(at..at + end)
}
