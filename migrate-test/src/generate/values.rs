//! Values of every type, as texts that the server can parse: ordinary ones, and awkward ones.

use migrate_base::ident::literals;
use migrate_schema::{Kind, Object, Schema};
use proptest::prelude::*;
use proptest::sample::select;

use super::claims::Claims;
use super::expr::VALUE;
use super::fulfil::{array, element};
use super::typical::ValueReach;
use super::wish::{ColumnRequirements, ValueKind};
use super::{names, spec};

/// What kind of values are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValueOptions {
    /// The number of the row: values of different rows differ if possible.
    pub(super) serial: u32,
    /// Whether awkward values are wanted, at the limits of types.
    pub(super) awkward: bool,
    /// How extreme typical values may be.
    pub(super) reach: ValueReach,
    /// Whether all requirements must be met. Otherwise some columns ignore them, in case they were misread.
    pub(super) obedient: bool,
    /// The number of a format that functions and triggers often parse; texts have this format.
    pub(super) format: Option<usize>,
    /// The seed for the choices between the sides of an OR.
    pub(super) dice: u64,
}

/// A strategy for the text form of values of a type.
pub(super) fn strategy(
    schema: &Schema,
    type_name: &str,
    wish: &ColumnRequirements,
    taste: ValueOptions,
) -> BoxedStrategy<String> {
    wished(schema, type_name, wish, taste, 0)
}

fn wished(
    schema: &Schema,
    type_name: &str,
    wish: &ColumnRequirements,
    taste: ValueOptions,
    depth: u32,
) -> BoxedStrategy<String> {
    let known = wish.values(type_name, taste.serial);
    let plain = match type_name.strip_suffix("[]").filter(|_| wish.is_long()) {
        Some(item) => {
            let (least, most) = wish.elements();
            let item = plain(schema, item.trim_end_matches("[]"), taste, depth + 1);
            prop::collection::vec(item, least..=most).prop_map(|items| array(&items)).boxed()
        }
        None => plain(schema, type_name, taste, depth),
    };
    let constants = wish.constants.clone();
    match known {
        Some(known) if taste.obedient => known,
        Some(known) if constants.is_empty() => prop_oneof![3 => known, 1 => plain].boxed(),
        Some(known) => prop_oneof![2 => known, 1 => plain, 1 => select(constants)].boxed(),
        None if constants.is_empty() || taste.obedient => {
            let wish = wish.clone();
            let other = format!("v{}", taste.serial);
            let is_text = ValueKind::of(type_name) == ValueKind::Text;
            plain.prop_map(move |text| if is_text && wish.refuses(&text) { other.clone() } else { text }).boxed()
        }
        None => prop_oneof![2 => plain, 1 => select(constants)].boxed(),
    }
}

fn words(taste: ValueOptions, list: &'static [&'static str]) -> BoxedStrategy<String> {
    let list = if taste.awkward { list } else { &list[..1] };
    select(list).prop_map(str::to_owned).boxed()
}

/// Ordinary and awkward values of a type, regardless of any CHECK.
fn plain(schema: &Schema, type_name: &str, taste: ValueOptions, depth: u32) -> BoxedStrategy<String> {
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
    let limit = || limit(type_name);
    let rest = modifier.split_once(')').map_or("", |(_, rest)| rest);
    if !taste.awkward
        && let Some(text) = ordinary((format!("{base}{rest}")).trim(), taste.serial)
    {
        return Just(text).boxed();
    }
    match (format!("{base}{rest}")).trim() {
        "smallint" => numbers(taste, &["0", "-1", "32767", "-32768"]),
        "integer" | "oid" => {
            numbers(taste, if base == "oid" { &["0", "4294967295"] } else { &["0", "-1", "2147483647", "-2147483648"] })
        }
        "bigint" => numbers(taste, &["0", "-1", "9223372036854775807", "-9223372036854775808"]),
        "numeric" => numeric(modifier, taste),
        "real" | "double precision" => fractions(taste, &["0", "-0", "1e-30", "NaN", "Infinity", "-Infinity", "0.1"]),
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
        "regconfig" => words(taste, &["pg_catalog.english", "pg_catalog.simple"]),
        "regdictionary" => words(taste, &["pg_catalog.simple"]),
        "regnamespace" => words(taste, &["pg_catalog", "public"]),
        "regprocedure" => words(taste, &["pg_catalog.now()"]),
        "regcollation" => words(taste, &["pg_catalog.\"C\""]),
        "int2vector" | "oidvector" => words(taste, &["1 2"]),
        fields if fields.starts_with("interval") => words(taste, &["0", "1 day", "1 mon"]),
        _ => of_extension(base, modifier, taste),
    }
}

