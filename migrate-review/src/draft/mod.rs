//! Drafts: the up scripts of common changes, in the form that locks least.
//!
//! A change that would lock a table for long is split: the quick part comes first, and the slow part is a separate
//! migration that locks nothing meanwhile.

mod column;

use column::key_of;
use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::{QualifiedName, literal, plain};
use migrate_schema::{Kind, Schema};

pub use column::{DraftColumn, DraftType};

/// A common change.
#[derive(Debug, Clone)]
pub enum ChangeDraft {
    /// A table.
    Table {
        /// Its name, as it was typed.
        table: String,
        /// Its columns.
        columns: Vec<DraftColumn>,
        /// Whether it gets `created_at` and `updated_at`.
        timestamps: bool,
        /// Its indexes, each a list of columns.
        indexes: Vec<Vec<String>>,
    },
    /// A column of an existing table: `table.column`.
    AddColumn(String, DraftColumn),
    /// Drops a column: the table, and the column.
    DropColumn(String, String),
    /// Renames a column: the table, the old name, the new name.
    RenameColumn(String, String, String),
    /// An index on columns of an existing table, and whether it is unique.
    AddIndex(String, Vec<String>, bool),
    /// A foreign key: the table, its column, and the referenced table.
    AddForeignKey(String, String, String),
    /// A label of an enum, and the label after which it goes.
    AddEnumValue(String, String, Option<String>),
}

/// An up script: the suffix of the migration's name, and the text.
pub type UpScript = (&'static str, String);

impl ChangeDraft {
    /// The up scripts, in order.
    ///
    /// # Errors
    ///
    /// A finding for a change that is impossible: a reference to a table that does not exist, a column that no row
    /// could fill.
    pub fn ups(&self, schema: &Schema) -> Result<Vec<UpScript>, Finding> {
        match self {
            Self::Table { table, columns, timestamps, indexes } => {
                Ok(vec![("", self::table(schema, table, columns, *timestamps, indexes)?)])
            }
            Self::AddColumn(table, column) => add_column(schema, table, column),
            Self::DropColumn(table, column) => {
                Ok(vec![("", format!("ALTER TABLE {} DROP COLUMN {};\n", name(table), plain(column)))])
            }
            Self::RenameColumn(table, old, new) => {
                let (table, old, new) = (name(table), plain(old), plain(new));
                Ok(vec![("", format!("ALTER TABLE {table} RENAME COLUMN {old} TO {new};\n"))])
            }
            Self::AddIndex(table, columns, unique) => Ok(vec![("", concurrently(table, columns, *unique))]),
            Self::AddForeignKey(table, column, to) => {
                let (to, key, _) = key_of(schema, to).map_err(|why| Finding::new(codes::NO_SUCH_TABLE, why))?;
                Ok(foreign_key(table, column, &to, &key, "RESTRICT"))
            }
            Self::AddEnumValue(of, value, after) => {
                let after = after.as_ref().map_or(String::new(), |after| format!(" AFTER {}", literal(after)));
                Ok(vec![("", format!("ALTER TYPE {} ADD VALUE {}{after};\n", name(of), literal(value)))])
            }
        }
    }
}

/// A name as typed: with or without its schema.
fn name(typed: &str) -> String {
    match QualifiedName::parse(typed) {
        Some(name) if name.schema() == "public" => plain(name.name()),
        Some(name) => format!("{}.{}", plain(name.schema()), plain(name.name())),
        None => plain(typed),
    }
}

/// The last part of a name.
fn short(typed: &str) -> String {
    QualifiedName::parse(typed).map_or_else(|| typed.to_owned(), |name| name.name().to_owned())
}

/// The singular: `order` for `orders`, `category` for `categories`.
fn singular(plural: &str) -> String {
    match plural {
        word if word.ends_with("ies") => format!("{}y", &word[..word.len() - 3]),
        word if ["sses", "xes", "ches", "shes"].iter().any(|end| word.ends_with(end)) => {
            word[..word.len() - 2].to_owned()
        }
        word if word.ends_with('s') && !word.ends_with("ss") => word[..word.len() - 1].to_owned(),
        word => word.to_owned(),
    }
}

fn enum_name(table: &str, column: &str) -> String {
    let typed = QualifiedName::parse(table);
    let of = format!("{}_{column}", singular(&short(table)));
    match typed {
        Some(name) if name.schema() != "public" => format!("{}.{}", plain(name.schema()), plain(&of)),
        _ => plain(&of),
    }
}

fn index_name(table: &str, columns: &[String], unique: bool) -> String {
    plain(&format!("{}_{}_{}", short(table), columns.join("_"), if unique { "key" } else { "idx" }))
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| plain(column)).collect::<Vec<_>>().join(", ")
}

