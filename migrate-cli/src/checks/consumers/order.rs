//! In which order to deploy a step, and how to split it if no order is safe.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::finding::{Finding, Severity};
use migrate_core::Migration;
use migrate_review::consumer::{ColumnChanges, PrepareAnswer, QueryDifference, SafeOrder, way};
use migrate_review::lint;
use migrate_schema::Id;

use super::culprit::{Culprit, CulpritCriteria};
use super::sides::placed;
use super::{AffectedQuery, ConsumerJudge, allowance, blamed, fault, told};

/// A query that does not run on one of the two schemas: its consumer, its name, the reason, and its text.
struct BrokenQuery<'a> {
    consumer: &'a str,
    told: String,
    why: String,
    text: &'a str,
    /// The fault after the step, if that is the reason.
    fault: Option<fault::QueryFault>,
}

/// The queries that do not run on one of the two schemas.
struct BrokenQueries<'a> {
    /// Queries that this branch does not change.
    unchanged: Vec<BrokenQuery<'a>>,
    /// Queries that this branch no longer has; they run until the new code is deployed.
    replaced: Vec<BrokenQuery<'a>>,
    /// Queries of this branch that do not run before the step.
    early: Vec<BrokenQuery<'a>>,
    /// Queries that this branch adds and that do not run after the step.
    late: Vec<BrokenQuery<'a>>,
}

impl<'a> BrokenQueries<'a> {
    fn order(&self) -> SafeOrder {
        match self.unchanged.is_empty() && self.late.is_empty() {
            // Deploying code first does not help if the same code runs, and breaks, after the migration.
            false => SafeOrder::None,
            true => SafeOrder::of(self.replaced.is_empty(), self.early.is_empty()),
        }
    }

    fn all(&self) -> Vec<&BrokenQuery<'a>> {
        self.unchanged.iter().chain(&self.late).chain(&self.replaced).chain(&self.early).collect()
    }

    /// Separates the queries that count from those that the migration allows to break.
    fn parted(self, migration: &Migration) -> (Self, Self) {
        let part =
            |all: Vec<BrokenQuery<'a>>| all.into_iter().partition(|one| allowance(migration, one.consumer).is_none());
        let ((unchanged, a), (replaced, b)) = (part(self.unchanged), part(self.replaced));
        let ((early, c), (late, d)) = (part(self.early), part(self.late));
        (Self { unchanged, replaced, early, late }, Self { unchanged: a, replaced: b, early: c, late: d })
    }
}