/// A value of a built-in type that no other row has.
fn ordinary(base: &str, serial: u32) -> Option<String> {
    let day = || format!("{:04}-{:02}-{:02}", 2001 + serial / 336, serial / 28 % 12 + 1, serial % 28 + 1);
    let [a, b, c, d] = serial.to_be_bytes();
    Some(match base {
        "date" => day(),
        "timestamp without time zone" | "timestamp with time zone" => format!("{} 12:34:56.789012", day()),
        "time without time zone" => format!("{:02}:{:02}:56.789012", serial / 60 % 24, serial % 60),
        "time with time zone" => format!("{:02}:{:02}:56.789012+00", serial / 60 % 24, serial % 60),
        "interval" if serial % 2 == 1 => format!("{serial}:00:00.5"),
        "interval" => format!("{serial} hours"),
        "inet" | "cidr" => format!("10.{b}.{c}.{d}"),
        "macaddr" => format!("08:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}"),
        "bytea" => format!("\\x{serial:08x}"),
        "json" | "jsonb" => format!("{{\"a\": {serial}}}"),
        "money" => format!("{serial}.01"),
        "point" => format!("({serial},0)"),
        _ => return None,
    })
}

/// A value of an extension's type, by name. If the type is unknown, a text that most types accept.
fn of_extension(base: &str, modifier: &str, taste: ValueOptions) -> BoxedStrategy<String> {
    let serial = taste.serial;
    let first = modifier.split([',', ')']).next().unwrap_or_default().trim();
    let values = |texts: &[&str]| select(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).boxed();
    match base.rsplit('.').next().unwrap_or(base).trim_matches('"') {
        "citext" => texts(None, base, taste),
        "ltree" => values(&[&format!("a.b{serial}"), "a", "top.science.astronomy"]),
        "lquery" => values(&["a.*", "*.b"]),
        "hstore" => values(&[&format!("\"a\"=>\"{serial}\""), "\"a\"=>NULL, \"b\"=>\"2\""]),
        "cube" => values(&[&format!("({serial}, 2)"), "(0, 0, 0)"]),
        "vector" | "halfvec" => {
            let numbers = (0..first.parse().unwrap_or(3)).map(|at: u32| ((at + serial) % 9).to_string());
            Just(format!("[{}]", numbers.collect::<Vec<_>>().join(","))).boxed()
        }
        "sparsevec" => Just(format!("{{1:{}}}/{}", serial + 1, first.parse().unwrap_or(3))).boxed(),
        "geometry" | "geography" => {
            let srid =
                modifier.split(',').nth(1).and_then(|rest| rest.trim_end_matches(')').trim().parse::<u32>().ok());
            let place = srid.map(|srid| format!("SRID={srid};")).unwrap_or_default();
            Just(place + &shape(first, serial)).boxed()
        }
        "box2d" => values(&["BOX(0 0,1 1)"]),
        "box3d" => values(&["BOX3D(0 0 0,1 1 1)"]),
        _ => {
            let own = format!("v{serial}");
            let number = (serial + 1).to_string();
            values(&[&own, &number, "", "[1,2,3]", "a=>1", "a.b", "(1,2)", "POINT(1 2)", "{}", "2024-01-01", "1.0.0"])
        }
    }
}

/// A PostGIS geometry of a kind: `PointZ`, `MultiPolygon`.
fn shape(kind: &str, serial: u32) -> String {
    let lower = kind.to_lowercase();
    let (name, more) = match lower.strip_suffix("zm") {
        Some(name) => (name, " 1 1"),
        None => lower.strip_suffix(['z', 'm']).map_or((lower.as_str(), ""), |name| (name, " 1")),
    };
    let mark =
        if more.is_empty() { String::new() } else { format!(" {}", lower.trim_start_matches(name).to_uppercase()) };
    let at = |x: u32, y: u32| format!("{} {}{more}", (x + serial) % 80, y);
    let (a, b, c) = (at(0, 0), at(1, 1), at(1, 0));
    let text = match name {
        "linestring" => format!("({a},{b})"),
        "polygon" => format!("(({a},{b},{c},{a}))"),
        "multipoint" => format!("(({a}),({b}))"),
        "multilinestring" => format!("(({a},{b}))"),
        "multipolygon" => format!("((({a},{b},{c},{a})))"),
        "geometrycollection" => format!("(POINT{mark}({a}))"),
        _ => return format!("POINT{mark}({a})"),
    };
    format!("{}{mark}{text}", name.to_uppercase())
}

