//! Expressions that PostgreSQL prints in a form which it parses differently, with the casts and names that make it parse what
//! it printed.

mod array;
mod nested;
mod unnamed;

use crate::schema::tokens::Tokens;

/// What is put into a text, and at which byte.
type Insertion = (usize, &'static str);

/// A text that the server wrote, so that the server reads it as what it is.
pub(super) fn as_written(text: &str) -> String {
    // Most texts have nothing of it, and need not be cut into tokens.
    let has = |one: &str| text.contains(one);
    let has_constants = has("SELECT") && (has("'::") || has("NULL::"));
    if !(has("ARRAY[") || has(") AND") || has(") OR") || has_constants) {
        return text.to_owned();
    }
    let tokens = Tokens::of(text);
    let mut all: Vec<Insertion> = array::casts(&tokens);
    all.extend(nested::casts(&tokens));
    all.extend(unnamed::names(&tokens));
    all.sort_by_key(|(at, _)| *at);
    let (mut made, mut at) = (String::with_capacity(text.len()), 0);
    for (end, what) in all {
        made += &text[at..end];
        made += what;
        at = end;
    }
    made + &text[at..]
}
