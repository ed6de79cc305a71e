//! Schemas by chance: a small model, so that two of them share names and differ in what they mean.

use std::fmt::Write as _;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

/// A schema, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct Model {
    labels: Vec<&'static str>,
    function: Option<usize>,
    tables: std::collections::BTreeMap<usize, Table>,
    views: std::collections::BTreeMap<usize, View>,
}

#[derive(Debug, Clone)]
struct Table {
    columns: std::collections::BTreeMap<usize, Column>,
    keys: Vec<Index>,
    index: Option<(Index, bool)>,
    unlogged: bool,
    partitioned: bool,
    trigger: bool,
    comment: Option<u8>,
    granted: bool,
}

#[derive(Debug, Clone)]
struct Column {
    of: usize,
    not_null: bool,
    default: u8,
    check: bool,
    generated: bool,
}

#[derive(Debug, Clone)]
struct View {
    table: Index,
    above: bool,
    materialized: bool,
    filter: bool,
}

const LABELS: [&str; 4] = ["a", "b", "c", "d"];
/// Types, each with a value.
const TYPES: [(&str, &str); 9] = [
    ("integer", "1"),
    ("bigint", "2"),
    ("text", "'x'"),
    ("varchar(10)", "'y'"),
    ("numeric(6,2)", "3.5"),
    ("boolean", "true"),
    ("date", "'2025-01-01'"),
    ("state", "'a'"),
    ("state[]", "'{a}'"),
];
const RESULTS: [&str; 3] = ["integer", "bigint", "text"];

prop_compose! {
    fn column()(of in 0..TYPES.len(), not_null: bool, default in 0..4u8, check in prop::bool::weighted(0.2), generated in prop::bool::weighted(0.1)) -> Column {
        Column { of, not_null, default, check, generated }
    }
}

prop_compose! {
    fn table()(
        columns in btree_map(0..5usize, column(), 0..5),
        keys in vec(any::<Index>(), 0..2),
        index in option::of(any::<(Index, bool)>()),
        unlogged in prop::bool::weighted(0.1),
        partitioned in prop::bool::weighted(0.1),
        trigger in prop::bool::weighted(0.2),
        comment in option::weighted(0.2, 0..2u8),
        granted in prop::bool::weighted(0.2),
    ) -> Table {
        Table { columns, keys, index, unlogged, partitioned, trigger, comment, granted }
    }
}

prop_compose! {
    fn view()(table: Index, above: bool, materialized in prop::bool::weighted(0.2), filter: bool) -> View {
        View { table, above, materialized, filter }
    }
}

prop_compose! {
    /// A schema.
    pub(super) fn model()(
        labels in subsequence(LABELS[1..].to_vec(), 0..3).prop_shuffle(),
        function in option::of(0..RESULTS.len()),
        tables in btree_map(0..4usize, table(), 0..4),
        views in btree_map(0..3usize, view(), 0..3),
    ) -> Model {
        Model { labels, function, tables, views }
    }
}

impl Table {
    /// Whether it can have foreign keys of any kind.
    fn is_plain(&self) -> bool {
        !self.unlogged && !self.partitioned
    }
}

impl Model {
    /// The statements that make it on an empty database.
    pub(super) fn sql(&self) -> String {
        let labels: Vec<String> = ["a"].iter().chain(&self.labels).map(|label| format!("'{label}'")).collect();
        let mut sql = format!("CREATE TYPE state AS ENUM ({});\n", labels.join(", "));
        let trigger = "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';\n";
        sql += trigger;
        if let Some(result) = self.function {
            let of = RESULTS[result];
            let _ = writeln!(
                sql,
                "CREATE FUNCTION made(n integer DEFAULT {result}) RETURNS {of} LANGUAGE sql IMMUTABLE AS 'SELECT 1::{of}';"
            );
        }
        for (n, table) in &self.tables {
            self.table(&mut sql, *n, table);
        }
        for (n, table) in &self.tables {
            for (k, key) in table.keys.iter().enumerate().filter(|_| !self.tables.is_empty()) {
                let to = key.get(&self.tables.keys().collect::<Vec<_>>()).to_string();
                let _ = writeln!(sql, "ALTER TABLE t{n} ADD COLUMN ref{k} integer;");
                if self.tables[&to.parse().unwrap()].is_plain() && table.is_plain() {
                    let _ = writeln!(sql, "ALTER TABLE t{n} ADD FOREIGN KEY (ref{k}) REFERENCES t{to};");
                }
            }
        }
        for (n, view) in &self.views {
            self.view(&mut sql, *n, view);
        }
        sql
    }

