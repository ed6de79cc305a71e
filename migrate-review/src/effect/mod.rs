//! What a script does to existing objects, read from its text: whether it only adds, what it removes, and which locks
//! it takes.
//!
//! This is a preview for people who decide, not a proof. The statements of a `DO` block are read. Functions, and
//! statements that are built at run time, are reported as unknown. The text contains only names; [`resolve()`] finds
//! them in a schema.

mod lead;
mod resolve;
mod writes;

use std::borrow::Cow;

use migrate_core::source::Script;
use migrate_schema::Schema;
use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Stmt};

use crate::locks::{self, ScriptChanges, ScriptContext, StatementLock};
use crate::parse::{parse, without_deep};
use crate::tree::ObjectName;
use crate::tree::undone;
use crate::tree::unfold;
use crate::tree::{StatementTarget, named, relation_names, span, targets};

pub use resolve::{TableLoss, find, resolve};
pub use writes::{ScriptWrites, changes_rows, names};

/// What a script does, judging by its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// What it removes, in the order of its statements.
    pub taken: Vec<ScriptRemoval>,
    /// Statements whose effect is not in the text: `DO`, `CALL`, calls of functions.
    pub unknown: Vec<String>,
    /// Whether it changes or removes something that existed, in addition to what it adds.
    pub changes: bool,
}

/// Something that a script removes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptRemoval {
    /// A table with its rows; with CASCADE also everything that depends on it.
    Table(ObjectName),
    /// A column with its values.
    Column(ObjectName, String),
    /// All objects of a schema.
    Schema(ObjectName),
    /// Rows of a table, with the command that removes them.
    Rows(ObjectName, &'static str),
    /// Values of columns of a table that are overwritten; no column means that the columns are not in the text.
    Values(ObjectName, Vec<String>),
}

impl Effects {
    /// Reads a script.
    pub fn of(script: &Script) -> Self {
        Self::read(script.text())
    }

    fn read(text: &str) -> Self {
        let mut effects = Self::default();
        let (text, deep) = without_deep(text);
        effects.unknown.extend(deep.iter().map(|_| "a statement that is nested too deeply to be parsed".to_owned()));
        let stmts: Vec<(usize, Stmt)> = parse(&text).tree().stmts().map(|stmt| (span(&stmt).start, stmt)).collect();
        let undone = undone(stmts.iter().map(|(at, stmt)| (*at, stmt)));
        for (_, stmt) in stmts.iter().filter(|(at, _)| !undone.iter().any(|place| place.contains(at))) {
            effects.take(stmt);
            if matches!(stmt, Stmt::Do(_)) {
                // The statements of the block are read too; whether they run, and what they call, remains unknown.
                let inner = unfold(&stmt.syntax().text().to_string()).text;
                parse(&inner).tree().stmts().for_each(|stmt| effects.take(&stmt));
            }
        }
        effects
    }

    /// Whether the script only adds: then everything that runs without it also runs with it.
    pub fn is_additive(&self) -> bool {
        !self.changes && self.unknown.is_empty()
    }

    /// The statements that a comparison of schemas cannot see: those that change rows, and those whose effect is not in
    /// the text.
    pub fn beyond_schema(script: &str) -> Vec<String> {
        let is_beyond = |stmt: &Stmt| match stmt {
            Stmt::Insert(_) | Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) | Stmt::Truncate(_) => true,
            Stmt::Do(_) | Stmt::Call(_) | Stmt::Copy(_) => true,
            Stmt::Select(it) => calls(it) || inner(stmt).next().is_some(),
            Stmt::CreateTableAs(it) => !matches!(it.data_option(), Some(ast::DataOption::WithNoData(_))),
            Stmt::AlterTable(it) => it.actions().any(|action| locks::computes(&action)),
            _ => false,
        };
        let (text, deep) = without_deep(script);
        let file = parse(&text).tree();
        let read = file.stmts().filter(is_beyond).map(|stmt| stmt.syntax().text().to_string().trim().to_owned());
        let unread = deep.into_iter().map(|place| format!("{} …", start(&script[place])));
        read.chain(unread).collect()
    }

    fn take(&mut self, stmt: &Stmt) {
        inner(stmt).for_each(|stmt| self.take(&stmt));
        let before = self.taken.len();
        let tables = || relation_names(stmt);
        match stmt {
            Stmt::DropTable(_) => self.taken.extend(tables().map(ScriptRemoval::Table)),
            Stmt::DropSchema(_) => self.taken.extend(others(stmt).map(ScriptRemoval::Schema)),
            Stmt::Truncate(_) => self.taken.extend(tables().map(|table| ScriptRemoval::Rows(table, "TRUNCATE"))),
            Stmt::Delete(_) => self.taken.extend(tables().map(|table| ScriptRemoval::Rows(table, "DELETE"))),
            Stmt::Merge(_) => self.taken.extend(tables().map(|table| ScriptRemoval::Rows(table, "MERGE"))),
            Stmt::Update(it) => {
                let columns = set_columns(it);
                self.taken.extend(tables().map(|table| ScriptRemoval::Values(table, columns.clone())));
            }
            Stmt::AlterTable(it) => {
                if let Some(table) = tables().next() {
                    it.actions().for_each(|action| self.taken.extend(altered(&table, &action)));
                }
            }
            Stmt::Do(_) => self.unknown.push("a DO block".to_owned()),
            Stmt::Call(it) => self.unknown.push(first_line(it)),
            Stmt::Select(it) if calls(it) => self.unknown.push(first_line(it)),
            _ => {}
        }
        self.changes |= self.taken.len() > before || changes(stmt);
    }
}

