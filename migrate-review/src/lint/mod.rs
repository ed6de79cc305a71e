//! Rules for SQL: what is dangerous while a table is in use, or causes surprises later.
//!
//! A rule consists of a code, a class, a default severity, a page and a check. Many rules come from Squawk's linter;
//! our own are those that need the schema, the transaction, or the released schema. [`rules()`] is the only list: help,
//! documents and JSON are generated from it. Nothing here reads a database; the caller supplies the schemas.

mod harmless;
mod page;
mod partitioned;
mod rows;
mod rules;
mod script;
mod sources;
mod squawk;
mod tautology;
mod terms;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use migrate_base::codes::{self, Code};
use migrate_base::finding::{Finding, Place, Severity};
use migrate_base::suggest;
use migrate_core::Direction;
use migrate_core::source::Script;
use migrate_schema::SchemaDescription;
use squawk_syntax::ast::{AlterColumnOption, AlterTableAction, AstNode, Stmt};

use crate::config::LintConfig;
use crate::tree::{named, relation_names, span};

pub use page::{RulePage, RuleSample, SampleKind};
use script::ParsedScript;

/// A rule.
#[derive(Debug, Clone, Copy)]
pub struct LintRule {
    /// Its code, which never changes: `ban-drop-column`.
    pub code: Code,
    /// What it is about.
    pub class: RuleClass,
    /// Its severity unless `migrate.toml` overrides it; `None` means off.
    pub weight: Option<Severity>,
    page: &'static str,
    origin: RuleOrigin,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleClass {
    /// Something is locked for long, or rewritten.
    Locks,
    /// Something that works today stops working, or data are lost.
    Breaks,
    /// A design that you will regret.
    Design,
    /// Somebody may see or do what they should not.
    Security,
}

#[derive(Debug, Clone, Copy)]
enum RuleOrigin {
    Squawk(squawk_linter::Rule),
    Own(fn(&LintSubject<'_>, &ParsedScript) -> Vec<RuleHit>),
}

/// A script, and what is known about the databases that it will run on.
#[derive(Debug, Clone, Copy)]
pub struct LintSubject<'a> {
    /// The script.
    pub script: &'a Script,
    /// The direction. Of a down script only locks are judged, and their findings are warnings.
    pub direction: Direction,
    /// The schema on which the script runs, if known.
    pub before: Option<&'a SchemaDescription>,
    /// The schema to which the script leads, if known.
    pub after: Option<&'a SchemaDescription>,
    /// The released schema: a table that is not in it has no rows and no readers.
    pub released: Option<&'a SchemaDescription>,
}

/// A place that breaks a rule.
#[derive(Debug, Clone)]
pub(crate) struct RuleHit {
    span: Range<usize>,
    message: String,
    notes: Vec<String>,
    help: Vec<String>,
}

impl RuleHit {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), notes: Vec::new(), help: Vec::new() }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// A statement of a script, or a statement inside a block of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedStatement {
    /// Its place in the file.
    pub span: Range<usize>,
    /// Its text; a statement inside a block is written the way it runs.
    pub text: String,
}

/// The statements of a script. The statements of a `DO` block replace the block, each at its own place. If the script
/// creates and runs a function, both the function and its statements are included.
pub fn statements(script: &Script) -> Vec<PlacedStatement> {
    let parsed = ParsedScript::new(script, None);
    let part = |span: &Range<usize>, text: &str| {
        let text = text[span.clone()].trim_end_matches([';', ' ', '\n']).to_owned();
        PlacedStatement { span: span.start..span.start + text.len(), text }
    };
    let mut all: Vec<PlacedStatement> = parsed.statements.iter().map(|(span, _)| part(span, &parsed.text)).collect();
    all.extend(parsed.routines.iter().map(|stmt| part(&span(stmt), script.text())));
    // A statement that cannot be read is still a statement.
    all.extend(parsed.unread.iter().map(|one| part(&one.place, script.text())));
    all.sort_by_key(|part| part.span.start);
    all
}

/// The columns whose type the script changes with a conversion of their values: the expression after `USING`, by table
/// and column.
pub fn conversions(script: &Script) -> BTreeMap<(String, String), String> {
    let parsed = ParsedScript::new(script, None);
    let tables = parsed.statements.iter().filter_map(|(_, stmt)| match stmt {
        Stmt::AlterTable(it) => Some((relation_names(stmt).next()?.name, it)),
        _ => None,
    });
    let using = tables.flat_map(|(table, alter)| {
        let of_column = move |action: AlterTableAction| {
            let AlterTableAction::AlterColumn(alter) = action else { return None };
            let Some(AlterColumnOption::SetType(set)) = alter.option() else { return None };
            let column = named(&alter.column_name_ref()?)?.name;
            let text = set.using_expr()?.expr()?.syntax().text().to_string();
            Some(((table.clone(), column), text.split_whitespace().collect::<Vec<_>>().join(" ")))
        };
        alter.actions().filter_map(of_column)
    });
    using.collect()
}

/// All rules, in the order of the list.
pub fn rules() -> impl Iterator<Item = &'static LintRule> {
    squawk::RULES.iter().chain(&rules::RULES)
}

/// The rule with this code.
pub fn rule(code: &str) -> Option<&'static LintRule> {
    rules().find(|rule| rule.code == code)
}

