//! The notation for columns: `total:decimal:12,2`, `user_id:references:users`, `status:enum:pending,paid`.

use migrate_base::codes::{self, Code};
use std::ops::Range;

use migrate_base::finding::{Finding, Place};
use migrate_base::ident::{QualifiedName, literal, plain};
use migrate_base::suggest;
use migrate_schema::{Kind, Schema};

/// A column as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: DraftType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it is the primary key.
    pub key: bool,
    /// Whether no two rows may have the same value.
    pub unique: bool,
    /// Whether it gets an index.
    pub indexed: bool,
    /// Its default, as SQL.
    pub default: Option<String>,
    /// The word that it was read from.
    pub word: String,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftType {
    /// A type, as in SQL.
    Sql(String),
    /// A new enum type with these labels.
    Enum(Vec<String>),
    /// A reference to the key of another table, and what happens when the referenced row is deleted.
    Reference {
        /// The table, as it was typed.
        table: String,
        /// The action: `RESTRICT`, `CASCADE`, `SET NULL`.
        on_delete: &'static str,
    },
}

/// The words for types: as typed, as PostgreSQL names them, and how many arguments they take.
const TYPES: [(&str, &str, Range<usize>); 34] = [
    ("uuid", "uuid", 0..1),
    ("text", "text", 0..1),
    ("string", "text", 0..1),
    ("citext", "citext", 0..1),
    ("varchar", "varchar", 0..2),
    ("char", "char", 0..2),
    ("int", "integer", 0..1),
    ("integer", "integer", 0..1),
    ("smallint", "smallint", 0..1),
    ("bigint", "bigint", 0..1),
    ("decimal", "numeric", 0..3),
    ("numeric", "numeric", 0..3),
    ("real", "real", 0..1),
    ("float", "double precision", 0..1),
    ("double", "double precision", 0..1),
    ("boolean", "boolean", 0..1),
    ("bool", "boolean", 0..1),
    ("date", "date", 0..1),
    ("time", "time", 0..1),
    ("timestamp", "timestamp", 0..1),
    ("timestamptz", "timestamptz", 0..1),
    ("datetime", "timestamptz", 0..1),
    ("interval", "interval", 0..1),
    ("json", "json", 0..1),
    ("jsonb", "jsonb", 0..1),
    ("bytea", "bytea", 0..1),
    ("inet", "inet", 0..1),
    ("cidr", "cidr", 0..1),
    ("macaddr", "macaddr", 0..1),
    ("tsvector", "tsvector", 0..1),
    ("xml", "xml", 0..1),
    ("tstzrange", "tstzrange", 0..1),
    ("daterange", "daterange", 0..1),
    ("int4range", "int4range", 0..1),
];

const MODIFIERS: [&str; 8] = ["pk", "null", "unique", "index", "default=", "cascade", "set-null", "restrict"];

/// One part of a word, between colons.
struct WordPart<'a> {
    text: &'a str,
    at: Range<usize>,
}

impl DraftColumn {
    /// Reads a column; types that the schema defines are recognized by name.
    ///
    /// # Errors
    ///
    /// A finding that points at the wrong part of the word.
    pub fn parse(word: &str, schema: &Schema) -> Result<Self, Finding> {
        let mut at = 0;
        let mut pieces = Vec::new();
        for text in word.split(':') {
            pieces.push(WordPart { text, at: at..at + text.len() });
            at += text.len() + 1;
        }
        let mut pieces = pieces.into_iter();
        let whole = || WordPart { text: word, at: 0..word.len() };
        let name = pieces.next().filter(|piece| !piece.text.is_empty()).ok_or_else(|| {
            wrong(word, &whole(), codes::COLUMN_NAME, "a column starts with its name")
                .help("write name:type, such as total:decimal:12,2")
        })?;
        let kind = pieces.next().filter(|piece| !piece.text.is_empty()).ok_or_else(|| {
            wrong(word, &name, codes::COLUMN_TYPE, "this column has no type")
                .help(format!("write {}:text, for example", name.text))
        })?;
        let mut rest: Vec<WordPart<'_>> = pieces.collect();
        let of = read_type(word, &kind, &mut rest, schema)?;
        let mut column = Self {
            name: name.text.to_owned(),
            of,
            nullable: false,
            key: false,
            unique: false,
            indexed: false,
            default: None,
            word: word.to_owned(),
        };
        for piece in &rest {
            column.take(word, piece)?;
        }
        Ok(column)
    }