fn concurrently(table: &str, columns: &[String], unique: bool) -> String {
    let word = if unique { "UNIQUE INDEX" } else { "INDEX" };
    let index = index_name(table, columns, unique);
    format!("-- migrate: no-transaction\nCREATE {word} CONCURRENTLY {index} ON {} ({});\n", name(table), list(columns))
}

/// A foreign key on a table with rows: new rows are checked at once, existing rows in a separate migration.
fn foreign_key(table: &str, column: &str, to: &QualifiedName, key: &str, on_delete: &str) -> Vec<UpScript> {
    let constraint = plain(&format!("{}_{column}_fkey", short(table)));
    let to = name(&format!("{}.{}", migrate_base::ident::ident(to.schema()), migrate_base::ident::ident(to.name())));
    let of = name(table);
    let add = format!(
        "-- New rows are checked at once; the next migration checks the existing rows without locking them.\n\
         ALTER TABLE {of} ADD CONSTRAINT {constraint} FOREIGN KEY ({})\n    \
         REFERENCES {to} ({}) ON DELETE {on_delete} NOT VALID;\n",
        plain(column),
        plain(key)
    );
    let validate = format!("ALTER TABLE {of} VALIDATE CONSTRAINT {constraint};\n");
    vec![("", add), ("_validate", validate)]
}

/// The type of a column as SQL, the statement that has to come before it, and what it references.
struct ResolvedColumn {
    of: String,
    before: String,
    refers: Option<(QualifiedName, String, &'static str)>,
    default: Option<String>,
}

fn resolve(schema: &Schema, table: &str, column: &DraftColumn) -> Result<ResolvedColumn, Finding> {
    let plainly = |of: &str| ResolvedColumn {
        of: of.to_owned(),
        before: String::new(),
        refers: None,
        default: column.default.clone(),
    };
    Ok(match &column.of {
        DraftType::Sql(of) => {
            let mut resolved = plainly(of);
            if column.key && of == "uuid" && resolved.default.is_none() {
                resolved.default = Some("gen_random_uuid()".to_owned());
            }
            resolved
        }
        DraftType::Enum(labels) => {
            let of = enum_name(table, &column.name);
            let first = labels.first().filter(|_| !column.nullable).map(|label| literal(label));
            let labels = labels.iter().map(|label| literal(label)).collect::<Vec<_>>().join(", ");
            ResolvedColumn {
                before: format!("CREATE TYPE {of} AS ENUM ({labels});\n"),
                default: column.default.clone().or(first),
                ..plainly(&of)
            }
        }
        DraftType::Reference { table: to, on_delete } => {
            let (to, key, of) = key_of(schema, to).map_err(|why| {
                let at = column.word.find(to.as_str()).unwrap_or(0);
                Finding::new(codes::NO_SUCH_TABLE, why).at(Place::within(
                    "command line",
                    column.word.as_str().into(),
                    at..at + to.len(),
                ))
            })?;
            ResolvedColumn { refers: Some((to, key, on_delete)), ..plainly(&of) }
        }
    })
}

/// What follows the type of a column.
fn rest(column: &DraftColumn, resolved: &ResolvedColumn) -> String {
    let counted = column.key
        && matches!(&column.of, DraftType::Sql(of) if ["bigint", "integer", "smallint"].contains(&of.as_str()));
    let mut text = String::new();
    text += if counted { " GENERATED ALWAYS AS IDENTITY" } else { "" };
    text += if column.key { " PRIMARY KEY" } else { "" };
    text += if column.nullable || column.key { "" } else { " NOT NULL" };
    text += &resolved.default.as_ref().map_or(String::new(), |value| format!(" DEFAULT {value}"));
    text + if column.unique && !column.key { " UNIQUE" } else { "" }
}

fn table(
    schema: &Schema,
    table: &str,
    columns: &[DraftColumn],
    timestamps: bool,
    indexes: &[Vec<String>],
) -> Result<String, Finding> {
    let mut lines: Vec<(String, String, String)> = Vec::new();
    let mut before = String::new();
    for column in columns {
        let resolved = resolve(schema, table, column)?;
        before += &resolved.before;
        let refers = resolved.refers.as_ref().map_or(String::new(), |(to, key, on_delete)| {
            let to =
                name(&format!("{}.{}", migrate_base::ident::ident(to.schema()), migrate_base::ident::ident(to.name())));
            format!(" REFERENCES {to} ({}) ON DELETE {on_delete}", plain(key))
        });
        lines.push((plain(&column.name), resolved.of.clone(), rest(column, &resolved) + &refers));
    }
    if timestamps {
        for name in ["created_at", "updated_at"] {
            lines.push((name.to_owned(), "timestamptz".to_owned(), " NOT NULL DEFAULT now()".to_owned()));
        }
    }
    let width =
        |part: fn(&(String, String, String)) -> &String| lines.iter().map(|line| part(line).chars().count()).max();
    let (names, types) = (width(|line| &line.0).unwrap_or(0), width(|line| &line.1).unwrap_or(0));
    let body =
        lines.iter().map(|(name, of, rest)| format!("    {name:<names$} {of:<types$}{rest}").trim_end().to_owned());
    let mut text = if before.is_empty() { String::new() } else { before + "\n" };
    text += &format!("CREATE TABLE {} (\n{}\n);\n", name(table), body.collect::<Vec<_>>().join(",\n"));
    let single = columns.iter().filter(|column| column.indexed).map(|column| vec![column.name.clone()]);
    for columns in single.chain(indexes.iter().cloned()) {
        known(&columns, &lines)?;
        text +=
            &format!("CREATE INDEX {} ON {} ({});\n", index_name(table, &columns, false), name(table), list(&columns));
    }
    if timestamps && let Some(function) = touch(schema) {
        text += &format!(
            "CREATE TRIGGER {} BEFORE UPDATE ON {}\n    FOR EACH ROW EXECUTE FUNCTION {function}();\n",
            plain(&format!("{}_touch_updated_at", short(table))),
            name(table)
        );
    }
    Ok(text)
}

/// An index needs columns that exist.
fn known(columns: &[String], lines: &[(String, String, String)]) -> Result<(), Finding> {
    let Some(unknown) = columns.iter().find(|column| !lines.iter().any(|(name, ..)| *name == plain(column))) else {
        return Ok(());
    };
    let word = columns.join(",");
    let at = word.find(unknown.as_str()).unwrap_or(0);
    let finding = Finding::new(codes::NO_SUCH_COLUMN, format!("the table has no column `{unknown}`"));
    let finding = finding.at(Place::within("command line", word.as_str().into(), at..at + unknown.len()));
    Err(match migrate_base::suggest::nearest(unknown, lines.iter().map(|(name, ..)| name.as_str())) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding,
    })
}

