//! The requirements on a row of a table, as far as the schema defines them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, first_name, ident};
use migrate_schema::{Id, Kind, Object, Schema};

use super::draw::GeneratedRow;
use super::expr::{Expr, ExprForm, VALUE};
use super::names;
use super::typical::TURNS;
use super::uses::ColumnUses;
use super::values::few;

/// How many rows a table gets at once at most.
const MOST_ROWS: usize = 40;

/// A table that rows can be inserted into.
#[derive(Debug)]
pub(super) struct TableSpec {
    pub(super) id: Arc<Id>,
    pub(super) columns: Vec<ColumnSpec>,
    pub(super) keys: Vec<ForeignKey>,
    /// The conditions on each row, under the name of the constraint.
    pub(super) checks: Vec<(String, Expr)>,
    /// The columns at least one of which must differ in each row, under the name of the key or index.
    pub(super) unique: BTreeMap<String, BTreeSet<String>>,
    /// How many rows are needed until each of several values of a column, or each side of an OR, has been used.
    alternatives: usize,
    /// Whether a trigger or a rule can affect rows, not only constraints.
    pub(super) is_watched: bool,
}

/// A column of the table.
#[derive(Debug)]
pub(super) struct ColumnSpec {
    pub(super) name: String,
    /// The type as the server writes it: `numeric(10,2)`, `shop.state[]`.
    pub(super) type_name: String,
    /// The base type if it is a domain.
    pub(super) base: String,
    pub(super) nullable: bool,
    pub(super) has_default: bool,
    /// Whether its values come from a sequence.
    pub(super) counted: bool,
}

/// A foreign key: these columns equal those of a row in that table.
#[derive(Debug, Clone)]
pub(super) struct ForeignKey {
    pub(super) columns: Vec<String>,
    pub(super) table: (String, String),
    pub(super) referenced: Vec<String>,
    /// Whether its rows are deleted, or their reference is removed, with the row that they reference.
    pub(super) follows: bool,
}

impl TableSpec {
    pub(super) fn of(schema: &Schema, table: &Object) -> Self {
        let constraints = || schema.children(&table.id, Kind::Constraint);
        let definitions = constraints().filter_map(|one| Some((one.id.name.to_string(), one.fact("definition")?)));
        let definitions: Vec<(String, &str)> = definitions.collect();
        let mut checks: Vec<(String, Expr)> = Vec::new();
        for (name, text) in &definitions {
            checks.extend(Expr::of_check(text).map(|expr| (name.clone(), expr)));
        }
        checks.extend(bounds(schema, table).into_iter().map(|expr| (String::new(), expr)));
        let (columns, generated): (Vec<_>, Vec<_>) =
            schema.children(&table.id, Kind::Column).partition(|column| column.fact("generated").is_none());
        let checks_of_parts = checks.into_iter().map(|(name, check)| (name, without_generated(check, &generated)));
        let mut checks: Vec<(String, Expr)> = checks_of_parts.collect();
        let mut columns: Vec<_> = columns.into_iter().map(|column| (column.position, column)).collect();
        columns.sort_by_key(|(position, _)| *position);
        let columns: Vec<ColumnSpec> =
            columns.into_iter().map(|(_, column)| ColumnSpec::of(schema, column, &mut checks)).collect();
        let indexes = schema.children(&table.id, Kind::Index);
        let indexes = indexes.filter_map(|index| Some((index.id.name.to_string(), index.fact("definition")?)));
        let unique = unique(&columns, definitions.iter().cloned().chain(indexes));
        let few = columns.iter().map(|column| few(schema, &column.base).len());
        let alternatives = few.chain(checks.iter().map(|(_, check)| alternatives(check))).max().unwrap_or_default();
        let keys = ForeignKey::of(schema, table).collect();
        let is_watched =
            [Kind::Trigger, Kind::Rule].into_iter().any(|kind| schema.children(&table.id, kind).next().is_some());
        Self { id: table.id.clone(), columns, keys, checks, unique, alternatives, is_watched }
    }

    /// How many rows are needed until everything has been used.
    pub(super) fn rows(&self, uses: &ColumnUses) -> u32 {
        // Constants are used in almost every other row.
        let constants = self.constants(uses) as usize * 5 / 2;
        self.alternatives.max(constants).clamp(TURNS, MOST_ROWS) as u32
    }

    /// The largest number of constants that scripts have for a column.
    pub(super) fn constants(&self, uses: &ColumnUses) -> u32 {
        let most = self.columns.iter().map(|column| uses.most_constants(&column.name)).max();
        most.unwrap_or_default().min(MOST_ROWS) as u32
    }

    /// Whether a column has known constants; typical values are not drawn in their turn.
    pub(super) fn has_constants(&self, uses: &ColumnUses) -> bool {
        self.columns.iter().any(|column| uses.constants(&column.name).is_some_and(|known| !known.is_empty()))
    }

