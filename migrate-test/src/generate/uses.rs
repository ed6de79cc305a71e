//! How scripts and definitions use the values of columns: the types that they cast them to, and the paths that
//! they follow into documents. Columns are identified only by name: a value that fits where it need not does no
//! harm.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::catalog_name;
use migrate_review::parse::parse;
use migrate_schema::{Id, Kind, Object, Schema};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use super::aims::{self, TargetRows};
use super::constants::{self, ColumnConstant};
use super::expr::{Expr, ExprForm};
use super::formats;
use super::json::{JsonPath, JsonRequirement, JsonShape, path, within};
use super::names;
use super::queries::names_of;
use super::reading::{self, TextReading, source};
use super::spec::{ForeignKey, lineage};
use super::tree::ExprReader;
use crate::rows::{TableName, holders, table_name};

/// How many patterns are tried.
const MOST_PATTERNS: usize = 20;

/// The maximum length of a text that is remembered.
pub(super) const LONGEST: usize = 40;

/// The uses of columns, by column name.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnUses {
    columns: BTreeMap<String, JsonShape>,
    /// The types that columns themselves are cast to.
    casts: BTreeMap<String, TextReading>,
    /// Short texts in the bodies of functions, which they compare with.
    words: BTreeSet<String>,
    /// The patterns that functions search for in texts.
    patterns: BTreeSet<String>,
    /// The constants that columns are compared with, or that are written into them.
    constants: BTreeMap<String, BTreeSet<String>>,
    /// The same from definitions, which have less weight.
    defined: BTreeMap<String, BTreeSet<String>>,
    /// The rows that statements select and change.
    aims: Vec<TargetRows>,
}

impl ColumnUses {
    /// Reads a script or a definition.
    pub(crate) fn of(sql: &str) -> Self {
        let mut uses = Self::default();
        uses.learn(sql);
        uses
    }

    /// Reads the scripts of a migration. If the down script deletes from a table that the up script inserts
    /// into, it deletes what the up script added: its constants are not values of rows that existed before.
    pub(crate) fn of_scripts(up: &str, down: &str) -> Self {
        let mut uses = Self::of(up);
        let table = |name: &SyntaxNode| name.text().to_string().trim().to_lowercase();
        let up = parse(up);
        let inserts = up.tree().syntax().descendants().filter_map(ast::Insert::cast);
        let brought: BTreeSet<String> =
            inserts.filter_map(|insert| Some(table(insert.relation_name_ref()?.syntax()))).collect();
        let kept = parse(down).tree().stmts().filter(|stmt| match stmt {
            ast::Stmt::Delete(it) => {
                let name = it.relation_name().and_then(|name| name.relation_name_ref());
                name.is_none_or(|name| !brought.contains(&table(name.syntax())))
            }
            _ => true,
        });
        let down: String = kept.map(|stmt| format!("{};\n", stmt.syntax().text())).collect();
        uses.extend(Self::of(&down), true);
        uses
    }

    fn learn(&mut self, sql: &str) {
        let file = parse(sql);
        self.look_all(file.tree().syntax());
        self.take(constants::written(file.tree().syntax()));
        self.aims.extend(aims::aims(file.tree().syntax()));
        for altered in file.tree().syntax().descendants().filter_map(ast::AlterColumn::cast) {
            self.narrowed(&altered);
        }
        for stmt in file.tree().stmts() {
            // The bodies of functions are string literals.
            if let ast::Stmt::CreateFunction(_) | ast::Stmt::CreateProcedure(_) | ast::Stmt::Do(_) = stmt {
                let literals = stmt.syntax().descendants().filter_map(ast::Literal::cast);
                literals.filter_map(|literal| literal.string_value()).for_each(|body| self.learn_body(&body));
            }
        }
    }

