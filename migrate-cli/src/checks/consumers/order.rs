//! In which order to deploy a step, and how to split it if no order is safe.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::finding::{Finding, Severity};
use migrate_core::source::Migration;
use migrate_review::consumer::{Answer, Columns, Difference, Order, way};
use migrate_review::lint;
use migrate_schema::Id;

use super::culprit::{Culprit, Sought};
use super::sides::placed;
use super::{Hit, Judge, allowance, blamed, fault, told};

/// A query that does not run on one of the two schemas: its consumer, its name, the reason, and its text.
struct Broken<'a> {
    consumer: &'a str,
    told: String,
    why: String,
    text: &'a str,
    /// The fault after the step, if that is the reason.
    fault: Option<fault::Fault>,
}

/// The queries that do not run on one of the two schemas.
struct Cases<'a> {
    /// Queries that this branch does not change.
    unchanged: Vec<Broken<'a>>,
    /// Queries that this branch no longer has; they run until the new code is deployed.
    replaced: Vec<Broken<'a>>,
    /// Queries of this branch that do not run before the step.
    early: Vec<Broken<'a>>,
}

impl<'a> Cases<'a> {
    fn order(&self) -> Order {
        match self.unchanged.is_empty() {
            // Deploying unchanged code first does not help.
            false => Order::None,
            true => Order::of(self.replaced.is_empty(), self.early.is_empty()),
        }
    }

    fn all(&self) -> Vec<&Broken<'a>> {
        self.unchanged.iter().chain(&self.replaced).chain(&self.early).collect()
    }

    /// Separates the queries that count from those that the migration allows to break.
    fn parted(self, migration: &Migration) -> (Self, Self) {
        let part = |all: Vec<Broken<'a>>| all.into_iter().partition(|one| allowance(migration, one.consumer).is_none());
        let ((unchanged, a), (replaced, b), (early, c)) = (part(self.unchanged), part(self.replaced), part(self.early));
        (Self { unchanged, replaced, early }, Self { unchanged: a, replaced: b, early: c })
    }
}

