//! Pending migrations as a sequence of steps, some of which somebody may have run by hand.

use std::ops::Range;
use std::sync::Arc;

use migrate_base::sql::lex::words;
use migrate_base::sql::{StatementClass, is_local_setting, tokens};
use migrate_schema::Schema;
use migrate_schema::ddl::{DdlStage, DdlStatement, Hazard};

use super::update::UpdateStatement;
use crate::source::{Migration, Script};

/// A statement of a pending migration, or a migration in Rust as a whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PendingStep {
    /// The migration.
    pub migration: Arc<Migration>,
    /// Which of its statements, from 0; `None` for one in Rust.
    pub at: Option<usize>,
}

impl PendingStep {
    /// The steps of migrations, in order; statements that only set something for the session, or start or end a
    /// transaction, are left out.
    pub fn all(migrations: &[Arc<Migration>]) -> Vec<Self> {
        let of = |migration: &Arc<Migration>| -> Vec<Self> {
            let step = |at| Self { migration: migration.clone(), at };
            match migration.up_script() {
                None => vec![step(None)],
                Some(script) => {
                    let all = script.statements().iter().enumerate();
                    all.filter(|(at, _)| !sets(script, *at)).map(|(at, _)| step(Some(at))).collect()
                }
            }
        };
        migrations.iter().flat_map(of).collect()
    }

    /// Its text, if it is a statement.
    pub fn text(&self) -> Option<&str> {
        let (script, at) = (self.migration.up_script()?, self.at?);
        Some(text(script, at))
    }

    /// Whether its first word shows that it only changes rows.
    pub fn is_of_rows(&self) -> bool {
        const WORDS: [&str; 6] = ["insert", "update", "delete", "merge", "copy", "truncate"];
        let word = self.text().and_then(|text| tokens(text).first().copied());
        word.is_some_and(|word| WORDS.iter().any(|other| word.eq_ignore_ascii_case(other)))
    }
}

/// What is known about a sequence of steps that somebody started by hand.
#[derive(Clone, Copy)]
pub struct ManualSteps<'a> {
    /// All of the steps.
    pub steps: &'a [PendingStep],
    /// How many have certainly run, and how many may have run: it is unknown whether those in between have run.
    pub taken: (usize, usize),
    /// The schema before them.
    pub before: &'a Schema,
    /// The actual schema.
    pub there: &'a Schema,
    /// Whether a statement changes rows or runs code.
    pub is_beyond: &'a dyn Fn(&str) -> bool,
}

impl ManualSteps<'_> {
    /// The remaining statements, as written in the migrations. A statement that may have run is repeated if that is
    /// harmless; otherwise a stop is inserted before the rest. `None` if a migration in Rust remains.
    pub fn rest(self) -> Option<Vec<DdlStatement>> {
        let (mut rest, mut stage) = (Vec::new(), DdlStage::Main);
        let left = self.steps.get(self.taken.0..)?;
        let mut unseen = self.taken.1 - self.taken.0;
        let hidden: Vec<UpdateStatement<'_>> =
            left.iter().take(unseen).filter_map(|step| UpdateStatement::of(step.text()?)).collect();
        for (n, part) in left.chunk_by(|one, other| Arc::ptr_eq(&one.migration, &other.migration)).enumerate() {
            let script = part.first()?.migration.up_script()?;
            let is_alone = script.directives().no_transaction
                || part.iter().any(|step| step.at.is_some_and(|at| script.statements()[at].class.is_run_alone()));
            stage = match (stage, is_alone) {
                (DdlStage::Main, false) => DdlStage::Main,
                (DdlStage::Concurrent, false) if n > 0 => DdlStage::Validate,
                (DdlStage::Validate, false) => DdlStage::Validate,
                // There is no stage after the last one.
                (DdlStage::Validate, true) => return None,
                // After the last transaction, everything runs outside a transaction.
                _ => DdlStage::Concurrent,
            };
            let (mut from, mut set) = (0, Vec::new());
            for step in part {
                let place = step.at?;
                set.extend(settings(script, from..place, stage));
                from = place;
                let text = step.text()?;
                let one = if unseen > 0 { self.again(text, &hidden) } else { DdlStatement::of(text) };
                unseen = unseen.saturating_sub(1);
                rest.extend(set.drain(..).chain([one]).map(|one| DdlStatement { stage, ..one }));
            }
            let ended = settings(script, 0..from, stage).into_iter().filter_map(|one| unset(&one.text));
            rest.extend(ended.map(|text| DdlStatement { stage, ..DdlStatement::of(text) }));
        }
        Some(stopped(rest))
    }

    /// A form of a statement that can run even if it has already run, next to other updates of which that is unknown.
    fn again(self, text: &str, hidden: &[UpdateStatement<'_>]) -> DdlStatement {
        // If two updates set the same column, the second one would find the values of the first.
        let is_alone = |one: &UpdateStatement<'_>| hidden.iter().filter(|other| one.overlaps(other)).count() < 2;
        let update = || UpdateStatement::of(text).filter(is_alone)?.unseen(self.before, self.there);
        match (self.is_beyond)(text) && !is_idle(text) {
            true => update().map_or_else(|| undecided(text), DdlStatement::of),
            false => DdlStatement::of(text),
        }
    }
}