impl LintRule {
    /// What the rule says, why, and how to fix it.
    pub fn page(&self) -> RulePage<'static> {
        RulePage::parse(self.page)
    }

    /// The severity for a script.
    fn weight_in(&self, lint: &LintConfig, direction: Direction) -> Option<Severity> {
        let weight = lint.rules.get(self.code.as_str()).map_or(self.weight, |weight| weight.0)?;
        match direction {
            Direction::Up => Some(weight),
            // A down script is expected to remove what the up script created.
            Direction::Down => (self.class == RuleClass::Locks).then(|| weight.min(Severity::Warning)),
        }
    }
}

/// Judges a script. Leaves out what the head of the script allows, and reports an allowance that is not needed.
pub fn judge(subject: &LintSubject<'_>, lint: &LintConfig) -> Vec<Finding> {
    let known = subject.before.or(subject.released);
    let parsed = ParsedScript::new(subject.script, known.map(|at| &at.schema));
    let mut findings: Vec<(usize, Finding)> = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let allowed = |code: &str| subject.script.directives().allow.iter().any(|(rule, _)| rule == code);
    let squawk = squawk::hits(subject, &parsed);
    for rule in rules() {
        let Some(weight) = rule.weight_in(lint, subject.direction) else { continue };
        let hits = match rule.origin {
            RuleOrigin::Squawk(theirs) => {
                squawk.iter().filter(|(code, _)| *code == theirs).map(|(_, hit)| hit.clone()).collect()
            }
            RuleOrigin::Own(check) => check(subject, &parsed),
        };
        // A change that the script itself undoes breaks nothing, but it did take its locks.
        let is_undone = |hit: &RuleHit| rule.class != RuleClass::Locks && parsed.is_undone(hit.span.start);
        let hits: Vec<RuleHit> = hits.into_iter().filter(|hit| !is_undone(hit)).collect();
        if allowed(rule.code.as_str()) {
            used.extend((!hits.is_empty()).then_some(rule.code.as_str()));
            continue;
        }
        findings.extend(hits.into_iter().map(|hit| (hit.span.start, finding(subject.script, rule, weight, hit))));
    }
    findings.sort_by_key(|(at, finding)| (*at, finding.code));
    let useless = useless(subject, &used);
    findings.into_iter().map(|(_, finding)| finding).chain(useless).collect()
}

fn finding(script: &Script, rule: &LintRule, weight: Severity, hit: RuleHit) -> Finding {
    let place = Place::within(script.path(), script.text().clone(), hit.span);
    let finding = Finding::new(rule.code, hit.message).with_severity(weight).at(place);
    let finding = hit.notes.into_iter().fold(finding, Finding::note);
    let finding = hit.help.into_iter().fold(finding, Finding::help);
    finding.help(format!(
        "`cargo xtask explain {0}` shows the safe form; `-- migrate: allow {0} REASON` says why it is safe here",
        rule.code
    ))
}

/// Allowances that name an unknown rule, or a rule that the script does not break.
fn useless(subject: &LintSubject<'_>, used: &BTreeSet<&str>) -> Vec<Finding> {
    let script = subject.script;
    let place = |rule: &str| {
        let at = script.text().find(&format!("allow {rule}"));
        at.map_or(Place::file(script.path()), |at| {
            Place::within(script.path(), script.text().clone(), at..at + "allow ".len() + rule.len())
        })
    };
    let told = script.directives().allow.iter().filter_map(|(name, _)| {
        if used.contains(name.as_str()) {
            return None;
        }
        match rule(name) {
            // A down script is not judged by all rules, so it may contain allowances that are not needed.
            Some(_) if subject.direction == Direction::Down => None,
            Some(_) => Some(
                Finding::new(codes::ALLOW_UNUSED, format!("nothing here breaks the rule {name}"))
                    .at(place(name))
                    .help("remove the line, or it hides later findings"),
            ),
            None if is_elsewhere(name) => None,
            None => {
                let finding = Finding::new(codes::ALLOW_UNKNOWN, format!("there is no rule {name}")).at(place(name));
                let known = rules().map(|rule| rule.code).chain(ELSEWHERE).map(Code::as_str);
                Some(match suggest::nearest(name, known) {
                    Some(near) => finding.help(format!("did you mean {near}?")),
                    None => finding.help("`cargo xtask explain` lists the rules"),
                })
            }
        }
    });
    told.collect()
}

/// Codes that other modules check, and that a script can allow.
pub const ELSEWHERE: [Code; 7] = [
    codes::DOWN_EDITED,
    codes::LOCK_TOO_STRONG,
    codes::TABLE_REWRITTEN,
    codes::TABLES_LOCKED_TOGETHER,
    codes::INDEX_INVALID,
    codes::NEEDS_SUPERUSER,
    codes::LOCK_TIMEOUT_MISSING,
];

fn is_elsewhere(name: &str) -> bool {
    ELSEWHERE.iter().any(|code| *code == name) || name.starts_with("consumer:")
}

/// The rules in `migrate.toml` that do not exist, each with a similar one if there is one.
pub fn unknown(lint: &LintConfig) -> Vec<(String, Option<&'static str>)> {
    let unknown = lint.rules.keys().filter(|name| rule(name).is_none());
    unknown.map(|name| (name.clone(), suggest::nearest(name, rules().map(|rule| rule.code.as_str())))).collect()
}
