//! The `UPDATE` statements of migrations: which columns they set, and how they can run if they may already have run.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use migrate_base::ident::{catalog_name, plain};
use migrate_base::sql::lex::words;
use migrate_schema::{Id, Kind, Object, Schema};

/// A parsed `UPDATE`.
pub(super) struct UpdateStatement<'a> {
    text: &'a str,
    words: Vec<Range<usize>>,
    /// The schema, if written, and the table.
    table: (Option<String>, String),
    /// The alias or name of its rows, as written.
    rows: &'a str,
    /// The columns that it sets.
    columns: Vec<String>,
    /// The index of the word after the last clause before `RETURNING`, and the index of `WHERE`.
    end: usize,
    condition: Option<usize>,
}

impl<'a> UpdateStatement<'a> {
    /// Parses a statement; `None` if it is not an `UPDATE`.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let spans: Vec<Range<usize>> = words(text).map(|(_, span)| span).collect();
        let spans = match spans.last().filter(|last| &text[(*last).clone()] == ";") {
            Some(_) => spans[..spans.len() - 1].to_vec(),
            None => spans,
        };
        let word = |at: usize| spans.get(at).map(|span| &text[span.clone()]);
        let is = |at: usize, other: &str| word(at).is_some_and(|word| word.eq_ignore_ascii_case(other));
        let first = 1 + usize::from(is(0, "update") && is(1, "only"));
        let (schema, last) = if is(first + 1, ".") { (word(first), first + 2) } else { (None, first) };
        let set = (last..spans.len()).find(|at| is(*at, "set")).filter(|_| is(0, "update"))?;
        let has_alias = set > last + 1 && !is(set - 1, "*");
        let top = top_level(text, &spans);
        let clause = |name: &str| (set..spans.len()).find(|at| top[*at] && is(*at, name));
        let end = clause("returning").unwrap_or(spans.len());
        let condition = clause("where").filter(|at| *at < end);
        let assigned = set + 1..clause("from").or(condition).unwrap_or(end).min(end);
        Some(Self {
            columns: targets(text, &spans[assigned.clone()], &top[assigned]),
            table: (schema.and_then(catalog_name), catalog_name(word(last)?)?),
            rows: word(if has_alias { set - 1 } else { last })?,
            text,
            end,
            condition,
            words: spans,
        })
    }

    /// Whether it sets a column.
    pub(super) fn sets(&self, column: &Id) -> bool {
        let (schema, table) = &self.table;
        schema.as_ref().is_none_or(|schema| **schema == *column.schema)
            && **table == *column.parent
            && self.columns.iter().any(|name| **name == *column.name)
    }

    /// Whether both set a column with the same name.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.table.1 == other.table.1 && self.columns.iter().any(|column| other.columns.contains(column))
    }

    /// The statement without its condition and its `RETURNING` clause.
    pub(super) fn head(&self) -> &'a str {
        let last = self.words.get(self.condition.unwrap_or(self.end).saturating_sub(1));
        let span = self.words.first().zip(last);
        span.map_or("", |(first, last)| &self.text[first.start..last.end])
    }

    /// Its words, without comments.
    pub(super) fn words(&self) -> impl Iterator<Item = &'a str> {
        let text = self.text;
        self.words.iter().map(move |span| &text[span.clone()])
    }

    /// All names in the statement.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.words().filter_map(catalog_name).collect()
    }

    /// A form that can run for a column even if the statement has already run: rows that have a value keep it. `None`
    /// if it also changes values that rows had before.
    pub(super) fn again(&self, before: &Schema, after: &Schema, column: &Id) -> Option<String> {
        let id = |name: &String| Id { name: name.as_str().into(), ..column.clone() };
        let is_required =
            |schema: &Schema, name| schema.get(&id(name)).is_some_and(|one| one.fact("not null").is_some());
        // A column that does not exist yet has no values.
        let there: Vec<&String> = self.columns.iter().filter(|name| before.get(&id(name)).is_some()).collect();
        if !there.iter().all(|name| !is_required(before, name) && is_required(after, name)) {
            return None;
        }
        Some(self.where_null(there))
    }

    /// A form that can run if it is unknown whether the statement has run: all columns that it sets are new and have no
    /// value by themselves, and rows that have a value keep it. `None` for any other statement.
    pub(super) fn unseen(&self, before: &Schema, there: &Schema) -> Option<String> {
        let (schema, table) = &self.table;
        let is_of = |id: &Id| schema.as_ref().is_none_or(|schema| **schema == *id.schema) && **table == *id.parent;
        let has = |id: &Id, name: &str| id.kind == Kind::Column && *id.name == *name && is_of(id);
        let in_schema =
            |all: &Schema, name: &str| all.objects().filter(|one| has(&one.id, name)).cloned().collect::<Vec<_>>();
        let drawn = ["default", "identity", "generated"];
        let is_new = |name: &String| {
            let now = in_schema(there, name);
            let is_empty = |one: &Arc<Object>| drawn.iter().all(|fact| one.fact(fact).is_none());
            in_schema(before, name).is_empty() && !now.is_empty() && now.iter().all(is_empty)
        };
        (!self.columns.is_empty() && self.columns.iter().all(is_new))
            .then(|| self.where_null(self.columns.iter().collect()))
    }

    /// The statement restricted to rows without a value in these columns.
    fn where_null(&self, columns: Vec<&String>) -> String {
        let open = columns.into_iter().filter(|name| !self.asks_for_null(name));
        let nulls: Vec<String> = open.map(|name| format!("{}.{} IS NULL", self.rows, plain(name))).collect();
        let part = |words: Range<usize>| {
            let span = self.words.get(words.start).zip(self.words.get(words.end.saturating_sub(1)));
            span.map_or("", |(first, last)| &self.text[first.start..last.end])
        };
        match (nulls.is_empty(), self.condition) {
            (true, _) => part(0..self.end).to_owned(),
            (false, None) => format!("{} WHERE {}", part(0..self.end), nulls.join(" AND ")),
            (false, Some(at)) => {
                format!("{} WHERE ({}) AND {}", part(0..at), part(at + 1..self.end), nulls.join(" AND "))
            }
        }
    }

    /// Whether it changes only rows without a value in a column.
    fn asks_for_null(&self, column: &str) -> bool {
        let Some(at) = self.condition else { return false };
        let spans = &self.words[at + 1..self.end];
        let top = top_level(self.text, spans);
        let words: Vec<&str> = spans.iter().map(|span| &self.text[span.clone()]).collect();
        let is = |at: usize, word: &str| words[at].eq_ignore_ascii_case(word);
        let any = |word: &str| (0..words.len()).any(|at| top[at] && is(at, word));
        let asks = |at: usize| {
            top[at]
                && catalog_name(words[at]).is_some_and(|name| name == column)
                && is(at + 1, "is")
                && is(at + 2, "null")
        };
        !any("or") && !any("not") && (0..words.len().saturating_sub(2)).any(asks)
    }
}

/// Which words are outside parentheses and brackets.
fn top_level(text: &str, words: &[Range<usize>]) -> Vec<bool> {
    let mut depth = 0_usize;
    let is_top = |span: &Range<usize>| match &text[span.clone()] {
        "(" | "[" => {
            depth += 1;
            false
        }
        ")" | "]" => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    };
    words.iter().map(is_top).collect()
}

/// The columns that are set: one before each `=`, or several in parentheses.
fn targets(text: &str, words: &[Range<usize>], top: &[bool]) -> Vec<String> {
    let is_comma = |at: usize| top[at] && &text[words[at].clone()] == ",";
    let starts = (0..words.len()).filter(|at| *at == 0 || is_comma(at - 1));
    let names = |start: usize| {
        let several = words[start..].iter().skip(1).map(|span| &text[span.clone()]);
        match &text[words[start].clone()] {
            "(" => several.take_while(|word| *word != ")").filter_map(catalog_name).collect(),
            word => catalog_name(word).into_iter().collect::<Vec<_>>(),
        }
    };
    starts.flat_map(names).collect()
}