/// The function in the schema that keeps `updated_at` current, by its usual name.
fn touch(schema: &Schema) -> Option<String> {
    let mut functions = schema.objects().filter(|one| one.id.kind == Kind::Function && one.id.signature.is_empty());
    let found = functions.find(|one| ["touch_updated_at", "set_updated_at"].contains(&&*one.id.name))?;
    Some(name(&format!(
        "{}.{}",
        migrate_base::ident::ident(&found.id.schema),
        migrate_base::ident::ident(&found.id.name)
    )))
}

fn add_column(schema: &Schema, table: &str, column: &DraftColumn) -> Result<Vec<UpScript>, Finding> {
    let resolved = resolve(schema, table, column)?;
    let at = |message: &str| {
        let text: std::sync::Arc<str> = column.word.as_str().into();
        Finding::new(codes::COLUMN_ROWS, message).at(Place::within("command line", text, 0..column.name.len()))
    };
    if column.key || column.unique {
        return Err(at("a new column of a table with rows cannot be unique at once")
            .help("add the column, fill it, then `cargo xtask new NAME --add-index table.column --unique`"));
    }
    if !column.nullable && resolved.default.is_none() {
        return Err(at("the existing rows would have no value in this column")
            .help(format!("make it nullable: {}:null", column.word))
            .help(format!("or give it a default: {}:default=…", column.word)));
    }
    let (of, name_of) = (name(table), plain(&column.name));
    let mut ups = vec![(
        "",
        format!(
            "{}ALTER TABLE {of} ADD COLUMN {name_of} {}{};\n",
            resolved.before,
            resolved.of,
            rest(column, &resolved)
        ),
    )];
    if let Some((to, key, on_delete)) = &resolved.refers {
        let [add, validate] =
            <[UpScript; 2]>::try_from(foreign_key(table, &column.name, to, key, on_delete)).unwrap_or_default();
        ups[0].1 += &add.1;
        ups.push(validate);
    }
    if column.indexed {
        ups.push(("_index", concurrently(table, std::slice::from_ref(&column.name), false)));
    }
    Ok(ups)
}
