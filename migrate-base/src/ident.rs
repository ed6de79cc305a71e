//! Names and literals in SQL text: the only place in the workspace that quotes.
//!
//! A statement that is sent alone binds its values. A run sends many statements in one message, and such a message
//! cannot bind values; that is what [`literal`] is for. Whether a name exists and what it refers to is left to the
//! server.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

/// A table or another object with its schema, ready to be written in SQL.
///
/// The schema is always given: a `search_path` must never decide which ledger is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    schema: String,
    name: String,
}

impl QualifiedName {
    /// Creates a name from a schema and a name, both as they are stored in the catalog (unquoted, in their own case).
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// Reads `schema.name`, where each part may be in double quotes as in SQL.
    ///
    /// An unquoted part is folded to lower case, as the server does. Returns `None` unless the text has exactly two
    /// parts.
    pub fn parse(text: &str) -> Option<Self> {
        let (schema, rest) = first_name(text.trim())?;
        let (name, rest) = first_name(rest.strip_prefix('.')?)?;
        rest.is_empty().then_some(Self { schema, name })
    }

    /// The schema, as stored in the catalog.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The name without its schema, as stored in the catalog.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as somebody would write it: quoted only where that is necessary.
    pub fn plain(&self) -> String {
        [self.schema(), self.name()].map(plain).join(".")
    }
}

/// Writes the name as SQL text, with both parts quoted.
impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", ident(&self.schema), ident(&self.name))
    }
}

/// Reads the text up to the closing quote, replaces doubled quotes with single ones, and returns it together with the
/// rest. Returns `None` if the quote is never closed.
pub fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once(quote)?;
        value.push_str(before);
        let Some(more) = after.strip_prefix(quote) else { return Some((value, after)) };
        value.push(quote);
        rest = more;
    }
}

/// Reads the name at the start of a text, quoted or not, as the catalog stores it, and returns it together with the
/// rest.
pub fn first_name(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        return quoted(inside, '"').filter(|(name, _)| !name.is_empty());
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    let plain = &text[..end];
    let starts_well = plain.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    starts_well.then(|| (plain.to_lowercase(), &text[end..]))
}

/// Reads a comma-separated list of names, each as [`first_name`] does, up to anything else.
pub fn names(list: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = Some(list);
    while let Some((name, after)) = rest.and_then(|rest| first_name(rest.trim_start())) {
        all.push(name);
        rest = after.trim_start().strip_prefix(',');
    }
    all
}

/// Reads a comma-separated list of `schema.name`, up to anything else.
pub fn qualified_names(list: &str) -> Vec<QualifiedName> {
    let mut all = Vec::new();
    let mut rest = Some(list);
    while let Some((schema, after)) = rest.and_then(|rest| first_name(rest.trim_start())) {
        let Some((name, after)) = after.strip_prefix('.').and_then(first_name) else { break };
        all.push(QualifiedName { schema, name });
        rest = after.trim_start().strip_prefix(',');
    }
    all
}

/// The values in a list of literals: `'a', 'it''s'`.
pub fn literals(list: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = list;
    while let Some((value, after)) = rest.split_once('\'').and_then(|(_, inside)| quoted(inside, '\'')) {
        all.push(value);
        rest = after;
    }
    all
}

/// Reads a name as written in SQL, quoted or not, as the catalog stores it.
pub fn catalog_name(written: &str) -> Option<String> {
    first_name(written).filter(|(_, rest)| rest.is_empty()).map(|(name, _)| name)
}

/// Words that must be quoted to be used as names, in PostgreSQL 18 and earlier versions.
///
/// See <https://www.postgresql.org/docs/current/sql-keywords-appendix.html>.
const KEYWORDS: &str = "\
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case \
    cast char character check coalesce collate collation column concurrently constraint create cross \
    current_catalog current_date current_role current_schema current_time current_timestamp current_user dec \
    decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze \
    from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval \
    into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar \
    json_serialize json_table json_value lateral leading least left like limit localtime localtimestamp \
    merge_action national natural nchar none normalize not notnull null nullif numeric offset on only or order out \
    outer overlaps overlay placing position precision primary real references returning right row select \
    session_user setof similar smallint some substring symmetric system_user table tablesample then time timestamp \
    to trailing treat trim true union unique user using values varchar variadic verbose when where window with \
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize \
    xmltable";

/// Whether a word in lower case must be quoted to be used as a name.
pub fn is_keyword(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| KEYWORDS.split_ascii_whitespace().collect());
    WORDS.contains(word)
}

/// Writes a name as an SQL identifier for display: in double quotes only if it needs them.
pub fn plain(name: &str) -> String {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let goes_on = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_plain = begins && goes_on && !is_keyword(name);
    if is_plain { name.to_owned() } else { ident(name) }
}

/// Writes a name as an SQL identifier, in double quotes.
///
/// It is always quoted, which is correct for every name and every list of reserved words.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes a text as an SQL literal that has the same meaning whatever `standard_conforming_strings` is.
///
/// This is what the server's own `quote_literal` does: a text with a backslash becomes an escape string. A PostgreSQL
/// text cannot contain NUL, so NUL is left out.
///
/// See <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE>.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\0', "").replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Writes an optional text as a literal, or as `NULL`.
pub fn nullable(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_was_written() {
        for (schema, name) in [("roundtrip", "ledger"), ("Mixed Case", "we\"ird"), ("ü", "a.b")] {
            let written = QualifiedName::new(schema, name);
            assert_eq!(QualifiedName::parse(&written.to_string()), Some(written));
        }
    }

    #[test]
    fn an_unquoted_name_folds_to_lower_case() {
        assert_eq!(QualifiedName::parse("Ops.Ledger"), Some(QualifiedName::new("ops", "ledger")));
    }

    #[test]
    fn a_list_of_names_is_cut_at_the_commas_between_them() {
        assert_eq!(names("a, \"b, c\",d, \"e\"\"f\""), ["a", "b, c", "d", "e\"f"]);
        assert_eq!(names(""), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_two_parts_is_not_a_name() {
        for text in ["ledger", "a.b.c", "a.", ".b", "", "\"a.b", "1a.b", "a b.c", "\"\".x"] {
            assert_eq!(QualifiedName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn lists_are_read_to_their_end_whatever_is_in_the_names() {
        let read = |list: &str| qualified_names(list).into_iter().map(|one| (one.schema, one.name)).collect::<Vec<_>>();
        let pair = |schema: &str, name: &str| (schema.to_owned(), name.to_owned());
        let expected = [pair("public", "a"), pair("s", "b, c"), pair("x.y", "d\"e")];
        assert_eq!(read("public.a, s.\"b, c\", \"x.y\".\"d\"\"e\""), expected);
        assert!(read("").is_empty() && read("alone").is_empty());
        assert_eq!(literals("'a', 'b'', ''c', ''"), ["a", "b', 'c", ""]);
    }
}
