//! The constants that a query writes to a table, as they appear in its text.

use std::collections::BTreeMap;

use migrate_base::sql;
use migrate_review::parse::parse;
use migrate_review::tree::ObjectName;
use migrate_schema::{Id, Kind, Object, Schema};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr, Stmt};

/// What the only statement of a text writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WriteStatement {
    table: ObjectName,
    /// The columns that are named; without a column list, all columns of the table in order.
    columns: Option<Vec<String>>,
    /// The rows, with what the text says about each value.
    rows: Vec<Vec<WriteValue>>,
    /// `INSERT` or `UPDATE`.
    pub(super) event: &'static str,
    /// Whether rows are added that must be new.
    pub(super) adds: bool,
}

/// What a text says about a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WriteValue {
    Constant(String),
    /// `DEFAULT`.
    Default,
    /// Something that is only known at run time.
    Unknown,
}

/// The constants in a row, by column.
pub(super) type ConstantRow = BTreeMap<String, ConstantValue>;

/// A constant that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConstantValue {
    /// Its text.
    pub(super) text: String,
    /// Whether it is the default of the column, and not in the text of the query.
    pub(super) is_default: bool,
}

impl WriteStatement {
    pub(super) fn read(text: &str) -> Option<Self> {
        match parse(text).tree().stmts().next()? {
            Stmt::Insert(it) => Self::inserted(&it),
            Stmt::Update(it) => Self::updated(&it),
            _ => None,
        }
    }

    fn inserted(insert: &ast::Insert) -> Option<Self> {
        let table = named(insert.relation_name_ref()?.syntax())?;
        let columns = match insert.column_target_list() {
            Some(list) => Some(columns(list.syntax())?),
            None => None,
        };
        let rows = match insert.insert_source()? {
            ast::InsertSource::SelectVariant(ast::SelectVariant::Values(values)) => {
                let rows = values.syntax().descendants().filter_map(ast::Row::cast);
                rows.map(|row| row.exprs().map(|value| said(&value)).collect()).collect()
            }
            // The values from a query are unknown, and columns that it does not fill have their defaults.
            ast::InsertSource::SelectVariant(_) => vec![vec![WriteValue::Unknown; columns.as_ref()?.len()]],
            ast::InsertSource::DefaultValues(_) => vec![Vec::new()],
        };
        Some(Self { table, columns, rows, event: "INSERT", adds: insert.on_conflict_clause().is_none() })
    }

    fn updated(update: &ast::Update) -> Option<Self> {
        let table = named(update.relation_name()?.relation_name_ref()?.syntax())?;
        let sets = update.set_clause()?.syntax().descendants().filter_map(ast::SetSingleColumn::cast);
        let set = |one: ast::SetSingleColumn| {
            let text = one.syntax().text().to_string();
            // Otherwise it is a part of a column.
            let is_whole = sql::tokens(&text).get(1) == Some(&"=");
            let column = names(one.syntax()).into_iter().next().filter(|_| is_whole)?;
            let value = one.syntax().children().find_map(ast::SetExpr::cast)?;
            let expr = Expr::cast(value.syntax().clone());
            let expr = expr.or_else(|| value.syntax().children().find_map(Expr::cast));
            // The parser does not treat `DEFAULT` as an expression here.
            let other = if is_default(value.syntax()) { WriteValue::Default } else { WriteValue::Unknown };
            Some((column, expr.as_ref().map_or(other, said)))
        };
        let (columns, row) = sets.filter_map(set).unzip();
        Some(Self { table, columns: Some(columns), rows: vec![row], event: "UPDATE", adds: false })
    }

    /// The table that is written.
    pub(super) fn table<'a>(&self, schema: &'a Schema) -> Option<&'a Object> {
        let of = self.table.schema.as_deref().unwrap_or("public");
        schema.get(&Id::named(Kind::Table, of, &self.table.name)).map(|one| &**one)
    }

    /// The rows that are written.
    pub(super) fn rows(&self, schema: &Schema, table: &Object) -> Vec<ConstantRow> {
        let columns = self.columns.clone().unwrap_or_else(|| {
            let mut all: Vec<_> = schema.children(&table.id, Kind::Column).collect();
            all.sort_by_key(|column| column.position);
            all.into_iter().map(|column| column.id.name.to_string()).collect()
        });
        let default = |column: &str| {
            let text = default(schema, table, column)?;
            Some((column.to_owned(), ConstantValue { text, is_default: true }))
        };
        let row = |values: &Vec<WriteValue>| {
            let value = |(column, said): (&String, &WriteValue)| match said {
                WriteValue::Constant(text) => {
                    Some((column.clone(), ConstantValue { text: text.clone(), is_default: false }))
                }
                WriteValue::Default => default(column),
                WriteValue::Unknown => None,
            };
            let mut row: ConstantRow = columns.iter().zip(values).filter_map(value).collect();
            if self.event == "INSERT" {
                let given = &columns[..values.len().min(columns.len())];
                let all = schema.children(&table.id, Kind::Column).map(|column| &*column.id.name);
                row.extend(all.filter(|name| !given.iter().any(|one| one == name)).filter_map(default));
            }
            row
        };
        self.rows.iter().map(row).collect()
    }
}

