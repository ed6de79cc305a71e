//! What a row of a table must look like, as far as the schema tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::ident::first_name;
use migrate_core::schema::{Id, Kind, Object, Schema};

use super::hints::Hints;
use super::names;

/// A table that rows can be put into.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) id: Arc<Id>,
    pub(super) columns: Vec<Column>,
    pub(super) keys: Vec<ForeignKey>,
}

/// A column of it.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type as the server writes it: `numeric(10,2)`, `shop.state[]`.
    pub(super) type_name: String,
    pub(super) nullable: bool,
    pub(super) has_default: bool,
    /// Whether a sequence counts its values.
    pub(super) counted: bool,
    pub(super) hints: Hints,
}

/// A foreign key: these columns are those of a row of that table.
#[derive(Debug, Clone)]
pub(super) struct ForeignKey {
    pub(super) columns: Vec<String>,
    pub(super) table: (String, String),
    pub(super) referenced: Vec<String>,
}

impl Table {
    pub(super) fn of(schema: &Schema, table: &Object) -> Self {
        let constraints: Vec<&str> = schema
            .children(&table.id, Kind::Constraint)
            .filter_map(|constraint| constraint.fact("definition"))
            .collect();
        let checks: Vec<&str> = constraints.iter().copied().filter(|text| text.starts_with("CHECK")).collect();
        let bound = table.fact("partition bound");
        let columns = schema.children(&table.id, Kind::Column).filter(|column| column.fact("generated").is_none());
        let mut columns: Vec<_> = columns.map(|column| (column.position, column)).collect();
        columns.sort_by_key(|(position, _)| *position);
        let columns = columns.into_iter().map(|(_, column)| Column::of(schema, column, &checks, bound)).collect();
        let keys = constraints.iter().filter_map(|text| ForeignKey::parse(text)).collect();
        Self { id: table.id.clone(), columns, keys }
    }

    pub(super) fn name(&self) -> (String, String) {
        (self.id.schema.to_string(), self.id.name.to_string())
    }

    /// Whether a foreign key can be left empty.
    pub(super) fn optional(&self, key: &ForeignKey) -> bool {
        self.columns.iter().any(|column| column.nullable && key.columns.contains(&column.name))
    }

    /// The tables that must have a row before this one can have one.
    pub(super) fn needs(&self) -> BTreeSet<(String, String)> {
        let required = self.keys.iter().filter(|key| !self.optional(key) && key.table != self.name());
        required.map(|key| key.table.clone()).collect()
    }
}

impl Column {
    /// A value that its sequence will not come to while a migration runs, and that a smaller
    /// type could not hold.
    pub(super) fn beyond(&self, serial: u32) -> u64 {
        let base = match self.type_name.as_str() {
            "smallint" => 30_000,
            "bigint" => 5_000_000_000,
            _ => 1_000_000,
        };
        base + u64::from(serial)
    }

    fn of(schema: &Schema, column: &Object, checks: &[&str], bound: Option<&str>) -> Self {
        let type_name = column.fact("type").unwrap_or("text").to_owned();
        let domain = names::lookup(schema, &type_name).filter(|object| object.id.kind == Kind::Domain);
        let domain_not_null = domain.is_some_and(|domain| domain.fact("not null").is_some());
        let name = &*column.id.name;
        let mut hints = Hints::default();
        for check in checks.iter().filter(|check| names::mentions(check, name)) {
            hints.learn(check);
        }
        if let Some(bound) = bound {
            hints.learn(bound);
        }
        Self {
            name: name.to_owned(),
            nullable: column.fact("not null").is_none() && !domain_not_null,
            has_default: column.fact("default").is_some() || column.fact("identity").is_some(),
            counted: column.fact("identity").is_some()
                || column.fact("default").is_some_and(|default| default.starts_with("nextval(")),
            type_name,
            hints,
        }
    }
}

impl ForeignKey {
    /// Reads `FOREIGN KEY (a, b) REFERENCES s.t(c, d) …`.
    fn parse(definition: &str) -> Option<Self> {
        let rest = definition.strip_prefix("FOREIGN KEY (")?;
        let (columns, rest) = names::list(rest)?;
        let rest = rest.trim_start().strip_prefix("REFERENCES ")?;
        let (schema, rest) = first_name(rest)?;
        let (table, rest) = first_name(rest.strip_prefix('.')?)?;
        let (referenced, _) = names::list(rest.trim_start().strip_prefix('(')?)?;
        Some(Self { columns, table: (schema, table), referenced })
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
    }
}