    /// A column whose new type holds less: `TYPE varchar(3)`.
    fn narrowed(&mut self, altered: &ast::AlterColumn) {
        let Some(ast::AlterColumnOption::SetType(set)) = altered.option() else { return };
        let name = altered.column_name_ref().and_then(|name| catalog_name(name.syntax().text().to_string().trim()));
        let to = set.ty().filter(|ty| ty.arg_list().is_some()).map(|ty| ty.syntax().text().to_string());
        if let (Some(name), Some(to)) = (name, to) {
            self.casts.entry(name).or_insert(TextReading::Type(to));
        }
    }

    /// Reads the expressions of a function body, as far as it is SQL.
    fn learn_body(&mut self, body: &str) {
        let file = parse(body);
        let literals = file.tree().syntax().descendants().filter_map(ast::Literal::cast);
        self.words.extend(literals.filter_map(|one| one.string_value()).filter(|text| text.len() <= LONGEST));
        self.look_all(file.tree().syntax());
        self.take(constants::written(file.tree().syntax()));
        self.aims.extend(aims::aims(file.tree().syntax()));
    }

    /// Examines every expression of a file.
    fn look_all(&mut self, root: &SyntaxNode) {
        let mut reader = ExprReader::new(root);
        for expr in root.descendants().filter_map(ast::Expr::cast).filter_map(|expr| reader.next(&expr)) {
            let mut open = vec![&expr];
            while let Some(expr) = open.pop() {
                self.look(expr);
                open.extend(expr.parts());
            }
        }
        for item in root.descendants().filter_map(ast::FunctionFromItem::cast) {
            if let Some((path, to)) = self.read_by(&item) {
                self.cast(Some(path), Some(to.want()), to);
            }
        }
    }

    /// How a table function parses its argument follows from how its rows are used:
    /// `FROM unnest(string_to_array(a, ',')) AS one`.
    fn read_by(&self, item: &ast::FunctionFromItem) -> Option<(JsonPath, TextReading)> {
        let alias = item.alias()?;
        let name = match names_of(alias.syntax()) {
            Some(columns) => columns.into_iter().next()?,
            None => names::last(alias.name()?.syntax())?,
        };
        let call = Expr::parse(&item.call_expr()?.syntax().text().to_string())?;
        reading::read(&call, self.casts.get(&name)?.clone())
    }