impl ConsumerJudge<'_> {
    /// The verdict on a step, at the statement that causes it; none if any order is safe. What the migration allows
    /// does not count, but is reported. Also returns the consumers that the migration allows to break.
    pub(super) fn order(&self, at: usize, hits: &[AffectedQuery<'_>]) -> (Vec<Finding>, SafeOrder, BTreeSet<String>) {
        let migration = &self.course.steps[at].migration;
        let cases = BrokenQueries {
            unchanged: broken(hits, true),
            replaced: self.replaced(at),
            early: self.early(at),
            late: broken(hits, false),
        };
        let (open, allowed) = cases.parted(migration);
        let names: BTreeSet<String> = allowed.all().iter().map(|one| one.consumer.to_owned()).collect();
        let verdict = self.verdict(at, &open).map(|(finding, texts)| self.helped(finding, open.order(), at, &texts));
        let let_through = self.verdict(at, &allowed).map(|(finding, _)| {
            let finding = finding.with_severity(Severity::Note);
            let reasons: BTreeSet<&str> = names.iter().filter_map(|name| allowance(migration, name)).collect();
            reasons.iter().map(|reason| format!("allowed: {reason}")).fold(finding, Finding::note)
        });
        (verdict.into_iter().chain(let_through).collect(), open.order(), names)
    }

    /// The finding on the broken queries, and their texts.
    fn verdict(&self, at: usize, cases: &BrokenQueries<'_>) -> Option<(Finding, String)> {
        let (step, order, all) = (&self.course.steps[at], cases.order(), cases.all());
        if order == SafeOrder::Any {
            return None;
        }
        let texts = all.iter().map(|one| one.text).collect::<Vec<_>>().join("\n");
        let culprit = match all.iter().find_map(|one| Some((one.text, one.fault.as_ref()?))) {
            Some((text, fault)) => blamed(step, text, fault),
            None => {
                let message = all.iter().map(|one| one.why.as_str()).collect::<Vec<_>>().join("\n");
                let (about, label, definition) = (&|_: &Id| true, None, None);
                let sought = CulpritCriteria { query: &texts, about, label, definition, message: &message };
                Culprit::find(&step.migration, &step.change, &sought)
            }
        };
        let finding = Finding::new(codes::CONSUMER_ORDER, message(order, cases)).with_severity(severity(order));
        let note = |one: &&BrokenQuery<'_>| format!("{}: {} {}", one.consumer, one.told, one.why);
        let finding = all.iter().take(8).map(note).fold(finding.at(culprit.place), Finding::note);
        let finding = if all.len() > 8 { finding.note(format!("and {} more", all.len() - 8)) } else { finding };
        Some((finding, texts))
    }

    /// Queries of the base branch that this branch no longer has and that break; they run until the new code is
    /// deployed.
    fn replaced(&self, at: usize) -> Vec<BrokenQuery<'_>> {
        let step = &self.course.steps[at];
        let broken = self.sides.gone().into_iter().filter_map(|(consumer, number, (told, expands))| {
            let text = &self.texts[number];
            let faults =
                fault::faults(step, number, text, *expands).into_iter().map(|fault| self.weighed(fault, number));
            let worst = faults.into_iter().find(|fault| fault.severity == Severity::Error)?;
            let (told, why) = (format!("{told}, as released,"), worst.message.clone());
            Some(BrokenQuery { consumer, told, why, text, fault: Some(worst) })
        });
        broken.collect()
    }

    /// Queries of this branch that do not run on the schema before the step, which is also the schema after a rollback.
    fn early(&self, at: usize) -> Vec<BrokenQuery<'_>> {
        let step = &self.course.steps[at];
        let wants =
            self.queries().filter(|(_, _, query, _)| query.expands).filter_map(|(consumer, _, query, number)| {
                let came = step.differences.get(&number)?.iter().find_map(|difference| match difference {
                    QueryDifference::Came(_, column, _) => Some(column),
                    _ => None,
                })?;
                let why = format!("is built with `{came}` in its `*`, which does not exist before the migration");
                Some(BrokenQuery { consumer, told: told(query), why, text: &query.text, fault: None })
            });
        let new = self.queries().filter(|(consumer, _, query, _)| !self.sides.is_old(consumer, &query.text));
        let broken = new.filter_map(|(consumer, _, query, number)| {
            let PrepareAnswer::Refused(why) = self.before(at, number) else { return None };
            matches!(&*step.answers[number], PrepareAnswer::Described(_)).then(|| BrokenQuery {
                consumer,
                told: told(query),
                why: format!("needs the new schema: before it, {}", why.message),
                text: &query.text,
                fault: None,
            })
        });
        broken.chain(wants).collect()
    }

    fn helped(&self, finding: Finding, order: SafeOrder, at: usize, texts: &str) -> Finding {
        let step = &self.course.steps[at];
        let title = step.migration.version().title(step.migration.name());
        match order {
            SafeOrder::MigrateFirst => {
                return finding.help(format!("apply {title}, then deploy; to go back, roll back the code first"));
            }
            SafeOrder::DeployFirst => {
                let help = format!("deploy, then apply {title} when no server runs the old code any more");
                return finding.help(help).help("or merge the migration later, when the code is deployed everywhere");
            }
            _ => {}
        }
        let words: BTreeSet<String> =
            texts.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_lowercase).collect();
        let meant = |id: &Id| {
            words.contains(&id.parent.to_lowercase()) || id.parent.is_empty() && words.contains(&id.name.to_lowercase())
        };
        let mut finding = finding;
        let using = step.migration.up_script().map(|script| lint::conversions(script)).unwrap_or_default();
        let ways = way(&step.change, ColumnChanges { renamed: &step.renamed, using: &using }, &meant);
        if ways.is_empty() {
            finding = finding.help("first deploy queries that run on both schemas, and merge the migration later");
        }
        for way in ways {
            let steps: Vec<String> =
                way.steps.iter().enumerate().map(|(n, step)| format!("{}. {step}", n + 1)).collect();
            finding = finding.help(format!("split it: {}\n{}", way.change, steps.join("\n")));
        }
        let allow = self
            .sides
            .here
            .consumers
            .iter()
            .map(|one| one.name.as_str())
            .find(|name| finding.notes.iter().any(|note| note.starts_with(&format!("{name}: "))));
        match allow {
            Some(name) => finding.help(format!(
                "if it is safe here, put `-- migrate: allow consumer:{name} REASON` at the head of the file"
            )),
            None => finding,
        }
    }
}

/// Queries of this branch that break: those that the base branch has too, or those that it does not have.
fn broken<'a>(hits: &'a [AffectedQuery<'_>], is_old: bool) -> Vec<BrokenQuery<'a>> {
    let breaks = |hit: &&AffectedQuery<'_>| hit.fault.severity == Severity::Error && hit.is_old == is_old;
    let broken = |hit: &'a AffectedQuery<'_>| BrokenQuery {
        consumer: hit.consumer,
        told: placed(&hit.name, &hit.place),
        why: hit.fault.message.clone(),
        text: &hit.text,
        fault: Some(hit.fault.clone()),
    };
    hits.iter().filter(breaks).map(broken).collect()
}

fn severity(order: SafeOrder) -> Severity {
    match order {
        SafeOrder::None => Severity::Error,
        SafeOrder::DeployFirst => Severity::Warning,
        SafeOrder::MigrateFirst | SafeOrder::Any => Severity::Note,
    }
}

fn message(order: SafeOrder, BrokenQueries { unchanged, replaced, early, late }: &BrokenQueries<'_>) -> String {
    let names = |all: &[BrokenQuery<'_>]| {
        let all: BTreeSet<&str> = all.iter().map(|one| one.consumer).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    };
    let why = match order {
        SafeOrder::None if !unchanged.is_empty() => {
            format!("this breaks {}, whose code does not change", names(unchanged))
        }
        SafeOrder::None if !late.is_empty() => {
            format!("the new code of {} does not run on the new schema", names(late))
        }
        SafeOrder::None => format!(
            "the released code of {} does not run on the new schema, and the new code of {} does not run on the old \
             one",
            names(replaced),
            names(early)
        ),
        SafeOrder::DeployFirst => format!("the released code of {} does not run on the new schema", names(replaced)),
        SafeOrder::MigrateFirst | SafeOrder::Any => {
            format!("the new code of {} does not run on the old schema", names(early))
        }
    };
    format!("{}: {why}", order.as_str())
}
