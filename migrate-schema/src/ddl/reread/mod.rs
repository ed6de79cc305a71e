//! Expressions that PostgreSQL prints in a form that it parses differently. This module adds the casts and names that
//! make PostgreSQL parse what it printed.

mod array;
mod nested;
mod unnamed;

use crate::tokens::Tokens;

/// A text to insert, and the byte at which to insert it.
type Insertion = (usize, &'static str);

/// A text printed by the server, changed so that the server parses it with its original meaning.
pub(super) fn as_written(text: &str) -> String {
    // Most texts contain none of this, and need not be split into tokens.
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