    /// Examines only this expression; nested ones are examined separately.
    pub(super) fn look(&mut self, expr: &Expr) {
        self.take(constants::compared(expr));
        match expr.form() {
            ExprForm::Cast(inner, to) => {
                // A cast to a text type says nothing.
                let is_text = matches!(to.trim(), "text" | "varchar" | "character varying");
                match reading::read(inner, TextReading::of(to)).filter(|_| !is_text) {
                    Some((path, to)) => self.cast(Some(path), Some(to.want()), to),
                    None => self.ask(path(source(inner)), None),
                }
            }
            ExprForm::Op(op, _) if matches!(op.as_str(), "->" | "->>" | "#>" | "#>>") => self.ask(path(expr), None),
            ExprForm::Op(op, sides) if op == "#-" && sides.len() == 2 => {
                self.ask(path(&sides[0]).and_then(|at| within(at, &sides[1])), None);
            }
            ExprForm::Op(op, sides) if op == "?" && sides.len() == 2 => {
                if let (Some((column, mut steps)), Some(key)) = (path(&sides[0]), sides[1].as_constant()) {
                    steps.push(Some(key));
                    self.ask(Some((column, steps)), None);
                }
            }
            // A key that is removed from a document.
            ExprForm::Op(op, sides)
                if op == "-" && sides.len() == 2 && matches!(sides[1].bare().form(), ExprForm::Text(_)) =>
            {
                if let (Some((column, mut steps)), Some(key)) = (path(&sides[0]), sides[1].as_constant()) {
                    steps.push(Some(key));
                    self.ask(Some((column, steps)), None);
                }
            }
            ExprForm::Op(op, sides) if matches!(op.as_str(), "~" | "~*") => {
                self.patterns.extend(sides.get(1).and_then(Expr::as_constant));
            }
            ExprForm::Call(name, arguments) if name == "regexp_match" || name == "regexp_matches" => {
                self.patterns.extend(arguments.get(1).and_then(Expr::as_constant));
            }
            ExprForm::Call(name, arguments) if formats::are_read_by(name) => {
                let format = arguments.get(1).and_then(Expr::as_constant);
                let to = format.map(|format| TextReading::by_format(name, &format));
                let read = to.zip(arguments.first()).and_then(|(to, text)| reading::read(text, to));
                if let Some((path, to)) = read {
                    self.cast(Some(path), Some(to.want()), to);
                }
            }
            ExprForm::Call(name, arguments) => {
                let Some(first) = arguments.first().and_then(path) else { return };
                match name.as_str() {
                    "jsonb_set" | "jsonb_set_lax" | "jsonb_insert" if is_constant(arguments.get(1)) => {
                        self.ask(arguments.get(1).and_then(|steps| within(first, steps)), None);
                    }
                    name if name.contains("json") && name.contains("_extract_path") => self.ask(path(expr), None),
                    name if !name.starts_with("json") => {}
                    name if name.contains("array_") => self.ask(Some(first), Some(JsonRequirement::Array)),
                    name if ["_each", "_object_keys", "_to_record", "_populate_record", "_set", "_insert"]
                        .iter()
                        .any(|end| name.contains(end)) =>
                    {
                        self.ask(Some(first), Some(JsonRequirement::Object));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, constants: Vec<ColumnConstant>) {
        for (column, constant) in constants {
            self.constants.entry(column).or_default().insert(constant);
        }
    }

    fn ask(&mut self, path: Option<JsonPath>, want: Option<JsonRequirement>) {
        if let Some((column, steps)) = path {
            self.columns.entry(column).or_default().ask(&steps, want);
        }
    }

    fn cast(&mut self, path: Option<JsonPath>, want: Option<JsonRequirement>, to: TextReading) {
        match path {
            Some((column, steps)) if steps.is_empty() && want.is_some() => match self.casts.entry(column) {
                Entry::Vacant(free) => drop(free.insert(to)),
                Entry::Occupied(known) => known.into_mut().take(to),
            },
            path => self.ask(path, want),
        }
    }

    /// The same, as uses by definitions rather than scripts.
    pub(crate) fn defined(self) -> Self {
        Self { constants: BTreeMap::new(), aims: Vec::new(), defined: self.constants, ..self }
    }

    /// Adds the uses of another value; casts only if values have to satisfy them.
    pub(crate) fn extend(&mut self, other: Self, casts: bool) {
        for (name, shape) in other.columns {
            self.columns.entry(name).or_insert(shape);
        }
        self.words.extend(other.words);
        self.patterns.extend(other.patterns);
        self.aims.extend(other.aims);
        for (own, other) in [(&mut self.constants, other.constants), (&mut self.defined, other.defined)] {
            for (name, constants) in other {
                own.entry(name).or_default().extend(constants);
            }
        }
        for (name, to) in other.casts.into_iter().filter(|_| casts) {
            self.casts.entry(name).or_insert(to);
        }
    }

    /// Whether values are parsed in a way that not all of them allow.
    pub(crate) fn is_empty(&self) -> bool {
        self.casts.is_empty() && self.columns.is_empty()
    }

    /// Whether a column of a table has a name whose values are parsed.
    pub(crate) fn is_about(&self, schema: &Schema, table: &TableName) -> bool {
        let is_read = |name: &str| self.casts.contains_key(name) || self.columns.contains_key(name);
        let id = Id::named(Kind::Table, &table.0, &table.1);
        schema.children(&id, Kind::Column).any(|one| is_read(&one.id.name))
    }

    /// The columns of tables that are compared with constants, by their names.
    pub(crate) fn compared(&self, schema: &Schema) -> Vec<(TableName, &str, &BTreeSet<String>)> {
        if self.constants.is_empty() {
            return Vec::new();
        }
        let columns = schema.objects().filter(|one| one.id.kind == Kind::Column);
        let named = columns.filter_map(|one| {
            let (name, constants) = self.constants.get_key_value(&*one.id.name)?;
            Some(((one.id.schema.to_string(), one.id.parent.to_string()), name.as_str(), constants))
        });
        named.filter(|(_, _, constants)| !constants.is_empty()).collect()
    }

    /// The constants that a column is compared with, or that are written into it.
    pub(super) fn constants(&self, column: &str) -> Option<&BTreeSet<String>> {
        self.constants.get(column).or_else(|| self.defined.get(column))
    }

    /// The aims of statements in a table; `names` are those of the table and of the tables that it is a
    /// partition of.
    pub(super) fn aims(&self, names: &[String]) -> impl Iterator<Item = &TargetRows> {
        self.aims.iter().filter(|aim| names.iter().any(|name| name == aim.table()))
    }

    /// The tables that statements aim at, those that they read, and those whose rows are deleted with others.
    pub(crate) fn aimed(&self, schema: &Schema) -> BTreeSet<TableName> {
        if self.aims.is_empty() {
            return BTreeSet::new();
        }
        let read: BTreeSet<&String> = self.aims.iter().flat_map(|aim| &aim.joined.tables).collect();
        let is_read = |table: &&Object| lineage(schema, table).iter().any(|name| read.contains(name));
        let mut tables: BTreeSet<TableName> = holders(schema).filter(is_read).map(table_name).collect();
        if self.aims.iter().any(|aim| aim.deletes) {
            let goes =
                |table: &&Object| ForeignKey::of(schema, table).any(|key| key.follows && tables.contains(&key.table));
            tables.extend(holders(schema).filter(goes).map(table_name).collect::<Vec<_>>());
        }
        tables
    }

    /// The same, with rows for the statements of another value.
    pub(crate) fn aiming_as(self, other: Self) -> Self {
        Self { aims: other.aims, ..self }
    }

    /// The tables that statements update from other tables.
    pub(crate) fn matched(&self, schema: &Schema) -> BTreeSet<TableName> {
        let tables: BTreeSet<&str> = self.aims.iter().filter(|aim| aim.reads_others()).map(TargetRows::table).collect();
        let is_one = |table: &&Object| lineage(schema, table).iter().any(|name| tables.contains(name.as_str()));
        holders(schema).filter(is_one).map(table_name).collect()
    }

    /// Whether a statement updates a table from other tables.
    pub(crate) fn reads_others(&self) -> bool {
        self.aims.iter().any(TargetRows::reads_others)
    }

    /// How many constants scripts have for a column.
    pub(super) fn most_constants(&self, column: &str) -> usize {
        self.constants.get(column).map_or(0, BTreeSet::len)
    }

    /// What texts are cast to, in words: `JSON`, `a valid integer`.
    pub(crate) fn told(&self) -> String {
        let mut types: Vec<String> = self.casts.values().map(TextReading::told).collect();
        types.sort();
        types.dedup();
        if types.is_empty() { "as it reads it".to_owned() } else { types.join(" or ") }
    }

    /// Replaces the types that columns are cast to by what is known about them.
    pub(crate) fn resolve(&mut self, known: &dyn Fn(&str) -> Option<TextReading>) {
        for reading in self.casts.values_mut() {
            reading.resolve(known);
        }
    }

    /// The structure of the documents of a column.
    pub(super) fn shape(&self, column: &str) -> Option<&JsonShape> {
        self.columns.get(column).filter(|shape| !shape.is_empty())
    }

    /// A pattern that functions search for.
    pub(super) fn pattern(&self, at: usize) -> Option<&String> {
        self.patterns.iter().nth(at)
    }

    /// How many patterns are tried.
    pub(super) fn patterns(&self) -> usize {
        self.patterns.len().min(MOST_PATTERNS)
    }

    /// The texts that functions compare with.
    pub(super) fn words(&self) -> impl Iterator<Item = &String> {
        self.words.iter()
    }

    /// How the texts of a column are parsed.
    pub(super) fn cast_to(&self, column: &str) -> Option<&TextReading> {
        self.casts.get(column)
    }
}

fn is_constant(expr: Option<&Expr>) -> bool {
    expr.is_some_and(|expr| expr.as_constant().is_some())
}
