//! What is different between two answers of the server to one query: pure.

use super::{Answer, Reach, Refusal, Shape};

/// One thing that is different for whoever sends the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The server refuses it.
    Refused(Refusal),
    /// The result is another one: a column of it, and a sentence that says how.
    Result(Weight, String, String),
    /// Columns came, or stand elsewhere because some came, as they do in the result of a `*`: as above.
    Came(Weight, String, String),
    /// A parameter has another type: its number, the type before, and the type after.
    Parameter(usize, String, String),
    /// What it calls is another function or operator: before, and after.
    Meaning(String, String),
}

/// Whether code that was made for the result of before can go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Most can.
    Bearable,
    /// It cannot.
    Breaking,
}

impl Difference {
    /// Whether code that runs already stops working, or works on something else.
    pub fn is_breaking(&self) -> bool {
        !matches!(self, Self::Result(Weight::Bearable, ..) | Self::Came(Weight::Bearable, ..))
    }
}

/// What is different for a query that could be prepared before. One that could not is no better or worse off.
pub fn differences(before: &Answer, after: &Answer) -> Vec<Difference> {
    match (before, after) {
        (Answer::Described(_), Answer::Refused(refusal)) => vec![Difference::Refused(refusal.clone())],
        (Answer::Described(before), Answer::Described(after)) => {
            let mut all = result(before, after);
            all.extend(parameters(before, after));
            all
        }
        (Answer::Refused(_), _) => Vec::new(),
    }
}

fn parameters(before: &Shape, after: &Shape) -> Vec<Difference> {
    let pairs = before.parameters.iter().zip(&after.parameters).enumerate().filter(|(_, (was, is))| was != is);
    pairs.map(|(at, (was, is))| Difference::Parameter(at + 1, was.clone(), is.clone())).collect()
}

fn result(before: &Shape, after: &Shape) -> Vec<Difference> {
    let names = |shape: &Shape| shape.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let (old, new) = (names(before), names(after));
    let mut all = columns(&old, &new);
    for (at, was) in before.columns.iter().enumerate() {
        // The same column, wherever it stands now.
        let same_place = after.columns.get(at).filter(|is| is.name == was.name);
        let Some(is) = same_place.or_else(|| after.columns.iter().find(|is| is.name == was.name)) else { continue };
        if was.of != is.of {
            all.push(breaking(&was.name, format!("`{}` was {} and is {}", was.name, was.of, is.of)));
        } else if was.is_filled && !is.is_filled && is.origin.is_some() {
            all.push(bearable(&was.name, format!("`{}` was never null and may be null now", was.name)));
        }
    }
    all
}

fn breaking(column: &str, text: String) -> Difference {
    Difference::Result(Weight::Breaking, column.to_owned(), text)
}

fn arrived(column: &str, text: String) -> Difference {
    Difference::Came(Weight::Breaking, column.to_owned(), text)
}

fn bearable(column: &str, text: String) -> Difference {
    Difference::Result(Weight::Bearable, column.to_owned(), text)
}

/// What became of the names and places of columns.
fn columns(old: &[String], new: &[String]) -> Vec<Difference> {
    let is_moved = new.len() < old.len() || old.iter().all(|name| new.contains(name)) && !new.starts_with(old);
    if is_moved {
        return rearranged(old, new);
    }
    let renamed = old.iter().zip(new).enumerate().filter(|(_, (was, is))| was != is);
    let mut all: Vec<Difference> =
        renamed.map(|(at, (was, is))| breaking(was, format!("column {} was `{was}` and is `{is}`", at + 1))).collect();
    if let [first, ..] = &new[old.len()..] {
        let came = new[old.len()..].iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let text = format!("{came} came behind the columns that were there");
        all.push(Difference::Came(Weight::Bearable, first.clone(), text));
    }
    all
}

/// What became of columns of which some went, or came between others.
fn rearranged(old: &[String], new: &[String]) -> Vec<Difference> {
    let gone = old.iter().enumerate().filter(|(_, name)| !new.contains(name));
    let came = new.iter().enumerate().filter(|(_, name)| !old.contains(name));
    let moved = old.iter().enumerate().find_map(|(at, name)| {
        let now = new.iter().position(|other| other == name)?;
        (now != at).then(|| arrived(name, format!("`{name}` was column {} and is column {}", at + 1, now + 1)))
    });
    let gone = gone.map(|(at, name)| breaking(name, format!("column {} `{name}` is gone", at + 1)));
    gone.chain(came.map(|(at, name)| arrived(name, format!("`{name}` came as column {}", at + 1))))
        .chain(moved)
        .collect()
}

