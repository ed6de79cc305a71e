//! Rows that have no value where a column must get one: what gives them one, before the column refuses them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ident::{catalog_name, plain};
use crate::schema::ddl::{Ddl, Hazard, Statement};
use crate::schema::{Id, Kind, Object, Schema};
use crate::sql::tokens;

/// Puts before each statement by which a column begins to refuse rows without a value what gives them one: what the
/// migrations say themselves (`own` are their statements that change rows), or the default of the column, which is set
/// first then. Where nothing says which value, the statement says that it needs one.
pub fn fill(ddl: &mut Ddl, before: &Schema, after: &Schema, own: &[String]) {
    let mut filled: Vec<Statement> = Vec::new();
    let mut rest: VecDeque<Statement> = std::mem::take(&mut ddl.statements).into();
    while let Some(statement) = rest.pop_front() {
        let Some(column) = refusing(&statement, before, after) else {
            filled.push(statement);
            continue;
        };
        let mut updates = own.iter().filter(|text| sets(text, &column.id)).peekable();
        let default = column.fact("default").filter(|_| updates.peek().is_none());
        let is_default = |one: &Statement| one.object.as_ref() == Some(&column.id) && has(one, ["set", "default"]);
        if let Some(at) = rest.iter().position(is_default).filter(|_| default.is_some()) {
            rest.insert(at + 1, statement);
            continue;
        }
        let (of, name) = (format!("{}.{}", plain(&column.id.schema), plain(&column.id.parent)), plain(&column.id.name));
        let about = |text: String| Statement { object: Some(column.id.clone()), ..Statement::of(text) };
        let mut last = statement;
        if updates.peek().is_some() && before.get(&column.id).is_none() {
            let required = about(format!("ALTER TABLE {of} ALTER COLUMN {name} SET NOT NULL"));
            let added = Statement { text: last.text.replacen(" NOT NULL", "", 1), ..last };
            filled.push(added);
            last = required;
        }
        match default {
            Some(value) => filled.push(about(format!("UPDATE {of} SET {name} = {value} WHERE {name} IS NULL"))),
            None if updates.peek().is_none() => last.hazards.push(Hazard::Refused(format!(
                "rows of {of}: they have no {name}, and the migrations do not say which value they get"
            ))),
            None => {
                let texts = updates.map(|text| text.trim_end_matches(';').to_owned());
                let new: Vec<String> = texts.filter(|text| !filled.iter().any(|one| one.text == *text)).collect();
                filled.extend(new.into_iter().map(about));
            }
        }
        filled.push(last);
    }
    ddl.statements = filled;
}

/// The column that refuses rows without a value from a statement on, where its table was there before and they can have none.
fn refusing<'a>(statement: &Statement, before: &Schema, after: &'a Schema) -> Option<&'a Arc<Object>> {
    let id = statement.object.as_ref().filter(|id| id.kind == Kind::Column)?;
    let column = after.get(id)?;
    let table = [Kind::Table, Kind::ForeignTable].map(|kind| Id::named(kind, &id.schema, &id.parent));
    let is_drawn = ["generated", "identity"].iter().any(|fact| column.fact(fact).is_some());
    let was_free = match before.get(id) {
        Some(old) => old.fact("not null").is_none(),
        // A new column has its default in every row.
        None => column.fact("default").is_none() && !is_drawn && table.iter().any(|id| before.get(id).is_some()),
    };
    let begins =
        has(statement, ["not", "null"]) && !has(statement, ["not", "valid"]) && !has(statement, ["set", "default"]);
    (was_free && begins && column.fact("not null").is_some() && column.fact("generated").is_none()).then_some(column)
}

/// Whether a statement has these two words one behind the other.
fn has(statement: &Statement, two: [&str; 2]) -> bool {
    tokens(&statement.text)
        .windows(2)
        .any(|pair| pair.iter().zip(two).all(|(one, word)| one.eq_ignore_ascii_case(word)))
}

/// Whether a statement is an `UPDATE` that gives a column a value.
fn sets(text: &str, column: &Id) -> bool {
    let words = tokens(text);
    let is = |at: usize, word: &str| words.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word));
    let Some(set) = (0..words.len()).find(|at| is(*at, "set")).filter(|_| is(0, "update")) else { return false };
    let from = 1 + usize::from(is(1, "only"));
    let is_name =
        |at: usize, name: &str| words.get(at).and_then(|word| catalog_name(word)).is_some_and(|one| one == name);
    let is_table = match words.get(from + 1) {
        Some(&".") => is_name(from, &column.schema) && is_name(from + 2, &column.parent),
        _ => is_name(from, &column.parent),
    };
    let end = (set..words.len()).find(|at| is(*at, "from") || is(*at, "where")).unwrap_or(words.len());
    is_table && (set..end).any(|at| is_name(at, &column.name) && matches!(words.get(at + 1), Some(&("=" | "," | ")"))))
}