/// The default of a column, if it is constant; NULL if there is none.
fn default(schema: &Schema, table: &Object, column: &str) -> Option<String> {
    let column = schema.children(&table.id, Kind::Column).find(|one| *one.id.name == *column)?;
    if ["identity", "generated"].iter().any(|fact| column.fact(fact).is_some()) {
        return None;
    }
    match column.fact("default").or_else(|| domain(schema, column)?.fact("default")) {
        None => Some("NULL".to_owned()),
        Some(text) => {
            parse(&format!("SELECT {text}")).tree().syntax().descendants().find_map(ast::Target::cast).and_then(|one| {
                match said(&one.expr()?) {
                    WriteValue::Constant(text) => Some(text),
                    _ => None,
                }
            })
        }
    }
}

/// The domain of a column.
fn domain<'a>(schema: &'a Schema, column: &Object) -> Option<&'a Object> {
    let ObjectName { schema: of, name } = ObjectName::parse(column.fact("type")?)?;
    let of = of.unwrap_or_else(|| "public".to_owned());
    schema.get(&Id::named(Kind::Domain, &of, &name)).map(|one| &**one)
}

/// Whether a constant is NULL, also with a cast.
pub(super) fn is_null(constant: &str) -> bool {
    let words = sql::tokens(constant);
    let first = words.iter().find(|word| !word.eq_ignore_ascii_case("cast") && **word != "(");
    first.is_some_and(|word| word.eq_ignore_ascii_case("null"))
}

fn named(node: &SyntaxNode) -> Option<ObjectName> {
    ObjectName::parse(&node.text().to_string())
}

/// The columns of a list; `None` if it contains parts of columns.
fn columns(list: &SyntaxNode) -> Option<Vec<String>> {
    let text = list.text().to_string();
    let has_parts = sql::tokens(&text).iter().any(|word| matches!(*word, "." | "["));
    (!has_parts).then(|| names(list))
}

fn names(node: &SyntaxNode) -> Vec<String> {
    let names = node.descendants().filter_map(ast::ColumnNameRef::cast);
    names.filter_map(|name| Some(named(name.syntax())?.name)).collect()
}

fn is_default(node: &SyntaxNode) -> bool {
    node.text().to_string().trim().eq_ignore_ascii_case("default")
}

fn said(expr: &Expr) -> WriteValue {
    match constant(expr) {
        _ if is_default(expr.syntax()) => WriteValue::Default,
        Some(text) => WriteValue::Constant(text),
        None => WriteValue::Unknown,
    }
}

/// The text of a constant: a literal, possibly with a sign or a cast.
fn constant(expr: &Expr) -> Option<String> {
    let text = expr.syntax().text().to_string().trim().to_owned();
    let inner = || expr.syntax().children().find_map(Expr::cast);
    match expr {
        Expr::Literal(_) => (!text.starts_with('$') || text.starts_with("$$")).then_some(text),
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
        let read = |text: &str| {
            WriteStatement::read(text).map(|found| (found.table.name, found.columns, found.rows, found.adds))
        };
        let own = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let value = |one: &str| match one {
            "" => WriteValue::Unknown,
            "DEFAULT" => WriteValue::Default,
            one => WriteValue::Constant(one.to_owned()),
        };
        let row = |all: &[&str]| all.iter().map(|one| value(one)).collect::<Vec<_>>();
        let found = read(
            "INSERT INTO app.t (a, \"B\", c, d, e) VALUES (-1, 'x'::text, $1, now(), DEFAULT), (2, NULL, 3, 4, 5)",
        );
        let rows = vec![row(&["-1", "'x'::text", "", "", "DEFAULT"]), row(&["2", "NULL", "3", "4", "5"])];
        assert_eq!(found, Some(("t".to_owned(), Some(own(&["a", "B", "c", "d", "e"])), rows, true)));
        let found = read("UPDATE t SET a = 0, b = b + 1, c[1] = 2 WHERE id = $1");
        assert_eq!(found, Some(("t".to_owned(), Some(own(&["a", "b"])), vec![row(&["0", ""])], false)));
        let found = read("INSERT INTO t (a) SELECT 1");
        assert_eq!(found, Some(("t".to_owned(), Some(own(&["a"])), vec![row(&[""])], true)));
        let found = read("INSERT INTO t DEFAULT VALUES");
        assert_eq!(found, Some(("t".to_owned(), None, vec![row(&[])], true)));
        assert_eq!(read("INSERT INTO t (a[1]) VALUES (1)"), None);
    }

    #[test]
    fn null_is_null_with_a_cast_as_well() {
        assert!(["NULL", "null::int", "CAST(NULL AS int)", "CAST((NULL) AS int)::text"].into_iter().all(is_null));
        assert!(!["'null'", "0", "CAST('x' AS text)"].into_iter().any(is_null));
    }
}
