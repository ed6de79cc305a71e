//! Compares two answers of the server to one query. Pure functions.

use super::{PrepareAnswer, PrepareRefusal, QueryDependencies, QueryDescription};

/// One difference for the service that sends the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryDifference {
    /// The server refuses it.
    Refused(PrepareRefusal),
    /// The result has changed: the column, and a sentence that says how.
    Result(ChangeImpact, String, String),
    /// Columns were added, or moved because others were added, as in the result of a `*`: fields as above.
    Came(ChangeImpact, String, String),
    /// A parameter has another type: its number, the old type, and the new type.
    Parameter(usize, String, String),
    /// The query calls another function or operator: the old one, and the new one.
    Meaning(String, String),
}

/// Whether code written for the old result works with the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeImpact {
    /// Most code does.
    Bearable,
    /// It does not.
    Breaking,
}

impl QueryDifference {
    /// Whether running code stops working, or works on something else.
    pub fn is_breaking(&self) -> bool {
        !matches!(self, Self::Result(ChangeImpact::Bearable, ..) | Self::Came(ChangeImpact::Bearable, ..))
    }
}

/// The differences for a query that could be prepared before. A query that could not be prepared before has none.
pub fn differences(before: &PrepareAnswer, after: &PrepareAnswer) -> Vec<QueryDifference> {
    match (before, after) {
        (PrepareAnswer::Described(_), PrepareAnswer::Refused(refusal)) => {
            vec![QueryDifference::Refused(refusal.clone())]
        }
        (PrepareAnswer::Described(before), PrepareAnswer::Described(after)) => {
            let mut all = result(before, after);
            all.extend(parameters(before, after));
            all
        }
        (PrepareAnswer::Refused(_), _) => Vec::new(),
    }
}

fn parameters(before: &QueryDescription, after: &QueryDescription) -> Vec<QueryDifference> {
    let pairs = before.parameters.iter().zip(&after.parameters).enumerate().filter(|(_, (was, is))| was != is);
    pairs.map(|(at, (was, is))| QueryDifference::Parameter(at + 1, was.clone(), is.clone())).collect()
}

fn result(before: &QueryDescription, after: &QueryDescription) -> Vec<QueryDifference> {
    let names = |shape: &QueryDescription| shape.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let (old, new) = (names(before), names(after));
    let mut all = columns(&old, &new);
    for (at, was) in before.columns.iter().enumerate() {
        // The same column, at any position.
        let same_place = after.columns.get(at).filter(|is| is.name == was.name);
        let Some(is) = same_place.or_else(|| after.columns.iter().find(|is| is.name == was.name)) else { continue };
        if was.of != is.of {
            all.push(breaking(&was.name, format!("`{}` was {} and is {}", was.name, was.of, is.of)));
        } else if was.is_filled && !is.is_filled && is.origin.is_some() {
            all.push(bearable(&was.name, format!("`{}` was never null and can be null now", was.name)));
        }
    }
    all
}

fn breaking(column: &str, text: String) -> QueryDifference {
    QueryDifference::Result(ChangeImpact::Breaking, column.to_owned(), text)
}

fn arrived(column: &str, text: String) -> QueryDifference {
    QueryDifference::Came(ChangeImpact::Breaking, column.to_owned(), text)
}

fn bearable(column: &str, text: String) -> QueryDifference {
    QueryDifference::Result(ChangeImpact::Bearable, column.to_owned(), text)
}

/// How the names and positions of columns changed.
fn columns(old: &[String], new: &[String]) -> Vec<QueryDifference> {
    let is_moved = new.len() < old.len() || old.iter().all(|name| new.contains(name)) && !new.starts_with(old);
    if is_moved {
        return rearranged(old, new);
    }
    let renamed = old.iter().zip(new).enumerate().filter(|(_, (was, is))| was != is);
    let mut all: Vec<QueryDifference> =
        renamed.map(|(at, (was, is))| breaking(was, format!("column {} was `{was}` and is `{is}`", at + 1))).collect();
    if let [first, ..] = &new[old.len()..] {
        let came = new[old.len()..].iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let text = format!("{came} added after the existing columns");
        all.push(QueryDifference::Came(ChangeImpact::Bearable, first.clone(), text));
    }
    all
}

/// The changes if columns were removed, or added between others.
fn rearranged(old: &[String], new: &[String]) -> Vec<QueryDifference> {
    let gone = old.iter().enumerate().filter(|(_, name)| !new.contains(name));
    let came = new.iter().enumerate().filter(|(_, name)| !old.contains(name));
    let moved = old.iter().enumerate().find_map(|(at, name)| {
        let now = new.iter().position(|other| other == name)?;
        (now != at).then(|| arrived(name, format!("`{name}` was column {} and is column {}", at + 1, now + 1)))
    });
    let gone = gone.map(|(at, name)| breaking(name, format!("column {} `{name}` was removed", at + 1)));
    gone.chain(came.map(|(at, name)| arrived(name, format!("`{name}` was added as column {}", at + 1))))
        .chain(moved)
        .collect()
}