/// The locks that scripts take on existing objects of a schema: the strongest lock on each, in the order in which they
/// are taken. The scripts run one after the other: the next script sees the new names of renamed objects, and need not
/// prove again what an earlier script proved. `major` is the version of the server.
pub fn locks<'s>(
    scripts: impl IntoIterator<Item = &'s Script>,
    schema: &Schema,
    major: u32,
) -> Vec<Vec<StatementLock>> {
    let (mut scopes, mut all, mut from) = (ScriptChanges::default(), Vec::new(), 0);
    let mut schema = Cow::Borrowed(schema);
    for script in scripts {
        let stmts: Vec<Stmt> = parse(&unfold(script.text()).text).tree().stmts().collect();
        let undone = undone(stmts.iter().map(|stmt| (span(stmt).start, stmt)));
        scopes.begin(from);
        let mut wanted = Vec::new();
        for stmt in &stmts {
            let at = from + 1 + span(stmt).start;
            scopes.take(at, stmt, Some(&schema));
            let known =
                ScriptContext { before: Some(&schema), after: None, major: Some(major), scopes: Some(&scopes), at };
            wanted.extend(locks::wanted(stmt, &known));
            wanted.extend(locks::unknown(stmt, &known));
        }
        all.push(locks::strongest(wanted));
        // The resulting schema matters only for the next script, and each statement builds on the ones before.
        for stmt in stmts.iter().filter(|stmt| matches!(stmt, Stmt::AlterTable(_))) {
            // A statement in a block may be conditional, as far as we know.
            let start = span(stmt).start;
            let is_top = script.statements().binary_search_by_key(&start, |one| one.span.start).is_ok();
            if is_top && !undone.iter().any(|place| place.contains(&start)) {
                let at = from + 1 + start;
                let known =
                    ScriptContext { before: Some(&schema), after: None, major: Some(major), scopes: Some(&scopes), at };
                let changed = lead::changed(&known, stmt);
                if !changed.is_empty() {
                    schema.to_mut().take_in(changed);
                }
            }
        }
        from += script.text().len() + 2;
    }
    all
}

/// The statements in the WITH clauses of a query or a change of rows that themselves change rows.
fn inner(stmt: &Stmt) -> impl Iterator<Item = Stmt> {
    let changes = |stmt: &Stmt| matches!(stmt, Stmt::Insert(_) | Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_));
    let runs = changes(stmt) || matches!(stmt, Stmt::Select(_) | Stmt::CreateTableAs(_));
    let clauses = stmt.syntax().descendants().filter(move |_| runs).filter_map(ast::WithTable::cast);
    clauses.flat_map(|clause| clause.syntax().children()).filter_map(Stmt::cast).filter(changes)
}

fn others(stmt: &Stmt) -> impl Iterator<Item = ObjectName> {
    targets(stmt)
        .into_iter()
        .filter_map(|target| if let StatementTarget::Other(name) = target { Some(name) } else { None })
}

fn altered(table: &ObjectName, action: &AlterTableAction) -> Option<ScriptRemoval> {
    match action {
        AlterTableAction::DropColumn(it) => {
            Some(ScriptRemoval::Column(table.clone(), named(&it.column_name_ref()?)?.name))
        }
        AlterTableAction::AlterColumn(it) if matches!(it.option(), Some(AlterColumnOption::SetType(_))) => {
            Some(ScriptRemoval::Values(table.clone(), vec![named(&it.column_name_ref()?)?.name]))
        }
        _ => None,
    }
}

