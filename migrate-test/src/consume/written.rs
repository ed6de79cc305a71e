//! The constants that a query writes to a table, as they stand in its text.

use std::collections::BTreeMap;

use migrate_core::lint::Named;
use migrate_core::schema::{Id, Kind, Object, Schema};
use migrate_core::sql::{self, parse};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr, Stmt};

/// What the one statement of a text writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    table: Named,
    /// The columns that are named; without any they are those of the table, in their order.
    columns: Option<Vec<String>>,
    /// The rows, with what is constant in them.
    rows: Vec<Vec<Option<String>>>,
    /// `INSERT` or `UPDATE`.
    pub(super) event: &'static str,
    /// Whether rows are added that must be new.
    pub(super) adds: bool,
}

/// What is constant in a row, by columns.
pub(super) type Row = BTreeMap<String, String>;

impl Written {
    pub(super) fn read(text: &str) -> Option<Self> {
        match parse(text).tree().stmts().next()? {
            Stmt::Insert(it) => Self::inserted(&it),
            Stmt::Update(it) => Self::updated(&it),
            _ => None,
        }
    }

    fn inserted(insert: &ast::Insert) -> Option<Self> {
        let table = named(insert.relation_name_ref()?.syntax())?;
        let ast::InsertSource::SelectVariant(ast::SelectVariant::Values(values)) = insert.insert_source()? else {
            return None;
        };
        let columns = match insert.column_target_list() {
            Some(list) => Some(columns(list.syntax())?),
            None => None,
        };
        let rows = values.syntax().descendants().filter_map(ast::Row::cast);
        let rows = rows.map(|row| row.exprs().map(|value| constant(&value)).collect()).collect();
        Some(Self { table, columns, rows, event: "INSERT", adds: insert.on_conflict_clause().is_none() })
    }

    fn updated(update: &ast::Update) -> Option<Self> {
        let table = named(update.relation_name()?.relation_name_ref()?.syntax())?;
        let sets = update.set_clause()?.syntax().descendants().filter_map(ast::SetSingleColumn::cast);
        let set = |one: ast::SetSingleColumn| {
            let text = one.syntax().text().to_string();
            // Else it is a part of a column.
            let is_whole = sql::words(&text).get(1) == Some(&"=");
            let column = names(one.syntax()).into_iter().next().filter(|_| is_whole)?;
            let value = one.syntax().children().find_map(ast::SetExpr::cast)?;
            let expr = Expr::cast(value.syntax().clone());
            Some((column, expr.or_else(|| value.syntax().children().find_map(Expr::cast)).as_ref().and_then(constant)))
        };
        let (columns, row) = sets.filter_map(set).unzip();
        Some(Self { table, columns: Some(columns), rows: vec![row], event: "UPDATE", adds: false })
    }

    /// The table that is written to.
    pub(super) fn table<'a>(&self, schema: &'a Schema) -> Option<&'a Object> {
        let of = self.table.schema.as_deref().unwrap_or("public");
        schema.get(&Id::named(Kind::Table, of, &self.table.name)).map(|one| &**one)
    }

    /// The rows that are written.
    pub(super) fn rows(&self, schema: &Schema, table: &Object) -> Vec<Row> {
        let columns = self.columns.clone().unwrap_or_else(|| {
            let mut all: Vec<_> = schema.children(&table.id, Kind::Column).collect();
            all.sort_by_key(|column| column.position);
            all.into_iter().map(|column| column.id.name.to_string()).collect()
        });
        let row = |values: &Vec<Option<String>>| {
            let known = columns.iter().zip(values).filter_map(|(column, value)| Some((column.clone(), value.clone()?)));
            known.collect()
        };
        self.rows.iter().map(row).collect()
    }
}

/// Whether a constant is NULL, also one with a cast.
pub(super) fn is_null(constant: &str) -> bool {
    let words = sql::words(constant);
    let first = words.iter().find(|word| !word.eq_ignore_ascii_case("cast") && **word != "(");
    first.is_some_and(|word| word.eq_ignore_ascii_case("null"))
}

fn named(node: &SyntaxNode) -> Option<Named> {
    Named::parse(&node.text().to_string())
}

/// The columns of a list; nothing for one with parts of columns.
fn columns(list: &SyntaxNode) -> Option<Vec<String>> {
    let text = list.text().to_string();
    let has_parts = sql::words(&text).iter().any(|word| matches!(*word, "." | "["));
    (!has_parts).then(|| names(list))
}

fn names(node: &SyntaxNode) -> Vec<String> {
    let names = node.descendants().filter_map(ast::ColumnNameRef::cast);
    names.filter_map(|name| Some(named(name.syntax())?.name)).collect()
}

/// The text of a constant: a literal, with a sign or a cast.
fn constant(expr: &Expr) -> Option<String> {
    let text = expr.syntax().text().to_string().trim().to_owned();
    let inner = || expr.syntax().children().find_map(Expr::cast);
    match expr {
        Expr::Literal(_) => {
            (!text.starts_with('$') || text.starts_with("$$")).then_some(())?;
            (!text.eq_ignore_ascii_case("default")).then_some(text)
        }
        Expr::ParenExpr(_) => constant(&inner()?),
        Expr::PrefixExpr(_) if text.starts_with(['-', '+']) => constant(&inner()?).map(|_| text),
        Expr::CastExpr(_) => constant(&inner()?).map(|_| text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read_as_they_are_written() {
        let read =
            |text: &str| Written::read(text).map(|found| (found.table.name, found.columns, found.rows, found.adds));
        let own = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let row = |all: &[&str]| all.iter().map(|one| (!one.is_empty()).then(|| (*one).to_owned())).collect::<Vec<_>>();
        let found = read(
            "INSERT INTO app.t (a, \"B\", c, d, e) VALUES (-1, 'x'::text, $1, now(), DEFAULT), (2, NULL, 3, 4, 5)",
        );
        let rows = vec![row(&["-1", "'x'::text", "", "", ""]), row(&["2", "NULL", "3", "4", "5"])];
        assert_eq!(found, Some(("t".to_owned(), Some(own(&["a", "B", "c", "d", "e"])), rows, true)));
        let found = read("UPDATE t SET a = 0, b = b + 1, c[1] = 2 WHERE id = $1");
        assert_eq!(found, Some(("t".to_owned(), Some(own(&["a", "b"])), vec![row(&["0", ""])], false)));
        assert_eq!(read("INSERT INTO t (a) SELECT 1"), None);
        assert_eq!(read("INSERT INTO t (a[1]) VALUES (1)"), None);
    }

    #[test]
    fn null_is_null_with_a_cast_as_well() {
        assert!(["NULL", "null::int", "CAST(NULL AS int)", "CAST((NULL) AS int)::text"].into_iter().all(is_null));
        assert!(!["'null'", "0", "CAST('x' AS text)"].into_iter().any(is_null));
    }
}