    fn table(&self, sql: &mut String, n: usize, table: &Table) {
        let unlogged = if table.unlogged && !table.partitioned { "UNLOGGED " } else { "" };
        let mut lines = vec!["id integer NOT NULL".to_owned()];
        for (c, column) in &table.columns {
            let (of, value) = TYPES[column.of];
            let default = match (column.default, self.function) {
                (1, _) => format!(" DEFAULT {value}"),
                (2, Some(result)) if of == RESULTS[result] => " DEFAULT made()".to_owned(),
                _ => String::new(),
            };
            let rest = match column.generated && of == "integer" {
                true => " GENERATED ALWAYS AS (id * 2) STORED".to_owned(),
                false => format!("{}{default}", if column.not_null { " NOT NULL" } else { "" }),
            };
            lines.push(format!("c{c} {of}{rest}"));
            if column.check {
                lines.push(format!("CONSTRAINT check_{n}_{c} CHECK (c{c} <> {value})"));
            }
        }
        lines.push(format!("CONSTRAINT t{n}_key PRIMARY KEY (id)"));
        let by = if table.partitioned { " PARTITION BY RANGE (id)" } else { "" };
        let _ = writeln!(sql, "CREATE {unlogged}TABLE t{n} (\n  {}\n){by};", lines.join(",\n  "));
        if table.partitioned {
            let _ = writeln!(sql, "CREATE TABLE part{n} PARTITION OF t{n} FOR VALUES FROM (0) TO (10);");
        }
        if let Some((column, unique)) = table.index.filter(|_| !table.columns.is_empty()) {
            let column = column.get(&table.columns.keys().collect::<Vec<_>>()).to_string();
            let unique = if unique && !table.partitioned { "UNIQUE " } else { "" };
            let _ = writeln!(sql, "CREATE {unique}INDEX index_{n} ON t{n} (c{column});");
        }
        if table.trigger {
            let _ =
                writeln!(sql, "CREATE TRIGGER touched BEFORE UPDATE ON t{n} FOR EACH ROW EXECUTE FUNCTION touch();");
        }
        if let Some(comment) = table.comment {
            let _ = writeln!(sql, "COMMENT ON TABLE t{n} IS 'it''s {comment}';");
        }
        if table.granted {
            let _ = writeln!(sql, "GRANT SELECT ON t{n} TO PUBLIC;");
        }
    }

    fn view(&self, sql: &mut String, n: usize, view: &View) {
        if self.tables.is_empty() {
            return;
        }
        let table = view.table.get(&self.tables.keys().collect::<Vec<_>>()).to_string();
        let columns = &self.tables[&table.parse().unwrap()].columns;
        let list: String = columns.keys().map(|c| format!(", c{c}")).collect();
        let kind = if view.materialized { "MATERIALIZED VIEW" } else { "VIEW" };
        let filter = if view.filter { " WHERE id > 0" } else { "" };
        // One view stands on another where that is there.
        let (list, from) = match n.checked_sub(1).filter(|below| view.above && self.views.contains_key(below)) {
            Some(below) => ("*".to_owned(), format!("v{below}")),
            None => (format!("id{list}"), format!("t{table}")),
        };
        let _ = writeln!(sql, "CREATE {kind} v{n} AS SELECT {list} FROM {from}{filter};");
    }
}
