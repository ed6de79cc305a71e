//! What a statement reads together: the tables in its FROM, USING and subqueries, and the conditions that their
//! rows must satisfy. Only with the schema is it known which table a column name belongs to.

use migrate_base::ident::ident;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, BinOp, SelectVariant};

use super::changes::changes;
use super::expr::{Expr, ExprForm};
use super::names;
use super::queries::{names_of, query_in, subquery, with};
use super::tree::ExprReader;

/// The maximum nesting depth of queries that are read.
const DEEPEST: usize = 8;

/// Tables that are read together.
#[derive(Debug, Clone, Default)]
pub(super) struct StatementJoin {
    /// Their own names; the first is the table that the statement changes.
    pub(super) tables: Vec<String>,
    levels: Vec<QueryLevel>,
    conditions: Vec<Condition>,
}

/// A query, as the scope of its names.
#[derive(Debug, Clone, Default)]
struct QueryLevel {
    /// The enclosing query.
    around: Option<usize>,
    sources: Vec<JoinSource>,
}

/// An item of a FROM.
#[derive(Debug, Clone)]
struct JoinSource {
    name: String,
    /// Whether its rows may be missing, as in an outer join.
    is_optional: bool,
    rows: SourceRows,
}

#[derive(Debug, Clone)]
enum SourceRows {
    /// Those of a table, by its number.
    Table(usize),
    Query(QueryOutput),
}

/// The output of a query.
#[derive(Debug, Clone)]
struct QueryOutput {
    level: usize,
    /// The columns with their names; `*` has neither.
    columns: Vec<(String, Option<Expr>)>,
}

/// A condition: an expression, or two expressions of different queries with an operator between them.
#[derive(Debug, Clone)]
struct Condition {
    sides: Vec<(usize, Expr)>,
    op: &'static str,
}

impl StatementJoin {
    /// The table that a statement changes, before anything else is known.
    pub(super) fn of(table: String, alias: Option<String>) -> Self {
        let mut joined = Self::default();
        joined.levels.push(QueryLevel::default());
        joined.table(0, table, alias);
        joined
    }

    /// What a query reads whose output is used.
    pub(super) fn of_query(reader: &mut ExprReader, query: &SelectVariant) -> Self {
        let mut joined = Self::default();
        joined.query(reader, None, query);
        joined
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() || self.conditions.is_empty()
    }

    /// The name of the first table in the statement.
    pub(super) fn name(&self) -> &str {
        self.levels.first().and_then(|level| level.sources.first()).map_or("", |source| source.name.as_str())
    }

    /// The same with an additional condition.
    pub(super) fn with(&self, expr: Expr) -> Self {
        let mut joined = self.clone();
        joined.want(0, expr);
        joined
    }

    fn want(&mut self, level: usize, expr: Expr) {
        self.conditions.push(Condition { sides: vec![(level, expr)], op: "" });
    }

    /// The text of each condition.
    pub(super) fn texts(&self) -> Vec<String> {
        self.conditions.iter().map(Condition::text).collect()
    }

