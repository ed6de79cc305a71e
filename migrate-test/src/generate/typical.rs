//! Values at which migrations are known to lose something, by type. They are used in turn over the rows of a
//! table, in every column a different one: with random values alone, a table might have none of them.

use super::json::JsonShape;
use super::values::limit;
use super::wish::ValueKind;

/// How many rows it takes until a column has had every turn. In the last turn it is NULL, if possible.
pub(super) const TURNS: usize = 14;

/// How extreme values may be, the most extreme first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ValueReach {
    /// Up to the limits of each type, including NaN and infinity.
    Extreme,
    /// With all their digits, but far from the limits.
    Full,
    /// Only ordinary values.
    Plain,
}

impl ValueReach {
    /// The next less extreme reach.
    pub(crate) fn less(self) -> Option<Self> {
        match self {
            Self::Extreme => Some(Self::Full),
            Self::Full => Some(Self::Plain),
            Self::Plain => None,
        }
    }
}

/// The typical value of a built-in type in this turn. `None` if it is the turn of an ordinary value.
pub(super) fn typical(type_name: &str, turn: usize, reach: ValueReach) -> Option<String> {
    let (base, modifier) = type_name.split_once('(').unwrap_or((type_name, ""));
    let rest = modifier.split_once(')').map_or("", |(_, rest)| rest);
    let base = format!("{}{rest}", base.trim_end());
    let list = match (ValueKind::of(type_name), base.as_str()) {
        (ValueKind::Text, _) => {
            let most = limit(type_name).unwrap_or(if base == "\"char\"" { 1 } else { 60 });
            let text = if turn == 6 { "x".repeat(most) } else { TEXTS.get(turn)?.to_string() };
            return Some(text.chars().take(most).collect());
        }
        (_, "numeric") => return numeric(modifier, turn, reach),
        (ValueKind::Array, _) => return list_of(type_name.strip_suffix("[]")?, turn),
        (_, base) => values(base),
    };
    let (extreme, full) = list;
    let ends = extreme.iter().find(|(at, _)| *at == turn).filter(|_| reach == ValueReach::Extreme);
    ends.or_else(|| full.iter().find(|(at, _)| *at == turn)).map(|(_, text)| (*text).to_owned())
}

const TEXTS: [&str; 11] =
    ["", "NULL", "MiXed Case", "two\nlines", " around ", "MiXed Case", "", " ", "it's \"quoted\\\"", "0", "Ünïcödé 😀"];

/// Values with their turns.
type TypicalValues = &'static [(usize, &'static str)];

/// The values at the limits of a type, and the other ones.
fn values(base: &str) -> (TypicalValues, TypicalValues) {
    match base {
        "smallint" => (&[(4, "32767"), (6, "-32768")], &[(0, "0"), (2, "-1"), (8, "1234")]),
        "integer" => (&[(4, "2147483647"), (6, "-2147483648")], &[(0, "0"), (2, "-1"), (8, "16777217"), (10, "7")]),
        "bigint" => (
            &[(4, "9223372036854775807"), (6, "-9223372036854775808")],
            &[(0, "0"), (2, "-1"), (8, "9007199254740993"), (10, "7")],
        ),
        "oid" => (&[(4, "4294967295")], &[(0, "0")]),
        "real" => (
            &[(4, "NaN"), (6, "-Infinity"), (5, "1e-30")],
            &[(0, "0.5"), (2, "-2.75"), (8, "0.1"), (10, "-0"), (12, "1234.5")],
        ),
        "double precision" => (
            &[(4, "NaN"), (6, "-Infinity"), (5, "1e-300"), (1, "1e300")],
            &[(0, "0.5"), (2, "-2.75"), (8, "0.1"), (10, "-0"), (12, "123456.789012345")],
        ),
        "money" => (&[(4, "92233720368547758.07")], &[(0, "0.55"), (2, "-1.01")]),
        "bytea" => (&[], &[(0, "\\x"), (2, "\\x00"), (8, "\\xff00ff")]),
        "date" => (
            &[(4, "infinity"), (6, "-infinity"), (10, "0001-01-01"), (1, "4713-01-01 BC"), (12, "9999-12-31")],
            &[(0, "1970-01-01"), (2, "2024-02-29"), (8, "1999-12-31")],
        ),
        "time without time zone" => (&[(4, "24:00:00")], &[(0, "00:00:00"), (2, "12:34:56.789012")]),
        "time with time zone" => (&[(4, "23:59:59.999999-15:59")], &[(0, "00:00:00+00"), (2, "12:34:56.789012+05:45")]),
        // Local times that occur twice, or never: in Europe, New York, Chicago, Los Angeles and Sydney.
        "timestamp without time zone" => (
            &[(4, "infinity"), (6, "-infinity"), (12, "0001-01-01"), (5, "9999-12-31 23:59:59")],
            &[(0, "2024-03-31 02:30:00"), (2, "2024-10-27 02:30:00"), (8, "2024-11-03 01:30:00"), (10, "1970-01-01")],
        ),
        "timestamp with time zone" => (
            &[(4, "infinity"), (6, "-infinity"), (12, "0001-01-01 00:00:00+00"), (5, "9999-12-31 23:59:59+00")],
            &[
                (0, "2024-10-27 00:30:00+00"),
                (2, "2024-11-03 05:30:00+00"),
                (8, "2024-11-03 08:30:00+00"),
                (10, "2024-04-06 15:30:00+00"),
                (1, "2024-11-03 06:30:00+00"),
                (3, "2024-02-29 12:34:56.789012+00"),
            ],
        ),
        "interval" => (
            &[(4, "-178000000 years")],
            &[(0, "0"), (2, "1 mon -1 day 00:00:01.5"), (8, "36:00:00"), (10, "1 year 2 mons 3 days")],
        ),
        "json" | "jsonb" => (
            &[(4, "1e400")],
            &[(0, "{}"), (2, "null"), (6, "{\"a\": [1, 2.50, {\"b\": null}]}"), (8, "[]"), (10, "\"a\"")],
        ),
        "inet" => (&[], &[(2, "10.0.0.1/8"), (8, "::1"), (10, "2001:db8::1/64")]),
        "cidr" => (&[], &[(2, "10.0.0.0/8"), (8, "::/0")]),
        "bit varying" => (&[], &[(0, "")]),
        "tsvector" => (&[], &[(0, ""), (2, "'a':1 'fat':2A 'it''s':3")]),
        "int4range" | "int8range" | "numrange" | "daterange" | "tsrange" | "tstzrange" => {
            (&[(4, "(,)")], &[(0, "empty")])
        }
        "int4multirange" | "int8multirange" | "nummultirange" => (&[], &[(0, "{}"), (2, "{[1,3),[7,9)}")]),
        base => match base.rsplit('.').next().unwrap_or(base).trim_matches('"') {
            "ltree" => (&[], &[(0, ""), (2, "Top.Science")]),
            "hstore" => (&[], &[(0, ""), (2, "\"a\"=>NULL, \"b\"=>\"2\"")]),
            _ => (&[], &[]),
        },
    }
}