    fn take(&mut self, word: &str, piece: &WordPart<'_>) -> Result<(), Finding> {
        let action = match piece.text {
            "cascade" => Some("CASCADE"),
            "set-null" => Some("SET NULL"),
            "restrict" => Some("RESTRICT"),
            _ => None,
        };
        match (piece.text, action, &mut self.of) {
            ("pk", ..) => self.key = true,
            ("null", ..) => self.nullable = true,
            ("unique", ..) => self.unique = true,
            ("index", ..) => self.indexed = true,
            (_, Some(action), DraftType::Reference { on_delete, .. }) => {
                *on_delete = action;
                self.nullable |= action == "SET NULL";
            }
            (text, None, _) if text.starts_with("default=") => {
                let value = text.trim_start_matches("default=");
                let is_sql = value.parse::<f64>().is_ok() || value.ends_with(')') || ["true", "false"].contains(&value);
                self.default = Some(if is_sql { value.to_owned() } else { literal(value) });
            }
            _ => {
                let finding = wrong(
                    word,
                    piece,
                    codes::COLUMN_MODIFIER,
                    &format!("`{}` is not a modifier of a column", piece.text),
                );
                return Err(match suggest::nearest(piece.text, MODIFIERS) {
                    Some(near) if near == piece.text => finding
                        .help(format!("only a reference takes `{near}`: write {}:references:users:{near}", self.name)),
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help(format!("these can follow the type: {}", MODIFIERS.join(", "))),
                });
            }
        }
        Ok(())
    }
}

fn read_type(
    word: &str,
    kind: &WordPart<'_>,
    rest: &mut Vec<WordPart<'_>>,
    schema: &Schema,
) -> Result<DraftType, Finding> {
    let (text, array) = kind.text.strip_suffix("[]").map_or((kind.text, ""), |of| (of, "[]"));
    if text == "enum" {
        let labels = if rest.is_empty() { None } else { Some(rest.remove(0)) };
        let labels = labels.filter(|labels| labels.text.split(',').all(|label| !label.is_empty()));
        let labels = labels.ok_or_else(|| {
            wrong(word, kind, codes::COLUMN_ENUM, "an enum needs labels").help("write status:enum:pending,paid,shipped")
        })?;
        return Ok(DraftType::Enum(labels.text.split(',').map(str::to_owned).collect()));
    }
    if text == "references" {
        let table = if rest.is_empty() { None } else { Some(rest.remove(0)) };
        let table = table.filter(|table| !table.text.is_empty()).ok_or_else(|| {
            wrong(word, kind, codes::COLUMN_REFERENCE, "a reference needs a table")
                .help("write user_id:references:users")
        })?;
        return Ok(DraftType::Reference { table: table.text.to_owned(), on_delete: "RESTRICT" });
    }
    if let Some((_, name, arguments)) = TYPES.iter().find(|(known, ..)| *known == text) {
        let takes =
            arguments.end > 1 && rest.first().is_some_and(|piece| piece.text.starts_with(|c: char| c.is_ascii_digit()));
        let given = takes.then(|| rest.remove(0));
        let numbers: Vec<&str> = given.iter().flat_map(|piece| piece.text.split(',')).collect();
        let piece = given.as_ref().unwrap_or(kind);
        if numbers.len() >= arguments.end || numbers.iter().any(|number| number.parse::<u32>().is_err()) {
            return Err(wrong(word, piece, codes::COLUMN_TYPE, &format!("`{text}` does not take `{}`", piece.text))
                .help("write, for example, total:decimal:12,2 or code:varchar:20"));
        }
        let arguments = if numbers.is_empty() { String::new() } else { format!("({})", numbers.join(",")) };
        return Ok(DraftType::Sql(format!("{name}{arguments}{array}")));
    }
    let own = schema.objects().filter(|one| matches!(one.id.kind, Kind::Type | Kind::Domain));
    let own: Vec<String> = own.map(|one| one.id.name.to_string()).collect();
    if own.iter().any(|name| name == text) {
        return Ok(DraftType::Sql(format!("{}{array}", plain(text))));
    }
    let finding = wrong(word, kind, codes::COLUMN_TYPE, &format!("there is no type `{text}`"));
    let known =
        TYPES.iter().map(|(word, ..)| *word).chain(["enum", "references"]).chain(own.iter().map(String::as_str));
    let known: Vec<&str> = known.collect();
    Err(match suggest::nearest(text, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(format!("the types are {}", known.join(", "))),
    })
}

