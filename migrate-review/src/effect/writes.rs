//! Which values of rows a script writes, judging by its statements: what may have filled a column, or changed its
//! values.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::catalog_name;
use migrate_base::sql::lex::words;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Stmt};

use super::calls;
use crate::parse::parse;
use crate::tree::{ObjectName, unfold};
use crate::tree::{named, relation_names};

/// What a script does to rows.
#[derive(Debug, Clone, Default)]
pub struct ScriptWrites {
    /// The columns that get values; `None` for a column means that whole rows are removed.
    values: BTreeSet<(ObjectName, Option<String>)>,
    /// The functions and procedures that are called.
    called: BTreeSet<String>,
    /// What the routines defined in the script do.
    routines: BTreeMap<String, ScriptWrites>,
    /// Whether it reads or writes rows at all.
    of_rows: bool,
    /// Whether it runs something that is not in the text.
    unread: bool,
}

impl ScriptWrites {
    /// Reads a script, or the definition of a routine.
    pub fn of(text: &str) -> Self {
        let unfolded = unfold(text);
        let file = parse(&unfolded.text);
        let unread = !unfolded.unread.is_empty();
        // A statement that cannot be read may do anything.
        let mut writes = Self { unread, of_rows: unread || !file.errors().is_empty(), ..Self::default() };
        file.tree().stmts().for_each(|stmt| writes.take(&stmt));
        writes
    }

    /// Reads the routines that are called and defined elsewhere; `definition` returns the statement that creates a
    /// routine.
    pub fn resolve(&mut self, definition: &dyn Fn(&str) -> Option<String>) {
        let mut open: Vec<String> = self.called.iter().cloned().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let own = self.routines.get(&name).cloned();
            let body = own.or_else(|| Self::of(&definition(&name)?).routines.remove(&name));
            let Some(body) = body else { continue };
            open.extend(body.called);
            self.values.extend(body.values);
            self.unread |= body.unread;
        }
    }

    /// Whether a column may have got values, or the rows with NULL in it may be gone.
    pub fn may_fill(&self, schema: &str, table: &str, column: &str) -> bool {
        let is_table = |one: &ObjectName| one.name == table && one.schema.as_deref().is_none_or(|own| own == schema);
        let is_column = |one: &Option<String>| one.as_deref().is_none_or(|own| own == column);
        self.unread || self.values.iter().any(|(one, written)| is_table(one) && is_column(written))
    }

    /// Whether the script reads or writes rows, and not only the schema.
    pub fn is_of_rows(&self) -> bool {
        self.of_rows
    }

    /// Whether the script runs something that is not in the text: then it may do anything.
    pub fn is_unread(&self) -> bool {
        self.unread
    }

    fn take(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::CreateFunction(it) => return self.routine(it.name(), it.syntax(), it.plpgsql().is_some()),
            Stmt::CreateProcedure(it) => return self.routine(it.name(), it.syntax(), it.plpgsql().is_some()),
            Stmt::AlterTable(it) => {
                let Some(table) = relation_names(stmt).next() else { return };
                self.values.extend(it.actions().filter_map(|action| Some((table.clone(), Some(converted(&action)?)))));
            }
            Stmt::Truncate(_) => {
                self.of_rows = true;
                self.values.extend(relation_names(stmt).map(|table| (table, None)));
            }
            Stmt::Copy(_) | Stmt::Call(_) | Stmt::Execute(_) => self.of_rows = true,
            Stmt::Select(it) => self.of_rows |= calls(it),
            _ => {}
        }
        for node in stmt.syntax().descendants() {
            self.look(&node);
        }
        let runs = matches!(
            stmt,
            Stmt::Select(_) | Stmt::Insert(_) | Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) | Stmt::Call(_)
        );
        if runs {
            let called = stmt.syntax().descendants().filter_map(ast::CallExpr::cast);
            let name = |call: ast::CallExpr| last_name(&call.syntax().text().to_string());
            self.called.extend(called.filter_map(name));
            if let Stmt::Call(it) = stmt {
                let text = it.syntax().text().to_string();
                self.called.extend(text.trim_start().get(4..).and_then(last_name));
            }
        }
    }

    /// A statement that changes rows, anywhere: also in the WITH of another statement.
    fn look(&mut self, node: &SyntaxNode) {
        let (table, columns, whole) = if let Some(it) = ast::Update::cast(node.clone()) {
            (it.relation_name().and_then(|name| named(&name.relation_name_ref()?)), columns(node), false)
        } else if let Some(it) = ast::Delete::cast(node.clone()) {
            (it.relation_name().and_then(|name| named(&name.relation_name_ref()?)), Vec::new(), true)
        } else if let Some(it) = ast::Insert::cast(node.clone()) {
            (it.relation_name_ref().and_then(|name| named(&name)), columns(node), false)
        } else if let Some(it) = ast::Merge::cast(node.clone()) {
            (it.table_relation_name().and_then(|name| named(&name.table_name_ref()?)), columns(node), true)
        } else {
            return;
        };
        self.of_rows = true;
        let Some(table) = table else { return };
        self.values.extend(columns.into_iter().map(|column| (table.clone(), Some(column))));
        self.values.extend(whole.then_some((table, None)));
    }

    fn routine(&mut self, name: Option<impl AstNode>, node: &SyntaxNode, is_plpgsql: bool) {
        let Some(name) = name.and_then(|name| last_name(&name.syntax().text().to_string())) else { return };
        let literals = node.descendants().filter_map(ast::Literal::cast);
        let mut body = Self::default();
        for literal in literals {
            let text = match is_plpgsql {
                true => Some(format!("DO {};", literal.syntax().text())),
                false => literal.string_value(),
            };
            let Some(read) = text.map(|text| Self::of(&text)) else { continue };
            body.values.extend(read.values);
            body.called.extend(read.called);
            body.unread |= read.unread && is_plpgsql;
        }
        self.routines.insert(name, body);
    }
}