    /// The conditions.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Expr> {
        self.conditions.iter().flat_map(|one| &one.sides).map(|(_, expr)| expr)
    }

    fn table(&mut self, level: usize, table: String, alias: Option<String>) {
        let name = alias.unwrap_or_else(|| table.clone());
        self.tables.push(table);
        self.add(level, name, SourceRows::Table(self.tables.len() - 1));
    }

    fn add(&mut self, level: usize, name: String, rows: SourceRows) {
        self.levels[level].sources.push(JoinSource { name, is_optional: false, rows });
    }

    /// Reads the items of a FROM or USING, and their join conditions.
    pub(super) fn from(&mut self, reader: &mut ExprReader, level: usize, clause: &SyntaxNode) {
        for node in clause.children() {
            if let Some(item) = ast::RelationFromItem::cast(node.clone()) {
                self.relation(reader, level, &item);
            } else if let Some(item) = ast::ParenFromItem::cast(node.clone()) {
                self.in_parentheses(reader, level, &item);
            } else if let Some(join) = ast::Join::cast(node.clone()) {
                self.join(reader, level, &join);
            } else if let Some(on) = ast::OnClause::cast(node.clone()) {
                self.conditions(reader, level, on.expr());
            } else if ast::JoinExpr::can_cast(node.kind()) {
                self.from(reader, level, &node);
            }
        }
    }

    fn join(&mut self, reader: &mut ExprReader, level: usize, join: &ast::Join) {
        let before = self.levels[level].sources.len();
        self.from(reader, level, join.syntax());
        let sources = &mut self.levels[level].sources;
        if let Some(ast::JoinType::JoinLeft(_)) = join.join_type() {
            sources[before..].iter_mut().for_each(|one| one.is_optional = true);
        }
        let (Some(ast::JoinCondition::JoinUsingClause(using)), Some(left), Some(right)) =
            (join.join_condition(), sources[..before].last(), sources.get(before))
        else {
            return;
        };
        let (left, right) = (ident(&left.name), ident(&right.name));
        let columns = using.column_ref_list().into_iter().flat_map(|list| list.column_name_refs());
        let same = columns.map(|column| column.syntax().text().to_string());
        let same: Vec<Expr> =
            same.filter_map(|column| Expr::parse(&format!("{left}.{column} = {right}.{column}"))).collect();
        same.into_iter().for_each(|expr| self.want(level, expr));
    }

    fn relation(&mut self, reader: &mut ExprReader, level: usize, item: &ast::RelationFromItem) {
        let Some(path) = item.relation_name_ref().map(|name| name.syntax().text().to_string()) else { return };
        let alias = item.alias();
        let Some(table) = names::words(&path).last() else { return };
        let name = alias.as_ref().and_then(|alias| names::last(alias.name()?.syntax()));
        let Some(with) = with(item.syntax(), &table).filter(|_| !path.contains('.')) else {
            return self.table(level, table, name);
        };
        let query = with.query().and_then(|query| SelectVariant::cast(query.syntax().clone()));
        let output = query.and_then(|query| self.query(reader, None, &query));
        if let Some(output) = output {
            let renamed = alias.and_then(|alias| names_of(alias.syntax())).or_else(|| names_of(with.syntax()));
            self.add(level, name.unwrap_or(table), SourceRows::Query(output.renamed(renamed)));
        }
    }

    fn in_parentheses(&mut self, reader: &mut ExprReader, level: usize, item: &ast::ParenFromItem) {
        let inner = item.paren_expr().map(|paren| paren.syntax().clone());
        let query = [Some(item.syntax()), inner.as_ref()].into_iter().flatten().find_map(query_in);
        match (query, inner) {
            (Some(query), _) => {
                let alias = item.alias();
                let name = alias.as_ref().and_then(|alias| names::last(alias.name()?.syntax())).unwrap_or_default();
                if let Some(output) = self.query(reader, None, &query) {
                    let renamed = alias.and_then(|alias| names_of(alias.syntax()));
                    self.add(level, name, SourceRows::Query(output.renamed(renamed)));
                }
            }
            (None, Some(inner)) => self.from(reader, level, &inner),
            (None, None) => {}
        }
    }

    /// Reads a query; of a UNION or similar, only the first one.
    fn query(&mut self, reader: &mut ExprReader, around: Option<usize>, query: &SelectVariant) -> Option<QueryOutput> {
        let (from, condition, targets) = match query {
            SelectVariant::Select(it) => (it.from_clause(), it.where_clause(), it.select_clause()),
            SelectVariant::SelectInto(it) => (it.from_clause(), it.where_clause(), it.select_clause()),
            SelectVariant::CompoundSelect(it) => return self.query(reader, around, &query_in(it.syntax())?),
            SelectVariant::ParenSelect(it) => return self.query(reader, around, &it.select()?),
            SelectVariant::Values(it) => return Some(self.values(reader, it)),
            SelectVariant::Table(_) => return None,
        };
        if self.levels.len() > DEEPEST {
            return None;
        }
        let level = self.levels.len();
        self.levels.push(QueryLevel { around, sources: Vec::new() });
        from.iter().for_each(|from| self.from(reader, level, from.syntax()));
        self.conditions(reader, level, condition.and_then(|condition| condition.expr()));
        let targets = targets.and_then(|targets| targets.target_list()).into_iter().flat_map(|list| list.targets());
        let columns = targets.map(|target| {
            let expr = target.expr().map(|expr| reader.read(&expr));
            let own = target.as_name().and_then(|name| names::last(name.name()?.syntax()));
            let name = own.or_else(|| expr.as_ref()?.as_column().map(str::to_owned));
            (name.unwrap_or_default(), expr)
        });
        Some(QueryOutput { level, columns: columns.collect() })
    }

    /// The first of several rows of constants.
    fn values(&mut self, reader: &mut ExprReader, values: &ast::Values) -> QueryOutput {
        let row = values.row_list().and_then(|list| list.rows().next());
        let columns = row.into_iter().flat_map(|row| row.exprs()).zip(1..);
        let columns = columns.map(|(expr, n)| (format!("column{n}"), Some(reader.read(&expr)))).collect();
        self.levels.push(QueryLevel::default());
        QueryOutput { level: self.levels.len() - 1, columns }
    }

    /// Adds conditions.
    pub(super) fn conditions(&mut self, reader: &mut ExprReader, level: usize, expr: Option<ast::Expr>) {
        match expr {
            Some(ast::Expr::ParenExpr(it)) if it.expr().is_some() => self.conditions(reader, level, it.expr()),
            Some(ast::Expr::BinExpr(it)) if matches!(it.op(), Some(BinOp::And(_))) => {
                self.conditions(reader, level, it.lhs());
                self.conditions(reader, level, it.rhs());
            }
            Some(ast::Expr::BinExpr(it)) if matches!(it.op(), Some(BinOp::In(_) | BinOp::Eq(_))) => {
                let sides = [(it.lhs(), it.rhs()), (it.rhs(), it.lhs())];
                let found = sides.into_iter().find_map(|(left, right)| Some((left?, subquery(&right?)?)));
                match found {
                    Some((left, query)) => {
                        let left: Vec<ast::Expr> = match left {
                            ast::Expr::TupleExpr(tuple) => tuple.exprs().collect(),
                            one => vec![one],
                        };
                        let left = left.iter().map(|one| reader.read(one)).enumerate().collect();
                        self.link(reader, level, left, "=", &query);
                    }
                    None => self.plain(reader, level, &ast::Expr::BinExpr(it)),
                }
            }
            Some(ast::Expr::CallExpr(it)) if it.exists_fn().is_some() => {
                let query = it.exists_fn().and_then(|exists| exists.select_variant());
                query.iter().for_each(|query| drop(self.query(reader, Some(level), query)));
            }
            Some(expr) => self.plain(reader, level, &expr),
            None => {}
        }
    }

    /// A condition without a subquery, or with one that must return no row.
    fn plain(&mut self, reader: &mut ExprReader, level: usize, expr: &ast::Expr) {
        let expr = reader.read(expr);
        // In an anti-join (`IS NULL` on a joined column), the joined table must have no matching row.
        if let ExprForm::IsNull(inner) = expr.form()
            && let Some(name) = inner.qualifier()
        {
            let sources = &mut self.levels[level].sources;
            let all = sources.len();
            sources.retain(|one| !(one.is_optional && one.name == name));
            if sources.len() < all {
                return;
            }
        }
        let wanted = if is_other(&expr) { changes(&expr) } else { vec![expr] };
        wanted.into_iter().for_each(|expr| self.want(level, expr));
    }

    /// Adds a comparison of values in a query with the columns, by number, that another query returns.
    pub(super) fn link(
        &mut self,
        reader: &mut ExprReader,
        level: usize,
        left: Vec<(usize, Expr)>,
        op: &'static str,
        query: &SelectVariant,
    ) {
        let Some(output) = self.query(reader, Some(level), query) else { return };
        for (place, left) in left {
            let Some((_, Some(right))) = output.columns.get(place).cloned() else { continue };
            // The minimum is one of the values.
            let right = match right.bare().form() {
                ExprForm::Call(name, of) if matches!((name.as_str(), of.len()), ("min" | "max", 1)) => of[0].clone(),
                _ => right,
            };
            if !right.leaves().is_empty() {
                self.conditions.push(Condition { sides: vec![(level, left), (output.level, right)], op });
            }
        }
    }

    /// The conditions with the number of its table before each column, `"#0".a`; those that cannot be resolved
    /// are left out.
    pub(super) fn bound(&self, has: &dyn Fn(usize, &str) -> bool) -> Vec<Expr> {
        let side = |(level, expr): &(usize, Expr)| {
            let meant = |leaf: &Expr| self.meant(*level, leaf.qualifier().as_deref(), leaf.as_column()?, has);
            // A name that no known table has may belong to a table that is created later, or be a variable.
            if expr.leaves().into_iter().any(|leaf| meant(leaf).is_none() && leaf.qualifier().is_some()) {
                return None;
            }
            expr.replaced(&meant).map(|expr| expr.text().to_owned())
        };
        let bound = |condition: &Condition| {
            let sides = condition.sides.iter().map(side).collect::<Option<Vec<String>>>()?;
            Expr::parse(&sides.join(&format!(" {} ", condition.op)))
        };
        self.conditions.iter().filter_map(bound).collect()
    }

    /// The meaning of a name in a query: the column of a table, or the constant that a query returns.
    fn meant(
        &self,
        level: usize,
        qualifier: Option<&str>,
        name: &str,
        has: &dyn Fn(usize, &str) -> bool,
    ) -> Option<String> {
        let own = &self.levels[level];
        let named = own.sources.iter().filter(|one| qualifier.is_none_or(|qualifier| one.name == qualifier));
        let found = named.into_iter().find_map(|source| match &source.rows {
            SourceRows::Table(table) => has(*table, name).then(|| numbered(*table, name)),
            SourceRows::Query(output) => output.columns.iter().find_map(|(known, expr)| match expr {
                Some(expr) if known == name => match expr.as_column() {
                    Some(column) => self.meant(output.level, expr.qualifier().as_deref(), column, has),
                    None => expr.leaves().is_empty().then(|| format!("({})", expr.text())),
                },
                Some(_) => None,
                None => self.meant(output.level, None, name, has),
            }),
        });
        found.or_else(|| self.meant(own.around?, qualifier, name, has))
    }
}