/// The columns that an UPDATE writes.
fn set_columns(update: &ast::Update) -> Vec<String> {
    let clause = update.set_clause();
    let names = clause.iter().flat_map(|clause| clause.syntax().descendants().filter_map(ast::ColumnNameRef::cast));
    let mut names: Vec<String> = names.filter_map(|name| Some(named(&name)?.name)).collect();
    names.dedup();
    names
}

/// Whether a statement changes or removes something that may exist, other than rows and their containers.
fn changes(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::AlterTable(it) => it.actions().any(|action| {
            !matches!(
                action,
                AlterTableAction::AddColumn(_)
                    | AlterTableAction::ValidateConstraint(_)
                    | AlterTableAction::EnableTrigger(_)
            )
        }),
        Stmt::CreateFunction(it) => it.or_replace().is_some(),
        Stmt::CreateView(it) => it.or_replace().is_some(),
        _ => {
            let text = stmt.syntax().text().to_string();
            let word = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
            // These only add. A type that gets a label has its own rule, which tells it from a type that changes.
            let adds = ["create", "comment", "grant", "insert", "set", "reset", "select", "analyze", "lock", "refresh"];
            let adds_label =
                matches!(stmt, Stmt::AlterType(it) if matches!(it.action(), Some(ast::AlterTypeAction::AddValue(_))));
            !adds.contains(&word.as_str()) && !adds_label
        }
    }
}

/// Whether a query calls a function that is not one of the common harmless ones.
fn calls(select: &ast::Select) -> bool {
    let harmless = ["setval", "set_config", "nextval", "count", "max", "min", "coalesce", "pg_notify"];
    let calls = select.syntax().descendants().filter_map(ast::CallExpr::cast);
    calls
        .map(|call| call.syntax().text().to_string())
        .any(|text| !writes::last_name(&text).is_some_and(|name| harmless.contains(&name.as_str())))
}

/// The beginning of a statement that is too long to be shown.
fn start(statement: &str) -> String {
    statement.chars().take(80).collect()
}

fn first_line(node: &impl AstNode) -> String {
    node.syntax().text().to_string().trim().lines().next().unwrap_or_default().trim_end_matches(';').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> ObjectName {
        ObjectName::parse(text).unwrap()
    }

    #[test]
    fn what_is_taken_away_is_read() {
        let effects = Effects::read(
            "DROP TABLE shop.a, b CASCADE;\nALTER TABLE c DROP COLUMN x, ALTER COLUMN y TYPE text;\nTRUNCATE d;\n\
             DELETE FROM ONLY e WHERE id = 1;\nUPDATE f SET g = 1, h = 2;\nDROP SCHEMA s CASCADE;\n\
             DO $$ BEGIN END $$;\nSELECT prune();\n",
        );
        let expected = [
            ScriptRemoval::Table(named("shop.a")),
            ScriptRemoval::Table(named("b")),
            ScriptRemoval::Column(named("c"), "x".into()),
            ScriptRemoval::Values(named("c"), vec!["y".into()]),
            ScriptRemoval::Rows(named("d"), "TRUNCATE"),
            ScriptRemoval::Rows(named("e"), "DELETE"),
            ScriptRemoval::Values(named("f"), vec!["g".into(), "h".into()]),
            ScriptRemoval::Schema(named("s")),
        ];
        assert_eq!(effects.taken, expected);
        assert_eq!(effects.unknown, ["a DO block", "SELECT prune()"]);
        assert!(!effects.is_additive());
    }

    #[test]
    fn what_only_adds_is_additive() {
        let adds = "CREATE TABLE a (id int);\nALTER TABLE b ADD COLUMN c text;\nCREATE INDEX ON b (c);\n\
                    COMMENT ON TABLE a IS 'x';\nINSERT INTO a VALUES (1);\nALTER TYPE t ADD VALUE 'x';\n\
                    GRANT SELECT ON a TO PUBLIC;\nSELECT setval('s', 1);\n";
        assert!(Effects::read(adds).is_additive(), "{:?}", Effects::read(adds));
        for changes in [
            "DROP INDEX i;",
            "ALTER TABLE a RENAME TO b;",
            "CREATE OR REPLACE VIEW v AS SELECT 1;",
            "UPDATE a SET b = 1;",
        ] {
            assert!(!Effects::read(changes).is_additive(), "{changes}");
        }
    }
}