/// The columns that the SET clauses of a statement write.
fn columns(node: &SyntaxNode) -> Vec<String> {
    let clauses = node.descendants().filter_map(ast::SetClause::cast);
    let names =
        clauses.flat_map(|it| it.syntax().descendants().filter_map(ast::ColumnNameRef::cast).collect::<Vec<_>>());
    names.filter_map(|name| Some(named(&name)?.name)).collect()
}

/// The column whose values are converted: `ALTER COLUMN a TYPE text USING coalesce(a, '')`.
fn converted(action: &AlterTableAction) -> Option<String> {
    let AlterTableAction::AlterColumn(it) = action else { return None };
    matches!(it.option(), Some(AlterColumnOption::SetType(_))).then_some(())?;
    Some(named(&it.column_name_ref()?)?.name)
}

/// The last part of a name with everything after it: `fill` of `app.fill(1)`.
pub(super) fn last_name(text: &str) -> Option<String> {
    catalog_name(text.split('(').next()?.trim().rsplit('.').next()?.trim())
}

/// Whether a statement changes selected rows, or copies rows: UPDATE, DELETE, MERGE, INSERT from a query, or CREATE
/// TABLE … AS.
pub fn changes_rows(statement: &str) -> bool {
    let file = parse(statement);
    file.tree().stmts().next().is_some_and(|stmt| match stmt {
        Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) => true,
        Stmt::Insert(it) => it.syntax().descendants().any(|node| ast::Select::can_cast(node.kind())),
        Stmt::CreateTableAs(it) => {
            let is_empty = matches!(it.data_option(), Some(ast::DataOption::WithNoData(_)));
            !is_empty && it.syntax().descendants().any(|node| ast::FromClause::can_cast(node.kind()))
        }
        _ => false,
    })
}