    pub(super) fn name(&self) -> (String, String) {
        (self.id.schema.to_string(), self.id.name.to_string())
    }

    /// Whether a foreign key can be left NULL.
    pub(super) fn optional(&self, key: &ForeignKey) -> bool {
        self.columns.iter().any(|column| column.nullable && key.columns.contains(&column.name))
    }

    /// The tables that must have a row before this one can have one.
    pub(super) fn needs(&self) -> BTreeSet<(String, String)> {
        let required = self.keys.iter().filter(|key| !self.optional(key) && key.table != self.name());
        required.map(|key| key.table.clone()).collect()
    }
}

impl ColumnSpec {
    /// A value that its sequence does not reach while a migration runs, and that a smaller type could not hold.
    pub(super) fn beyond(&self, serial: u32) -> u64 {
        let base = match self.type_name.as_str() {
            "smallint" => 30_000,
            "bigint" => 5_000_000_000,
            _ => 1_000_000,
        };
        base + u64::from(serial)
    }

    fn of(schema: &Schema, column: &Object, checks: &mut Vec<(String, Expr)>) -> Self {
        let type_name = column.fact("type").unwrap_or("text").to_owned();
        let name = &*column.id.name;
        let mut base = type_name.clone();
        let mut nullable = column.fact("not null").is_none();
        while let Some(domain) = names::lookup(schema, &base).filter(|object| object.id.kind == Kind::Domain) {
            nullable &= domain.fact("not null").is_none();
            checks.extend(domain_checks(schema, domain).filter_map(|(constraint, expr)| {
                let here = |column: &str| Some(ident(if column == VALUE { name } else { column }));
                Some((constraint, Expr::parse(&expr.with(&here)?)?))
            }));
            match domain.fact("type") {
                Some(inner) if inner != base => base = inner.to_owned(),
                _ => break,
            }
        }
        Self {
            name: name.to_owned(),
            nullable,
            has_default: column.fact("default").is_some() || column.fact("identity").is_some(),
            counted: column.fact("identity").is_some()
                || column.fact("default").is_some_and(|default| default.starts_with("nextval(")),
            type_name,
            base,
        }
    }
}

/// The statement that inserts a row.
pub(super) fn insert(table: &TableSpec, row: &GeneratedRow) -> String {
    let name = QualifiedName::new(&*table.id.schema, &*table.id.name);
    if row.is_empty() {
        return format!("INSERT INTO {name} DEFAULT VALUES");
    }
    let columns: Vec<String> = row.keys().map(|column| ident(column)).collect();
    let values: Vec<&str> = row.values().map(String::as_str).collect();
    format!("INSERT INTO {name} ({}) OVERRIDING SYSTEM VALUE VALUES ({})", columns.join(", "), values.join(", "))
}

/// The checks of a domain itself.
pub(super) fn domain_checks<'a>(schema: &'a Schema, domain: &'a Object) -> impl Iterator<Item = (String, Expr)> + 'a {
    schema.children(&domain.id, Kind::Constraint).filter_map(|constraint| {
        Some((constraint.id.name.to_string(), Expr::of_check(constraint.fact("definition")?)?))
    })
}

/// A check in terms of the columns that can be written.
fn without_generated(check: Expr, generated: &[&Arc<Object>]) -> Expr {
    let expression = |name: &str| {
        let column = generated.iter().find(|column| *column.id.name == *name)?;
        column.fact("generated")?.split_once(' ').map(|(_, text)| format!("({text})"))
    };
    if !check.columns().any(|name| expression(name).is_some()) {
        return check;
    }
    let text = check.with(&|name| Some(expression(name).unwrap_or_else(|| ident(name))));
    text.and_then(|text| Expr::parse(&text)).unwrap_or(check)
}

/// The columns that the definitions of keys and unique indexes name.
fn unique<'a>(
    columns: &[ColumnSpec],
    definitions: impl Iterator<Item = (String, &'a str)>,
) -> BTreeMap<String, BTreeSet<String>> {
    let keys = ["PRIMARY KEY", "UNIQUE", "EXCLUDE", "CREATE UNIQUE"];
    let unique = definitions.filter(|(_, text)| keys.iter().any(|key| text.starts_with(key)));
    let named = |(name, text): (String, &str)| {
        let inside = text.split_once('(').map_or("", |(_, inside)| inside);
        let is_named = |column: &&ColumnSpec| names::words(inside).any(|word| word == column.name);
        (name, columns.iter().filter(is_named).map(|column| column.name.clone()).collect())
    };
    unique.map(named).collect()
}