impl Judge<'_> {
    /// The verdict on a step, at the statement that causes it; none if any order is safe. What the migration allows
    /// does not count, but is reported. Also returns the consumers that the migration allows to break.
    pub(super) fn order(&self, at: usize, hits: &[Hit<'_>]) -> (Vec<Finding>, Order, BTreeSet<String>) {
        let migration = &self.course.steps[at].migration;
        let cases = Cases { unchanged: unchanged(hits), replaced: self.replaced(at), early: self.early(at) };
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
    fn verdict(&self, at: usize, cases: &Cases<'_>) -> Option<(Finding, String)> {
        let (step, order, all) = (&self.course.steps[at], cases.order(), cases.all());
        if order == Order::Any {
            return None;
        }
        let texts = all.iter().map(|one| one.text).collect::<Vec<_>>().join("\n");
        let culprit = match all.iter().find_map(|one| Some((one.text, one.fault.as_ref()?))) {
            Some((text, fault)) => blamed(step, text, fault),
            None => {
                let message = all.iter().map(|one| one.why.as_str()).collect::<Vec<_>>().join("\n");
                let (about, label, definition) = (&|_: &Id| true, None, None);
                let sought = Sought { query: &texts, about, label, definition, message: &message };
                Culprit::find(&step.migration, &step.change, &sought)
            }
        };
        let finding = Finding::new(codes::CONSUMER_ORDER, message(order, cases)).with_severity(severity(order));
        let note = |one: &&Broken<'_>| format!("{}: {} {}", one.consumer, one.told, one.why);
        let finding = all.iter().take(8).map(note).fold(finding.at(culprit.place), Finding::note);
        let finding = if all.len() > 8 { finding.note(format!("and {} more", all.len() - 8)) } else { finding };
        Some((finding, texts))
    }

    /// Queries of the base branch that this branch no longer has and that break; they run until the new code is
    /// deployed.
    fn replaced(&self, at: usize) -> Vec<Broken<'_>> {
        let step = &self.course.steps[at];
        let broken = self.sides.gone().into_iter().filter_map(|(consumer, number, (told, expands))| {
            let text = &self.texts[number];
            let faults =
                fault::faults(step, number, text, *expands).into_iter().map(|fault| self.mended(fault, number));
            let worst = faults.into_iter().find(|fault| fault.severity == Severity::Error)?;
            let (told, why) = (format!("{told}, as released,"), worst.message.clone());
            Some(Broken { consumer, told, why, text, fault: Some(worst) })
        });
        broken.collect()
    }

    /// Queries of this branch that do not run on the schema before the step, which is also the schema after a rollback.
    fn early(&self, at: usize) -> Vec<Broken<'_>> {
        let step = &self.course.steps[at];
        let wants =
            self.queries().filter(|(_, _, query, _)| query.expands).filter_map(|(consumer, _, query, number)| {
                let came = step.differences.get(&number)?.iter().find_map(|difference| match difference {
                    Difference::Came(_, column, _) => Some(column),
                    _ => None,
                })?;
                let why = format!("is built with `{came}` in its `*`, which does not exist before the migration");
                Some(Broken { consumer, told: told(query), why, text: &query.text, fault: None })
            });
        let new = self.queries().filter(|(consumer, _, query, _)| !self.sides.is_old(consumer, &query.text));
        let broken = new.filter_map(|(consumer, _, query, number)| {
            let Answer::Refused(why) = self.before(at, number) else { return None };
            matches!(&*step.answers[number], Answer::Described(_)).then(|| Broken {
                consumer,
                told: told(query),
                why: format!("needs the new schema: before it, {}", why.message),
                text: &query.text,
                fault: None,
            })
        });
        broken.chain(wants).collect()
    }

    fn helped(&self, finding: Finding, order: Order, at: usize, texts: &str) -> Finding {
        let step = &self.course.steps[at];
        let title = format!("{}_{}", step.migration.version(), step.migration.name());
        match order {
            Order::MigrateFirst => {
                return finding.help(format!("apply {title}, then deploy; to go back, roll back the code first"));
            }
            Order::DeployFirst => {
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
        let ways = way(&step.change, Columns { renamed: &step.renamed, using: &using }, &meant);
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

/// Queries that this branch does not change and that break.
fn unchanged<'a>(hits: &'a [Hit<'_>]) -> Vec<Broken<'a>> {
    let breaks = |hit: &&Hit<'_>| hit.fault.severity == Severity::Error && hit.is_old;
    let broken = |hit: &'a Hit<'_>| Broken {
        consumer: hit.consumer,
        told: placed(&hit.name, &hit.place),
        why: hit.fault.message.clone(),
        text: &hit.text,
        fault: Some(hit.fault.clone()),
    };
    hits.iter().filter(breaks).map(broken).collect()
}

fn severity(order: Order) -> Severity {
    match order {
        Order::None => Severity::Error,
        Order::DeployFirst => Severity::Warning,
        Order::MigrateFirst | Order::Any => Severity::Note,
    }
}

fn message(order: Order, Cases { unchanged, replaced, early }: &Cases<'_>) -> String {
    let names = |all: &[Broken<'_>]| {
        let all: BTreeSet<&str> = all.iter().map(|one| one.consumer).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    };
    let why = match order {
        Order::None if !unchanged.is_empty() => {
            format!("this breaks {}, whose code does not change", names(unchanged))
        }
        Order::None => format!(
            "the released code of {} does not run on the new schema, and the new code of {} does not run on the old one",
            names(replaced),
            names(early)
        ),
        Order::DeployFirst => format!("the released code of {} does not run on the new schema", names(replaced)),
        Order::MigrateFirst | Order::Any => format!("the new code of {} does not run on the old schema", names(early)),
    };
    format!("{}: {why}", order.as_str())
}