impl QueryOutput {
    fn renamed(mut self, names: Option<Vec<String>>) -> Self {
        self.columns.iter_mut().zip(names.unwrap_or_default()).for_each(|((own, _), name)| *own = name);
        self
    }
}

impl Condition {
    fn text(&self) -> String {
        let sides: Vec<&str> = self.sides.iter().map(|(_, expr)| expr.text()).collect();
        sides.join(&format!(" {} ", self.op))
    }
}

/// Whether a value must differ from an expression of itself: `a <> lower(a)`.
fn is_other(side: &Expr) -> bool {
    let ExprForm::Op(op, sides) = side.form() else { return false };
    let [left, right] = sides.as_slice() else { return false };
    let is_made = |value: &Expr, other: &Expr| {
        value.as_column().is_some_and(|column| other.as_column().is_none() && other.mentions(column))
    };
    (op == "<>" || op == "!=") && (is_made(left, right) || is_made(right, left))
}

/// The name of a column in conditions, for the table with this number.
pub(super) fn numbered(table: usize, column: &str) -> String {
    format!("\"#{table}\".{}", ident(column))
}

/// The number of the table in a column name of a bound condition.
pub(super) fn number(leaf: &Expr) -> Option<usize> {
    leaf.qualifier()?.strip_prefix('#')?.parse().ok()
}
