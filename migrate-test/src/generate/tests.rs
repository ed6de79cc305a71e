//! Nothing that can be written into a check, a pattern or a script makes the generator panic, or exceeds a time
//! limit.

use std::time::{Duration, Instant};

use migrate_base::ident::literal;
use migrate_core::{CodeMigrations, Database};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::claims::Claims;
use super::dice::Dice;
use super::expr::Expr;
use super::pattern::Pattern;
use super::reading::TextReading;
use super::uses::ColumnUses;
use super::wish::ColumnRequirements;
use crate::ephemeral::{TestDatabase, rehearsal};

/// The strangest constants.
const CONSTANTS: [&str; 20] = [
    "0",
    "-1",
    "5",
    "2147483648",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551615",
    "1e400",
    "0.5",
    "'NaN'::numeric",
    "'Infinity'::float8",
    "''",
    "'a'",
    "'{a,b}'::text[]",
    "'[1]'::jsonb",
    "true",
    "false",
    "NULL",
    "ARRAY['a', 'b']",
    "'(a{255}){255}'",
];
const OPERATORS: [&str; 28] = [
    "=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "~",
    "!~",
    "~*",
    "~~",
    "!~~",
    "%",
    "+",
    "-",
    "||",
    "->",
    "->>",
    "#>>",
    "?",
    "@>",
    "<@",
    "&&",
    "AND",
    "OR",
    "IS DISTINCT FROM",
    "SIMILAR TO",
    "LIKE",
    "?|",
];
const CALLS: [&str; 16] = [
    "length",
    "abs",
    "lower",
    "btrim",
    "coalesce",
    "cardinality",
    "jsonb_typeof",
    "jsonb_array_length",
    "num_nonnulls",
    "strpos",
    "starts_with",
    "regexp_match",
    "isempty",
    "nullif",
    "array_length",
    "to_date",
];
const TYPES: [&str; 12] = [
    "text",
    "character varying(5)",
    "integer",
    "bigint",
    "numeric(4,2)",
    "double precision",
    "jsonb",
    "text[]",
    "integer[]",
    "bytea",
    "boolean",
    "date",
];

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![select(&CONSTANTS[..]), Just("a"), Just("b")].prop_map(str::to_owned);
    leaf.prop_recursive(6, 48, 3, |inner| {
        let two = (inner.clone(), select(&OPERATORS[..]), inner.clone());
        let call = (select(&CALLS[..]), prop::collection::vec(inner.clone(), 1..3));
        prop_oneof![
            6 => two.prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            3 => call.prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
            1 => inner.clone().prop_map(|a| format!("(NOT {a})")),
            1 => inner.clone().prop_map(|a| format!("({a} IS NOT NULL)")),
            1 => inner.clone().prop_map(|a| format!("({a})::integer")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} = ANY ({b}))")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} <> ALL (ARRAY[{b}, {b}]))")),
            1 => prop::collection::vec(inner.clone(), 3)
                .prop_map(|a| format!("({} BETWEEN {} AND {})", a[0], a[1], a[2])),
            1 => prop::collection::vec(inner, 4).prop_map(|a| {
                format!("CASE {} WHEN {} THEN {} WHEN true THEN true ELSE {} END", a[0], a[1], a[2], a[3])
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_check_takes_more_than_its_bound(
        checks in prop::collection::vec(expressions(), 1..4),
        seed: u64,
        serial in 0..1000_u32,
    ) {
        let begin = Instant::now();
        let mut claims = Claims::new(seed, None);
        for check in checks.iter().filter_map(|check| Expr::parse(check)) {
            claims.choose(&check, true);
        }
        let mut wish = ColumnRequirements::default();
        for claim in &claims.list {
            wish.take(claim, "a");
        }
        let mut runner = TestRunner::deterministic();
        for type_name in TYPES {
            let strategy = wish.values(type_name, serial);
            let drawn = strategy.map(|strategy| strategy.new_tree(&mut runner).map(|tree| tree.current().len()));
            prop_assert!(drawn.is_none_or(|drawn| drawn.is_ok_and(|length| length <= 4_000_000)), "{type_name}");
            let (least, most) = wish.elements();
            prop_assert!(least <= most && most <= 1000);
        }
        prop_assert!(begin.elapsed() < Duration::from_secs(60), "{checks:?}");
    }

    #[test]
    fn no_script_makes_the_generator_panic(text in "\\PC{0,60}", parts in prop::collection::vec(expressions(), 0..3)) {
        ColumnUses::of(&format!("SELECT {}; {text}", parts.join(", ")));
    }
}

/// Whatever an expression nests or repeats, the time to read it is proportional to its length.
#[test]
fn long_expressions_are_read_in_time_that_follows_their_length() {
    let many = |part: &str, between: &str| vec![part; 3000].join(between);
    let nested = |open: &str, close: &str| format!("{}a{}", open.repeat(60), close.repeat(60));
    for text in [
        format!("UPDATE t SET b = 1 WHERE {};", many("a = 1", " OR ")),
        format!("UPDATE t SET b = {};", many("a::text", " || ")),
        format!("UPDATE t SET b = {};", many("1", " + ")),
        format!("UPDATE t SET b = 1 WHERE a IN ({});", many("1", ", ")),
        format!("UPDATE t SET b = {};", nested("lower(", ")")),
        format!("UPDATE t SET b = {};", nested("(", " BETWEEN 1 AND 2)")),
        format!("UPDATE t SET b = {};", nested("CASE ", " WHEN 1 THEN 2 WHEN 3 THEN 4 END")),
    ] {
        let begin = Instant::now();
        ColumnUses::of(&text);
        if let Some(expr) = Expr::parse(&text[text.find('=').map_or(0, |at| at + 1)..]) {
            let mut claims = Claims::new(7, None);
            claims.choose(&expr, true);
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{:.60}: {:?}", text, begin.elapsed());
    }
}

/// An expression deep in a long chain is found like one at its beginning.
#[test]
fn what_is_cast_is_found_wherever_it_stands() {
    let chain = vec!["a = 1"; 1000].join(" OR ");
    let sum = vec!["1"; 1000].join(" + ");
    for text in [
        format!("UPDATE t SET b = 1 WHERE {chain} OR (c::uuid) IS NOT NULL;"),
        format!("UPDATE t SET b = (c::uuid)::text || {sum};"),
        "SELECT (SELECT c::uuid FROM t) + 1;".to_owned(),
        "SELECT (x OVERLAPS (c::uuid)) AT TIME ZONE 'UTC';".to_owned(),
    ] {
        assert_eq!(ColumnUses::of(&text).cast_to("c"), Some(&TextReading::Type("uuid".to_owned())), "{:.60}", text);
    }
}

/// Inputs that once overflowed a number, or took too long.
#[test]
fn numbers_at_the_edge_are_read() {
    for check in [
        "a % 5 = 3 AND a >= -9223372036854775808",
        "length(a) > 18446744073709551615",
        "(a ->> 'n')::numeric > 9223372036854775807",
        "(a ->> 'n')::numeric < -9223372036854775808",
        "a ~ 'a{4294967295,}'",
        "a ~ '((([a-z]{255}){255}){255}){255}'",
        "a ~ '((((){255}){255}){255}){255}'",
        "a <@ ARRAY['x'] AND cardinality(a) >= 4000000000",
        "cardinality(a) <= 4000000000 AND a IS NOT NULL",
        "a ~ '[^\\x01-\\U0010ffff]'",
    ] {
        let mut claims = Claims::new(3, None);
        claims.choose(&Expr::parse(check).unwrap(), true);
        let mut wish = ColumnRequirements::default();
        for claim in &claims.list {
            wish.take(claim, "a");
        }
        for type_name in TYPES {
            wish.values(type_name, 1)
                .map(|strategy| strategy.new_tree(&mut TestRunner::deterministic()).map(|tree| tree.current()));
        }
        assert!(wish.elements().1 < 1000, "{check}");
        ColumnUses::of(&format!("CREATE FUNCTION f(a text) RETURNS boolean LANGUAGE sql AS $f$ SELECT {check} $f$;"));
    }
}

/// Patterns of a kind: `~`, `SIMILAR TO` or `LIKE`.
fn patterns() -> impl Strategy<Value = (&'static str, String)> {
    const PIECES: [&str; 26] = [
        "a",
        "Z",
        "7",
        "-",
        "_",
        "@",
        "é",
        " ",
        "\\.",
        "\\$",
        "\\x41",
        "\\u00e9",
        "[a-f]",
        "[^0-9]",
        "[]x-]",
        "[^]a]",
        "[[:alpha:]_]",
        "[^[:space:]/]",
        "[\\w.-]",
        "[\\d,]",
        "[[.-.]q]",
        "\\d",
        "\\w",
        "\\S",
        "\\W",
        ".",
    ];
    const SIMILAR: [&str; 10] = ["a", "Z", ".", "$", "%", "_", "\\%", "[a-f]", "[^x]", "é"];
    const LIKE: [&str; 8] = ["a", "Z", ".", "%", "_", "\\%", "\\_", "é"];
    let grown = |pieces: &'static [&'static str]| {
        select(pieces).prop_map(str::to_owned).prop_recursive(3, 16, 4, |inner| {
            let times = select(&["", "", "*", "+", "?", "{2}", "{1,3}", "{2,}"][..]);
            let group = prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|")));
            let row = prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat());
            prop_oneof![2 => row, 1 => group.clone(), 2 => (group, times).prop_map(|(group, times)| group + times)]
        })
    };
    let ends = select(
        &[("", ""), ("^", "$"), ("^", ""), ("", "$"), ("(?i)^", "$"), ("***:^", "$"), ("(?x) ^ # x\n", " $ ")][..],
    );
    let regular = (ends, grown(&PIECES)).prop_map(|((begin, end), inside)| {
        (
            "~",
            format!(
                "{begin}{}{end}",
                match begin {
                    "(?x) ^ # x\n" => inside.replace(' ', "b"),
                    _ => inside,
                }
            ),
        )
    });
    let similar = grown(&SIMILAR).prop_map(|text| ("similar", text));
    let like = prop::collection::vec(select(&LIKE[..]), 0..8).prop_map(|parts| ("~~", parts.concat()));
    prop_oneof![4 => regular, 1 => similar, 1 => like]
}