/// The largest number of alternatives at one place of an expression.
pub(super) fn alternatives(expr: &Expr) -> usize {
    let own = match expr.form() {
        ExprForm::Or(sides) => sides.len(),
        ExprForm::Call(word, list) if word == "any" => match list.first().map(|list| list.bare().form()) {
            Some(ExprForm::Array(items)) => items.len(),
            Some(ExprForm::Text(text)) => migrate_schema::array_items(text).len(),
            _ => 0,
        },
        _ => 0,
    };
    expr.parts().into_iter().map(alternatives).max().unwrap_or_default().max(own)
}

/// The requirements of a partition on its rows, including those of the partitions above it.
fn bounds(schema: &Schema, table: &Object) -> Vec<Expr> {
    let Some(parent) = parent(schema, table) else { return Vec::new() };
    let mut asked = own_bounds(parent, table).unwrap_or_default();
    asked.extend(bounds(schema, parent));
    asked
}

/// The table that another one is a partition of.
fn parent<'a>(schema: &'a Schema, table: &Object) -> Option<&'a Object> {
    table.fact("partition bound")?;
    let parent = table.parents().into_iter().next()?;
    schema.get(&Id::named(Kind::Table, parent.schema(), parent.name())).map(|parent| &**parent)
}

/// The names of a table and of those that it is a partition of.
pub(super) fn lineage(schema: &Schema, table: &Object) -> Vec<String> {
    let above = parent(schema, table).map(|parent| lineage(schema, parent)).unwrap_or_default();
    [table.id.name.to_string()].into_iter().chain(above).collect()
}

/// The requirements of a partition on its rows, for each part of the key.
fn own_bounds(parent: &Object, table: &Object) -> Option<Vec<Expr>> {
    let bound = table.fact("partition bound")?;
    let (_, key) = parent.fact("partition key")?.split_once('(')?;
    let parts: Vec<String> = match names::list(key) {
        Some((columns, _)) => columns.iter().map(|column| ident(column)).collect(),
        None => {
            let list = Expr::parse(&format!("ARRAY[{}]", key.strip_suffix(')')?))?;
            list.parts().iter().map(|part| part.text().to_owned()).collect()
        }
    };
    if let Some(list) = bound.strip_prefix("FOR VALUES IN ") {
        return Some(Expr::parse(&format!("{} IN {list}", parts.first()?)).into_iter().collect());
    }
    let (from, to) = bound.strip_prefix("FOR VALUES FROM (")?.split_once(") TO (")?;
    let ends = |text: &str| Expr::parse(&format!("ARRAY[{text}]"));
    let (from, to) = (ends(from)?, ends(to.strip_suffix(')')?)?);
    let asked = parts.iter().zip(from.parts()).zip(to.parts()).filter_map(|((part, from), to)| {
        let bounded = |end: &Expr| end.columns().next().is_none();
        // Several columns are compared one after the other: the lower bound of a partition has all of its
        // values.
        let text = match (bounded(from), bounded(to)) {
            (true, true) if parts.len() == 1 => format!("{part} >= {} AND {part} < {}", from.text(), to.text()),
            (true, _) => format!("{part} = {}", from.text()),
            (false, true) => format!("{part} < {}", to.text()),
            (false, false) => return None,
        };
        Expr::parse(&text)
    });
    Some(asked.collect())
}

impl ForeignKey {
    /// The foreign keys of a table.
    pub(super) fn of<'a>(schema: &'a Schema, table: &'a Object) -> impl Iterator<Item = Self> + 'a {
        let constraints = schema.children(&table.id, Kind::Constraint);
        constraints.filter_map(|one| Self::parse(one.fact("definition")?))
    }

    /// Parses `FOREIGN KEY (a, b) REFERENCES s.t(c, d) …`.
    pub(super) fn parse(definition: &str) -> Option<Self> {
        let rest = definition.strip_prefix("FOREIGN KEY (")?;
        let (columns, rest) = names::list(rest)?;
        let rest = rest.trim_start().strip_prefix("REFERENCES ")?;
        let (schema, rest) = first_name(rest)?;
        let (table, rest) = first_name(rest.strip_prefix('.')?)?;
        let (referenced, rest) = names::list(rest.trim_start().strip_prefix('(')?)?;
        let follows =
            ["CASCADE", "SET NULL", "SET DEFAULT"].iter().any(|one| rest.contains(&format!("ON DELETE {one}")));
        Some(Self { columns, table: (schema, table), referenced, follows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_key_is_read_with_its_quotes() {
        let key = ForeignKey::parse("FOREIGN KEY (a, \"b, c\") REFERENCES shop.\"T\"(x, y) ON DELETE CASCADE").unwrap();
        assert_eq!(key.columns, ["a", "b, c"]);
        assert_eq!(key.table, ("shop".to_owned(), "T".to_owned()));
        assert_eq!(key.referenced, ["x", "y"]);
        assert!(key.follows);
    }
}
