//! Values of every type, as texts that the server reads: ordinary ones, and those that break things.

use migrate_core::schema::{Kind, Object, Schema};
use proptest::prelude::*;
use proptest::sample::select;

use super::hints::Hints;
use super::names;

/// What values are to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taste {
    /// The number of the row: values of different rows differ where they can.
    pub(super) serial: u32,
    /// Whether values are wanted that break things.
    pub(super) awkward: bool,
}

/// A strategy for the text form of values of a type.
pub(super) fn strategy(schema: &Schema, type_name: &str, hints: &Hints, taste: Taste) -> BoxedStrategy<String> {
    match of_hints(type_name, hints) {
        Some(known) => prop_oneof![4 => known, 1 => plain(schema, type_name, taste, 0)].boxed(),
        None => plain(schema, type_name, taste, 0),
    }
}

fn of_hints(type_name: &str, hints: &Hints) -> Option<BoxedStrategy<String>> {
    let mut choices: Vec<BoxedStrategy<String>> = Vec::new();
    let array = type_name.ends_with("[]");
    for pattern in &hints.patterns {
        let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
        choices.extend(proptest::string::string_regex(pattern).ok().map(Strategy::boxed));
    }
    if !hints.texts.is_empty() {
        let texts = hints.texts.iter().map(|text| if array { format!("{{{}}}", element(text)) } else { text.clone() });
        choices.push(select(texts.collect::<Vec<_>>()).boxed());
    }
    if !hints.lengths.is_empty() {
        let letters = hints.lengths.iter().map(|length| "abcdefghij".chars().cycle().take(*length).collect::<String>());
        choices.push(select(letters.collect::<Vec<_>>()).boxed());
    }
    if !hints.numbers.is_empty() && hints.lengths.is_empty() {
        let numbers =
            hints.numbers.iter().map(|number| if array { format!("{{{number}}}") } else { number.to_string() });
        choices.push(select(numbers.collect::<Vec<_>>()).boxed());
    }
    (!choices.is_empty()).then(|| proptest::strategy::Union::new(choices).boxed())
}

fn words(taste: Taste, list: &'static [&'static str]) -> BoxedStrategy<String> {
    let list = if taste.awkward { list } else { &list[..1] };
    select(list).prop_map(str::to_owned).boxed()
}