/// Numbers of this precision with all their digits.
fn numeric(modifier: &str, turn: usize, reach: ValueReach) -> Option<String> {
    let mut parts = modifier.split(')').next()?.split(',').filter_map(|part| part.trim().parse::<usize>().ok());
    let digits = |count: usize| "123456789".chars().cycle().take(count).collect::<String>();
    let is_extreme = reach == ValueReach::Extreme;
    let Some(precision) = parts.next() else {
        return Some(match turn {
            0 => "0".to_owned(),
            2 => format!("{}.{}", digits(20), digits(9)),
            4 if is_extreme => "NaN".to_owned(),
            5 if is_extreme => "Infinity".to_owned(),
            6 if is_extreme => "1e100".to_owned(),
            8 => "-0.05".to_owned(),
            10 => "1.10".to_owned(),
            12 => "2.5".to_owned(),
            _ => return None,
        });
    };
    let scale = parts.next().unwrap_or(0).min(precision);
    let whole = precision - scale;
    let written = |whole: String, part: String| {
        let whole = if whole.is_empty() { "0".to_owned() } else { whole };
        if part.is_empty() { whole } else { format!("{whole}.{part}") }
    };
    let full = written(digits(whole.saturating_sub(1 + whole / 4)), digits(scale));
    let largest = written("9".repeat(whole), "9".repeat(scale));
    let half = format!("0.{}5", "0".repeat(scale.saturating_sub(1)));
    Some(match turn {
        0 => "0".to_owned(),
        2 => full,
        4 if is_extreme => largest,
        6 if is_extreme => format!("-{largest}"),
        8 => format!("-{full}"),
        10 if scale > 0 => half,
        _ => return None,
    })
}

/// Arrays: empty, with NULL, and with a duplicate item out of order.
fn list_of(item: &str, turn: usize) -> Option<String> {
    Some(match (turn, ValueKind::of(item)) {
        (0, _) => "{}".to_owned(),
        (2, _) => "{NULL}".to_owned(),
        (8, ValueKind::Text) => "{b,a,b,A,\"\"}".to_owned(),
        (8, ValueKind::Integer) => "{2,1,2}".to_owned(),
        _ => return None,
    })
}

/// The document of a column from which scripts read a value: with the value, without it, and with another value
/// in its place.
pub(super) fn document(shape: &JsonShape, turn: usize, serial: u32) -> Option<String> {
    let value = match turn {
        0 => return Some("{}".to_owned()),
        2 => serial.to_string(),
        4 => "true".to_owned(),
        6 => "null".to_owned(),
        8 => "\"MiXed 1\"".to_owned(),
        10 => "{\"a\": 1}".to_owned(),
        12 => "\"\"".to_owned(),
        1 => "[1, \"a\"]".to_owned(),
        _ => return None,
    };
    Some(shape.with(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_all_their_digits_and_fit() {
        assert_eq!(numeric("10,4)", 2, ValueReach::Full).unwrap(), "1234.1234");
        assert_eq!(numeric("10,4)", 4, ValueReach::Extreme).unwrap(), "999999.9999");
        assert_eq!(numeric("2,2)", 2, ValueReach::Full).unwrap(), "0.12");
        assert_eq!(numeric("5)", 10, ValueReach::Full), None);
        assert_eq!(numeric("10,4)", 4, ValueReach::Full), None);
        assert_eq!(typical("numeric(8,3)", 8, ValueReach::Full).unwrap(), "-123.123");
    }

    #[test]
    fn texts_fit_their_column() {
        for turn in 0..TURNS {
            let text = typical("character varying(3)", turn, ValueReach::Full).unwrap_or_default();
            assert!(text.chars().count() <= 3, "{text}");
        }
    }
}