fn text(script: &Script, at: usize) -> &str {
    &script.text()[script.statements()[at].span.clone()]
}

/// Whether a statement only sets something, or starts or ends a transaction.
fn sets(script: &Script, at: usize) -> bool {
    let class = script.statements()[at].class;
    matches!(class, StatementClass::Session | StatementClass::TransactionControl) || is_local_setting(text(script, at))
}

/// The settings in a part of a script, limited to the transaction if there is one.
fn settings(script: &Script, part: Range<usize>, stage: DdlStage) -> Vec<DdlStatement> {
    let is_setting =
        |at: &usize| sets(script, *at) && script.statements()[*at].class != StatementClass::TransactionControl;
    let local = |text: &str| {
        let words: Vec<&str> = tokens(text);
        let is = |at: usize, word: &str| words.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word));
        match is(0, "set")
            && !["local", "session", "constraints"].iter().any(|word| is(1, word))
            && stage != DdlStage::Concurrent
        {
            true => format!("SET LOCAL{}", &text["set".len()..]),
            false => text.to_owned(),
        }
    };
    part.filter(is_setting).map(|at| DdlStatement::of(local(text(script, at)))).collect()
}

/// The statement that reverts a setting, because it must not apply to the next migration.
fn unset(text: &str) -> Option<String> {
    let words: Vec<&str> = tokens(text);
    let is = |at: usize, word: &str| words.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word));
    let is_local = is(1, "local");
    let name = 1 + usize::from(is_local || is(1, "session") && !is(2, "authorization") && !is(2, "characteristics"));
    let local = if is_local { "LOCAL " } else { "" };
    Some(match words.get(name).filter(|_| is(0, "set"))?.to_ascii_lowercase().as_str() {
        "constraints" | "transaction" => return None,
        "role" => format!("SET {local}ROLE NONE"),
        "session" => format!("SET {local}SESSION AUTHORIZATION DEFAULT"),
        "time" => format!("SET {local}TIME ZONE DEFAULT"),
        other if is(name + 1, ".") => format!("SET {local}{other}.{} TO DEFAULT", words.get(name + 2)?),
        other => format!("SET {local}{other} TO DEFAULT"),
    })
}

/// Whether an `INSERT` leaves existing rows unchanged.
fn is_idle(text: &str) -> bool {
    let words: Vec<&str> = tokens(text);
    let is = |pair: &[&str], two: [&str; 2]| pair.iter().zip(two).all(|(one, word)| one.eq_ignore_ascii_case(word));
    words.first().is_some_and(|word| word.eq_ignore_ascii_case("insert"))
        && words.windows(2).any(|pair| is(pair, ["do", "nothing"]))
}

/// Statements after a stop would run anyway, so they are only listed, unless the stop rolls back their transaction.
fn stopped(mut statements: Vec<DdlStatement>) -> Vec<DdlStatement> {
    if let Some(at) = statements.iter().position(DdlStatement::is_stop) {
        let stage = statements[at].stage;
        let in_transaction = |one: &DdlStatement| one.stage == stage && stage != DdlStage::Concurrent;
        let end = statements[at + 1..].iter().position(|one| !in_transaction(one));
        let later = end.map_or_else(Vec::new, |end| statements.split_off(at + 1 + end));
        let then = later.iter().map(|one| Hazard::Undecided(format!("then run {}", flat(&one.text))));
        statements[at].hazards.extend(then);
    }
    statements
}

/// A statement on one line, without comments.
fn flat(text: &str) -> String {
    let mut flat = String::new();
    let mut end = None;
    for (_, span) in words(text.trim_end_matches(';')) {
        if end.is_some_and(|end| end < span.start) {
            flat.push(' ');
        }
        flat += &text[span.clone()];
        end = Some(span.end);
    }
    flat
}

/// A statement that stops users who paste the statements until they have decided whether a statement has run.
pub(super) fn undecided(text: &str) -> DdlStatement {
    let flat = flat(text);
    let stop = "DO $$ BEGIN RAISE EXCEPTION 'decide first: see the comment above this statement'; END $$";
    let why = format!(
        "it is unknown whether this has run. If it has not, replace the next statement with it; if it has, delete the \
         next statement: {flat}"
    );
    DdlStatement { hazards: vec![Hazard::Undecided(why)], ..DdlStatement::of(stop) }
}