/// Ordinary and awkward values of a type, without regard to any CHECK.
fn plain(schema: &Schema, type_name: &str, taste: Taste, depth: u32) -> BoxedStrategy<String> {
    if let Some(element_type) = type_name.strip_suffix("[]") {
        let element_type = element_type.trim_end_matches("[]");
        let item = plain(schema, element_type, taste, depth + 1);
        return prop_oneof![
            2 => prop::collection::vec(item, 1..3).prop_map(|items| array(&items)),
            1 => Just("{}".to_owned()),
            1 => Just("{NULL}".to_owned()),
        ]
        .boxed();
    }
    if let Some(object) = names::lookup(schema, type_name) {
        return own_type(schema, object, taste, depth);
    }
    let (base, modifier) = type_name.split_once('(').map_or((type_name, ""), |(base, rest)| (base, rest));
    let limit = || modifier.split([',', ')']).next().and_then(|number| number.trim().parse::<usize>().ok());
    let rest = modifier.split_once(')').map_or("", |(_, rest)| rest);
    match (format!("{base}{rest}")).trim() {
        "smallint" => numbers(taste, &["0", "-1", "32767", "-32768"]),
        "integer" | "oid" => {
            numbers(taste, if base == "oid" { &["0", "4294967295"] } else { &["0", "-1", "2147483647", "-2147483648"] })
        }
        "bigint" => numbers(taste, &["0", "-1", "9223372036854775807", "-9223372036854775808"]),
        "numeric" => numeric(modifier, taste),
        "real" | "double precision" => numbers(taste, &["0", "-0", "1e-30", "NaN", "Infinity", "-Infinity", "0.1"]),
        "money" => numbers(taste, &["0", "-1.01", "92233720368547758.07"]),
        "boolean" => words(taste, &["true", "false"]),
        "text" | "character varying" | "name" | "character" | "bpchar" | "\"char\"" => texts(limit(), base, taste),
        "bytea" => words(taste, &["\\x", "\\x00", "\\xdeadbeef", "\\xff00ff"]),
        "date" => words(
            taste,
            &["2024-02-29", "1970-01-01", "0001-01-01", "4713-01-01 BC", "infinity", "-infinity", "9999-12-31"],
        ),
        "time without time zone" => words(taste, &["00:00", "24:00:00", "12:34:56.789012"]),
        "time with time zone" => words(taste, &["00:00+00", "23:59:59.999999-15:59", "12:00+05:45"]),
        "timestamp without time zone" | "timestamp with time zone" => words(
            taste,
            &[
                "2024-02-29 12:34:56.789012",
                "1970-01-01",
                "0001-01-01",
                "infinity",
                "-infinity",
                "2024-03-31 02:30:00",
                "9999-12-31 23:59:59",
            ],
        ),
        "interval" => words(taste, &["0", "1 mon -1 day 00:00:01.5", "-178000000 years", "1 year 2 mons 3 days"]),
        "uuid" => (0u128..).prop_map(|n| format!("{:032x}", n.max(1))).boxed(),
        "json" | "jsonb" => words(
            taste,
            &["{\"a\": [1, 2.50, {\"b\": null}]}", "null", "{}", "[]", "\"\\u00e9 \\\" \\\\\"", "1e400", "[1.0, 1.00]"],
        ),
        "xml" => words(taste, &["<a/>", "<a b=\"c\">d &amp; e</a>"]),
        "inet" => words(taste, &["127.0.0.1", "10.0.0.1/8", "::1", "2001:db8::1/64"]),
        "cidr" => words(taste, &["10.0.0.0/8", "::/0", "2001:db8::/32"]),
        "macaddr" => words(taste, &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "08:00:2b:01:02:03"]),
        "macaddr8" => words(taste, &["00:00:00:00:00:00:00:00", "08:00:2b:01:02:03:04:05"]),
        "bit" => Just("10".chars().cycle().take(limit().unwrap_or(1)).collect::<String>()).boxed(),
        "bit varying" => Just("1011".chars().take(limit().unwrap_or(4).min(4)).collect::<String>()).boxed(),
        "point" => words(taste, &["(0,0)", "(1.5,-2e10)", "(Infinity,NaN)"]),
        "line" => words(taste, &["{1,-1,0}"]),
        "lseg" => words(taste, &["[(0,0),(1,1)]"]),
        "box" => words(taste, &["(1,1),(0,0)"]),
        "path" => words(taste, &["[(0,0),(1,1)]", "((0,0),(1,1),(1,0))"]),
        "polygon" => words(taste, &["((0,0),(1,1),(1,0))"]),
        "circle" => words(taste, &["<(0,0),1>"]),
        "tsvector" => words(taste, &["", "'a':1 'fat':2A 'it''s':3"]),
        "tsquery" => words(taste, &["'a'", "'a' & !'b' | 'c':*"]),
        "pg_lsn" => words(taste, &["0/0", "16/B374D848"]),
        "int4range" | "int8range" | "numrange" => {
            let at = taste.serial * 10;
            select(vec![format!("[{at},{})", at + 5), "empty".to_owned(), format!("[{at},{}]", at + 3)]).boxed()
        }
        "int4multirange" | "int8multirange" | "nummultirange" => words(taste, &["{}", "{[1,3),[7,9)}", "{(,5)}"]),
        "daterange" | "tsrange" | "tstzrange" => {
            let year = 2000 + taste.serial;
            select(vec![
                "empty".to_owned(),
                format!("[{year}-01-01,{year}-02-01)"),
                format!("[{year}-03-01,{year}-04-01]"),
            ])
            .boxed()
        }
        "datemultirange" | "tsmultirange" | "tstzmultirange" => words(taste, &["{}", "{[2024-01-01,2024-02-01)}"]),
        "regclass" => words(taste, &["pg_catalog.pg_class"]),
        "regtype" => words(taste, &["integer"]),
        "regproc" => words(taste, &["pg_catalog.now"]),
        "regrole" => words(taste, &["pg_monitor"]),
        "xid" | "xid8" | "cid" => words(taste, &["0", "7"]),
        "tid" => words(taste, &["(0,1)"]),
        "pg_snapshot" | "txid_snapshot" => words(taste, &["1:1:"]),
        "jsonpath" => words(taste, &["$.a[*]"]),
        // A type of an extension: most of them read one of these.
        _ => select(vec![
            format!("v{}", taste.serial),
            "1".into(),
            String::new(),
            "[1,2,3]".into(),
            "a=>1".into(),
            "a.b".into(),
            "(1,2)".into(),
            "POINT(1 2)".into(),
        ])
        .boxed(),
    }
}