/// The names in a script: of tables, columns and everything else, including those in the blocks that it runs.
pub fn names(text: &str) -> BTreeSet<String> {
    let unfolded = unfold(text).text;
    // For a function that the script creates and runs, only its statements are unfolded.
    let of = |text: &str| words(text).filter_map(|(_, place)| catalog_name(&text[place])).collect::<BTreeSet<_>>();
    of(&unfolded).into_iter().chain(of(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fills(text: &str, column: &str) -> bool {
        let mut writes = ScriptWrites::of(text);
        let body = "CREATE FUNCTION fill() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET a = 1; END $$;";
        writes.resolve(&|name| (name == "fill").then(|| body.to_owned()));
        writes.may_fill("public", "t", column)
    }

    #[test]
    fn what_fills_a_column_is_read_from_statements() {
        for fills_a in [
            "UPDATE t SET a = 1 WHERE a IS NULL;",
            "UPDATE public.t SET (b, \"a\") = (SELECT 1, 2);",
            "WITH gone AS (UPDATE t SET a = 0 RETURNING 1) SELECT count(*) FROM gone;",
            "INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = excluded.a;",
            "MERGE INTO t USING u ON u.id = t.id WHEN MATCHED THEN UPDATE SET a = 1;",
            "DELETE FROM t WHERE a IS NULL;",
            "TRUNCATE t;",
            "ALTER TABLE t ALTER COLUMN a TYPE text USING coalesce(a, '');",
            "DO $$ BEGIN UPDATE t SET a = 1; END $$;",
            "DO $$ BEGIN EXECUTE 'UPDATE t SET a = 1'; END $$;",
            "DO $$ DECLARE x text; BEGIN EXECUTE x; END $$;",
            "SELECT fill();",
            "DO $$ BEGIN PERFORM fill(); END $$;",
            "CREATE PROCEDURE own() LANGUAGE sql AS 'UPDATE t SET a = 1'; CALL own();",
        ] {
            assert!(fills(fills_a, "a"), "{fills_a}");
        }
        for leaves in [
            "-- UPDATE t SET a = 1\nUPDATE t SET b = a;",
            "UPDATE u SET a = (SELECT a FROM t);",
            "UPDATE other.t SET a = 1;",
            "INSERT INTO t (a) SELECT a FROM u;",
            "SELECT a FROM t;",
            "DO $$ BEGIN RAISE NOTICE 'UPDATE t SET a = 1'; END $$;",
            "CREATE FUNCTION own() RETURNS void LANGUAGE sql AS 'UPDATE t SET a = 1';",
            "ALTER TABLE t ADD COLUMN a int;",
        ] {
            assert!(!fills(leaves, "a"), "{leaves}");
        }
    }

    #[test]
    fn whether_rows_are_touched_is_read_from_statements() {
        for touches in
            ["INSERT INTO t VALUES (1);", "SELECT fill();", "DO $$ BEGIN DELETE FROM t; END $$;", "CALL p();"]
        {
            assert!(ScriptWrites::of(touches).is_of_rows(), "{touches}");
        }
        for leaves in [
            "CREATE TABLE t (a int);",
            "SELECT 1;",
            "DO $$ BEGIN CREATE TYPE e AS ENUM ('a'); END $$;",
            "SELECT setval('s', 3);",
        ] {
            assert!(!ScriptWrites::of(leaves).is_of_rows(), "{leaves}");
        }
    }

    #[test]
    fn what_is_too_deep_to_be_parsed_may_do_anything() {
        let deep = format!("UPDATE t SET a = 1 WHERE {};", vec!["id = 1"; 6000].join(" OR "));
        assert!(ScriptWrites::of(&deep).is_of_rows() && fills(&deep, "a"));
    }

    #[test]
    fn names_are_those_of_the_catalog() {
        let names = names("INSERT INTO \"Users\" SELECT 'no' FROM Posts; DO $$ BEGIN DELETE FROM gone; END $$; -- not");
        assert!(["Users", "posts", "gone"].iter().all(|name| names.contains(*name)), "{names:?}");
        assert!(!names.contains("no") && !names.contains("not"), "{names:?}");
    }
}