/// A type that the schema itself defines.
fn own_type(schema: &Schema, object: &Object, taste: ValueOptions, depth: u32) -> BoxedStrategy<String> {
    if depth > 4 {
        return Just(String::new()).boxed();
    }
    match (object.id.kind, object.fact("form")) {
        (Kind::Domain, _) => {
            let (mut wish, mut claims) = (ColumnRequirements::default(), Claims::new(taste.dice, None));
            for (_, check) in spec::domain_checks(schema, object) {
                claims.choose(&check, true);
            }
            for claim in &claims.list {
                wish.take(claim, VALUE);
            }
            wished(schema, object.fact("type").unwrap_or("text"), &wish, taste, depth + 1)
        }
        (_, Some("enum")) => match object.fact("labels").map(literals).filter(|labels| !labels.is_empty()) {
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

/// The values of a type that has only a few: the labels of an enum, or true and false.
pub(super) fn few(schema: &Schema, type_name: &str) -> Vec<String> {
    if type_name == "boolean" {
        return vec!["true".to_owned(), "false".to_owned()];
    }
    let object = names::lookup(schema, type_name).filter(|object| object.fact("form") == Some("enum"));
    object.and_then(|object| object.fact("labels")).map(literals).unwrap_or_default()
}

fn numbers(taste: ValueOptions, awkward: &'static [&'static str]) -> BoxedStrategy<String> {
    own_or_awkward((taste.serial + 1).to_string(), taste, awkward)
}

/// Numbers, every other one with a fraction, so that a type without fractions is seen to lose it.
fn fractions(taste: ValueOptions, awkward: &'static [&'static str]) -> BoxedStrategy<String> {
    let part = if taste.serial % 2 == 1 { ".256789" } else { "" };
    own_or_awkward(format!("{}{part}", taste.serial + 1), taste, awkward)
}

fn own_or_awkward(own: String, taste: ValueOptions, awkward: &'static [&'static str]) -> BoxedStrategy<String> {
    let own = Just(own);
    if taste.awkward { prop_oneof![3 => own, 1 => words(taste, awkward)].boxed() } else { own.boxed() }
}

fn numeric(modifier: &str, taste: ValueOptions) -> BoxedStrategy<String> {
    let mut parts = modifier.trim_end_matches(')').split(',').filter_map(|part| part.trim().parse::<usize>().ok());
    let (Some(precision), scale) = (parts.next(), parts.next().unwrap_or(0)) else {
        return fractions(taste, &["0", "-0.10", "NaN", "Infinity", "1e100", "3.14159265358979323846"]);
    };
    let whole = "9".repeat(precision.saturating_sub(scale));
    let largest = if scale > 0 { format!("{whole}.{}", "9".repeat(scale)) } else { whole };
    let most = 10_u32.pow(precision.saturating_sub(scale).min(6) as u32);
    let part = "25".chars().chain("1".repeat(scale).chars()).take(scale).collect::<String>();
    let part = if scale > 0 && taste.serial % 2 == 1 { format!(".{part}") } else { String::new() };
    let small = format!("{}{part}", (taste.serial + 1) % most);
    if !taste.awkward {
        return Just(small).boxed();
    }
    select(vec![small.clone(), small, largest.clone(), format!("-{largest}"), "0".to_owned(), "0.5".to_owned()]).boxed()
}

/// How many formats there are.
pub(super) const FORMATS: usize = 14;

/// A text in a format. It is not known which function parses it, so each format is tried. The later ones are
/// patterns.
fn formatted(format: usize, serial: u32) -> String {
    match format {
        0 => (serial + 1).to_string(),
        1 => format!("1.2.{serial}"),
        2 => format!("{{\"a\": {serial}}}"),
        3 => format!("2024-01-{:02}", serial % 28 + 1),
        4 => format!("a{serial}@example.com"),
        5 => format!("https://example.com/{serial}"),
        6 => format!("00000000-0000-4000-8000-{serial:012x}"),
        7 => format!("10.0.0.{}", serial % 250 + 1),
        8 => format!("a{serial}"),
        9 => format!("A{serial}"),
        10 => "true".to_owned(),
        11 => format!("/a/{serial}"),
        12 => format!("2024-01-{:02} 10:00:00+00", serial % 28 + 1),
        _ => format!("a:{serial}"),
    }
}

/// The maximum number of characters in a text of a type.
pub(super) fn limit(type_name: &str) -> Option<usize> {
    let (_, modifier) = type_name.split_once('(')?;
    modifier.split([',', ')']).next()?.trim().parse().ok()
}

fn texts(limit: Option<usize>, base: &str, taste: ValueOptions) -> BoxedStrategy<String> {
    const AWKWARD: [&str; 9] =
        ["", " ", "it's", "back\\slash", "two\nlines", "\"quoted\"", "Ünïcödé 😀", " around ", "NULL"];
    if let Some(format) = taste.format {
        return Just(formatted(format, taste.serial)).boxed();
    }
    let limit = limit.unwrap_or(if matches!(base, "\"char\"") { 1 } else { 60 });
    let cut = move |text: String| text.chars().take(limit).collect::<String>();
    // Mixed case and a trailing blank occur even where nothing else is unusual.
    let own = format!("{} {}", taste.serial, if taste.serial % 2 == 1 { "Text " } else { "text" });
    if !taste.awkward && taste.serial.to_string().len() > limit {
        // A short text has more possible values in letters than in digits.
        return Just(cut(char::from_u32('A' as u32 + taste.serial % 26).map(String::from).unwrap_or_default())).boxed();
    }
    if !taste.awkward {
        return Just(cut(own)).boxed();
    }
    prop_oneof![3 => Just(own), 2 => select(&AWKWARD[..]).prop_map(str::to_owned), 1 => Just("x".repeat(limit))]
        .prop_map(cut)
        .boxed()
}