/// The functions and operators that a query now resolves to differently, although its text is the same. If PostgreSQL
/// chooses another built-in one for another type, such as the one for two integers of different lengths, the meaning is
/// the same.
pub fn meaning(before: &QueryDependencies, after: &QueryDependencies) -> Vec<QueryDifference> {
    let mut all = Vec::new();
    for (was, is) in [(&before.routines, &after.routines), (&before.operators, &after.operators)] {
        for (name, old, old_is_own) in was.difference(is) {
            let taken =
                is.difference(was).find(|(other, _, new_is_own)| other == name && !(*old_is_own && *new_is_own));
            all.extend(taken.map(|(_, new, _)| QueryDifference::Meaning(old.clone(), new.clone())));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::ResultColumn;
    use super::*;

    fn shape(columns: &[(&str, &str)], parameters: &[&str]) -> PrepareAnswer {
        let column = |(name, of): &(&str, &str)| {
            let of = of.strip_suffix('!').map_or((*of, false), |of| (of, true));
            let origin = Some((migrate_base::ident::QualifiedName::new("public", "t"), (*name).to_owned()));
            ResultColumn { name: (*name).to_owned(), of: of.0.to_owned(), origin, is_filled: of.1 }
        };
        PrepareAnswer::Described(QueryDescription {
            columns: columns.iter().map(column).collect(),
            parameters: parameters.iter().map(|of| (*of).to_owned()).collect(),
        })
    }

    #[track_caller]
    fn check(before: &[(&str, &str)], after: &[(&str, &str)], expected: &[(ChangeImpact, &str)]) {
        let text = |difference: QueryDifference| match difference {
            QueryDifference::Result(weight, _, text) | QueryDifference::Came(weight, _, text) => (weight, text),
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = differences(&shape(before, &[]), &shape(after, &[])).into_iter().map(text).collect();
        let expected: Vec<_> = expected.iter().map(|(weight, text)| (*weight, (*text).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_result_is_compared_by_name_type_place_and_null() {
        use ChangeImpact::{Bearable, Breaking};
        let ab = [("a", "integer!"), ("b", "text")];
        check(&ab, &ab, &[]);
        check(&ab, &[("a", "integer!"), ("c", "text")], &[(Breaking, "column 2 was `b` and is `c`")]);
        check(&ab, &[("a", "bigint!"), ("b", "text")], &[(Breaking, "`a` was integer and is bigint")]);
        check(&ab, &[("a", "integer"), ("b", "text")], &[(Bearable, "`a` was never null and can be null now")]);
        check(&ab, &[("a", "integer!"), ("b", "text!")], &[]);
        let more = [("a", "integer!"), ("b", "text"), ("c", "text")];
        check(&ab, &more, &[(Bearable, "`c` added after the existing columns")]);
        check(&more, &ab, &[(Breaking, "column 3 `c` was removed")]);
        let between = [("a", "integer!"), ("c", "text"), ("b", "text")];
        let moved = [(Breaking, "`c` was added as column 2"), (Breaking, "`b` was column 2 and is column 3")];
        check(&ab, &between, &moved);
    }

    #[test]
    fn what_was_refused_before_is_nobodys_fault() {
        let refused = PrepareAnswer::Refused(PrepareRefusal {
            sqlstate: "42703".into(),
            message: "no".into(),
            detail: None,
            hint: None,
            at: None,
        });
        assert!(differences(&refused, &shape(&[], &[])).is_empty() && differences(&refused, &refused).is_empty());
        assert!(matches!(differences(&shape(&[], &[]), &refused)[..], [QueryDifference::Refused(_)]));
        let parameter = differences(&shape(&[], &["integer"]), &shape(&[], &["text"]));
        assert_eq!(parameter, [QueryDifference::Parameter(1, "integer".into(), "text".into())]);
    }

    #[test]
    fn only_a_function_of_somebody_changes_the_meaning() {
        let reach = |name: &str, own: bool| QueryDependencies {
            routines: [("f".to_owned(), name.to_owned(), own)].into(),
            ..QueryDependencies::default()
        };
        let all = meaning(&reach("f(text)", true), &reach("f(integer)", false));
        assert_eq!(all, [QueryDifference::Meaning("f(text)".into(), "f(integer)".into())]);
        assert!(meaning(&reach("f(text)", true), &reach("f(integer)", true)).is_empty());
    }
}