/// What a query calls that is another function or operator than before, although it is spelt as it was. That PostgreSQL
/// takes another one of its own for another type, such as that for two integers of different length, means the same.
pub fn meaning(before: &Reach, after: &Reach) -> Vec<Difference> {
    let mut all = Vec::new();
    for (was, is) in [(&before.routines, &after.routines), (&before.operators, &after.operators)] {
        for (name, old, old_is_own) in was.difference(is) {
            let taken =
                is.difference(was).find(|(other, _, new_is_own)| other == name && !(*old_is_own && *new_is_own));
            all.extend(taken.map(|(_, new, _)| Difference::Meaning(old.clone(), new.clone())));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::Column;
    use super::*;

    fn shape(columns: &[(&str, &str)], parameters: &[&str]) -> Answer {
        let column = |(name, of): &(&str, &str)| {
            let of = of.strip_suffix('!').map_or((*of, false), |of| (of, true));
            let origin = Some((crate::ident::QualifiedName::new("public", "t"), (*name).to_owned()));
            Column { name: (*name).to_owned(), of: of.0.to_owned(), origin, is_filled: of.1 }
        };
        Answer::Described(Shape {
            columns: columns.iter().map(column).collect(),
            parameters: parameters.iter().map(|of| (*of).to_owned()).collect(),
        })
    }

    #[track_caller]
    fn check(before: &[(&str, &str)], after: &[(&str, &str)], expected: &[(Weight, &str)]) {
        let text = |difference: Difference| match difference {
            Difference::Result(weight, _, text) | Difference::Came(weight, _, text) => (weight, text),
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = differences(&shape(before, &[]), &shape(after, &[])).into_iter().map(text).collect();
        let expected: Vec<_> = expected.iter().map(|(weight, text)| (*weight, (*text).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_result_is_compared_by_name_type_place_and_null() {
        use Weight::{Bearable, Breaking};
        let ab = [("a", "integer!"), ("b", "text")];
        check(&ab, &ab, &[]);
        check(&ab, &[("a", "integer!"), ("c", "text")], &[(Breaking, "column 2 was `b` and is `c`")]);
        check(&ab, &[("a", "bigint!"), ("b", "text")], &[(Breaking, "`a` was integer and is bigint")]);
        check(&ab, &[("a", "integer"), ("b", "text")], &[(Bearable, "`a` was never null and may be null now")]);
        check(&ab, &[("a", "integer!"), ("b", "text!")], &[]);
        let more = [("a", "integer!"), ("b", "text"), ("c", "text")];
        check(&ab, &more, &[(Bearable, "`c` came behind the columns that were there")]);
        check(&more, &ab, &[(Breaking, "column 3 `c` is gone")]);
        let between = [("a", "integer!"), ("c", "text"), ("b", "text")];
        let moved = [(Breaking, "`c` came as column 2"), (Breaking, "`b` was column 2 and is column 3")];
        check(&ab, &between, &moved);
    }

    #[test]
    fn what_was_refused_before_is_nobodys_fault() {
        let refused = Answer::Refused(Refusal {
            sqlstate: "42703".into(),
            message: "no".into(),
            detail: None,
            hint: None,
            at: None,
        });
        assert!(differences(&refused, &shape(&[], &[])).is_empty() && differences(&refused, &refused).is_empty());
        assert!(matches!(differences(&shape(&[], &[]), &refused)[..], [Difference::Refused(_)]));
        let parameter = differences(&shape(&[], &["integer"]), &shape(&[], &["text"]));
        assert_eq!(parameter, [Difference::Parameter(1, "integer".into(), "text".into())]);
    }

    #[test]
    fn only_a_function_of_somebody_changes_the_meaning() {
        let reach = |name: &str, own: bool| Reach {
            routines: [("f".to_owned(), name.to_owned(), own)].into(),
            ..Reach::default()
        };
        let all = meaning(&reach("f(text)", true), &reach("f(integer)", false));
        assert_eq!(all, [Difference::Meaning("f(text)".into(), "f(integer)".into())]);
        assert!(meaning(&reach("f(text)", true), &reach("f(integer)", true)).is_empty());
    }
}