/// A text that is drawn for a pattern matches it, according to PostgreSQL itself; one that is drawn not to
/// match does not.
#[tokio::test]
async fn what_is_drawn_for_a_pattern_matches_it() {
    let mut runner = TestRunner::deterministic();
    let (mut texts, mut refused) = (Vec::new(), 0);
    for seed in 1..1500_u64 {
        let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (op, pattern) = patterns().new_tree(&mut runner).unwrap().current();
        let read = Pattern::of(op, &pattern).unwrap_or_else(|| panic!("{pattern} is not read"));
        texts.push((op, read.draw(&mut dice), pattern.clone()));
        let negated: &[&str] = match op {
            "~" => &["!~", "!~*"],
            "~~" => &["!~~", "!~~*"],
            _ => &[],
        };
        for negated in negated.iter().copied() {
            let other = Pattern::needed(negated, &pattern).as_ref().and_then(Pattern::without);
            refused += usize::from(other.is_some());
            texts.extend(other.map(|other| (negated, other.draw(&mut dice), pattern.clone())));
        }
    }
    assert!(refused > 200, "{refused}");
    let value = |(op, text, pattern): &(&str, String, String)| {
        format!("({}, {}, {})", literal(op), literal(text), literal(pattern))
    };
    let values: Vec<String> = texts.iter().map(value).collect();
    let query = format!(
        "SELECT op, p, t FROM (VALUES {}) AS v (op, t, p) WHERE NOT CASE op WHEN '~' THEN t ~ p WHEN '!~' THEN t !~ p \
         WHEN '!~*' THEN t !~* p WHEN '~~' THEN t LIKE p WHEN '!~~' THEN t NOT LIKE p WHEN '!~~*' THEN t NOT ILIKE p \
         ELSE t SIMILAR TO p END",
        values.join(", ")
    );
    let database = TestDatabase::create().await.unwrap();
    let mut session = rehearsal(Database::from(database.options()), &CodeMigrations::none()).await.unwrap();
    let (_, wrong) = session.query(&query).await.unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    session.close().await;
}