/// A type that the schema itself defines.
fn own_type(schema: &Schema, object: &Object, taste: Taste, depth: u32) -> BoxedStrategy<String> {
    if depth > 4 {
        return Just(String::new()).boxed();
    }
    let items = |text: &str| quoted_items(text);
    match (object.id.kind, object.fact("form")) {
        (Kind::Domain, _) => {
            let mut hints = Hints::default();
            for check in schema.children(&object.id, Kind::Constraint).filter_map(|check| check.fact("definition")) {
                hints.learn(check);
            }
            let base = object.fact("type").unwrap_or("text");
            match of_hints(base, &hints) {
                Some(known) => prop_oneof![4 => known, 1 => plain(schema, base, taste, depth + 1)].boxed(),
                None => plain(schema, base, taste, depth + 1),
            }
        }
        (_, Some("enum")) => match object.fact("labels").map(items).filter(|labels| !labels.is_empty()) {
            Some(labels) => select(labels).boxed(),
            None => Just(String::new()).boxed(),
        },
        (_, Some("composite")) => {
            let mut attributes: Vec<_> = schema.children(&object.id, Kind::Attribute).collect();
            attributes.sort_by_key(|attribute| attribute.position);
            let parts: Vec<BoxedStrategy<String>> = attributes
                .iter()
                .map(|attribute| plain(schema, attribute.fact("type").unwrap_or("text"), taste, depth + 1))
                .collect();
            parts
                .prop_map(|parts| format!("({})", parts.iter().map(|part| element(part)).collect::<Vec<_>>().join(",")))
                .boxed()
        }
        (_, Some("range")) => {
            let low = plain(schema, object.fact("subtype").unwrap_or("integer"), taste, depth + 1);
            prop_oneof![
                2 => low.prop_map(|low| format!("[{0},{0}]", element(&low))),
                1 => Just("empty".to_owned()),
                1 => Just("(,)".to_owned()),
            ]
            .boxed()
        }
        _ => Just(format!("v{}", taste.serial)).boxed(),
    }
}

/// The items of `'a', 'it''s'`.
fn quoted_items(text: &str) -> Vec<String> {
    let inside = text.trim().trim_start_matches('\'').trim_end_matches('\'');
    inside.split("', '").map(|item| item.replace("''", "'")).collect()
}

fn numbers(taste: Taste, awkward: &'static [&'static str]) -> BoxedStrategy<String> {
    let own = Just((taste.serial + 1).to_string());
    if taste.awkward { prop_oneof![3 => own, 1 => words(taste, awkward)].boxed() } else { own.boxed() }
}

fn numeric(modifier: &str, taste: Taste) -> BoxedStrategy<String> {
    let mut parts = modifier.trim_end_matches(')').split(',').filter_map(|part| part.trim().parse::<usize>().ok());
    let (Some(precision), scale) = (parts.next(), parts.next().unwrap_or(0)) else {
        return numbers(taste, &["0", "-0.10", "NaN", "Infinity", "1e100", "3.14159265358979323846"]);
    };
    let whole = "9".repeat(precision.saturating_sub(scale));
    let largest = if scale > 0 { format!("{whole}.{}", "9".repeat(scale)) } else { whole };
    let small = format!("{}", (taste.serial + 1) % 10);
    if !taste.awkward {
        return Just(small).boxed();
    }
    select(vec![small.clone(), small, largest.clone(), format!("-{largest}"), "0".to_owned(), "0.5".to_owned()]).boxed()
}

fn texts(limit: Option<usize>, base: &str, taste: Taste) -> BoxedStrategy<String> {
    const AWKWARD: [&str; 9] =
        ["", " ", "it's", "back\\slash", "two\nlines", "\"quoted\"", "Ünïcödé 😀", " around ", "NULL"];
    let limit = limit.unwrap_or(if matches!(base, "\"char\"") { 1 } else { 60 });
    let cut = move |text: String| text.chars().take(limit).collect::<String>();
    let own = format!("{} text", taste.serial);
    if !taste.awkward {
        return Just(cut(own)).boxed();
    }
    prop_oneof![3 => Just(own), 2 => select(&AWKWARD[..]).prop_map(str::to_owned), 1 => Just("x".repeat(limit))]
        .prop_map(cut)
        .boxed()
}

fn array(items: &[String]) -> String {
    format!("{{{}}}", items.iter().map(|item| element(item)).collect::<Vec<_>>().join(","))
}

/// An element of an array, or a field of a row, in quotes.
fn element(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