/// A finding that points at a part of a word on the command line.
fn wrong(word: &str, piece: &WordPart<'_>, code: Code, message: &str) -> Finding {
    Finding::new(code, message).at(Place::within("command line", word.into(), piece.at.clone()))
}

/// The type of the primary key of a table, and the name of its column.
pub(super) fn key_of(schema: &Schema, table: &str) -> Result<(QualifiedName, String, String), String> {
    let wanted = QualifiedName::parse(table);
    let is_it = |name: &str, space: &str| match &wanted {
        Some(wanted) => wanted.schema() == space && wanted.name() == name,
        None => name == table,
    };
    let tables: Vec<_> = schema.objects().filter(|one| one.id.kind == Kind::Table).collect();
    let Some(found) = tables.iter().find(|one| is_it(&one.id.name, &one.id.schema)) else {
        let near = suggest::nearest(table, tables.iter().map(|one| &*one.id.name));
        return Err(near.map_or(format!("there is no table `{table}`"), |near| {
            format!("there is no table `{table}`; did you mean `{near}`?")
        }));
    };
    let key = schema
        .children(&found.id, Kind::Constraint)
        .find_map(|one| one.fact("definition")?.strip_prefix("PRIMARY KEY ("));
    let key = key.and_then(migrate_base::ident::first_name).filter(|(_, rest)| *rest == ")").map(|(name, _)| name);
    let Some(key) = key else { return Err(format!("table `{table}` has no single-column primary key")) };
    let of = schema.children(&found.id, Kind::Column).find(|one| *one.id.name == *key).and_then(|one| one.fact("type"));
    let name = QualifiedName::new(&*found.id.schema, &*found.id.name);
    Ok((name, key, of.unwrap_or("bigint").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(word: &str) -> Result<DraftColumn, (String, String)> {
        DraftColumn::parse(word, &Schema::default()).map_err(|finding| {
            let place = finding.place.unwrap();
            let (text, span, _) = place.source().unwrap();
            (finding.message, text[span].to_owned())
        })
    }

    #[test]
    fn columns_are_read() {
        let column = parse("total:decimal:12,2:null:default=0").unwrap();
        assert_eq!(
            (column.of, column.nullable, column.default),
            (DraftType::Sql("numeric(12,2)".into()), true, Some("0".into()))
        );
        assert_eq!(parse("a:text[]").unwrap().of, DraftType::Sql("text[]".into()));
        assert_eq!(parse("s:enum:a,b").unwrap().of, DraftType::Enum(vec!["a".into(), "b".into()]));
        let user = parse("user_id:references:users:set-null").unwrap();
        assert_eq!(user.of, DraftType::Reference { table: "users".into(), on_delete: "SET NULL" });
        assert!(user.nullable && parse("id:uuid:pk").unwrap().key);
    }

    #[test]
    fn the_wrong_part_is_pointed_at() {
        let part = |word: &str| parse(word).unwrap_err().1;
        assert_eq!(part("total:decimel:12,2"), "decimel");
        assert_eq!(part("total:decimal:12,x"), "12,x");
        assert_eq!(part("total:decimal:12,2:nul"), "nul");
        assert_eq!(part("total"), "total");
        assert_eq!(part("s:enum"), "enum");
        assert_eq!(part("u:references"), "references");
        assert_eq!(part("a:text:cascade"), "cascade");
    }
}
