//! Every row of every catalog is in the model, or the list says why it is not, so that no kind is overlooked.

use migrate_core::Database;
use migrate_schema::{self as schema, Object, Schema};
use migrate_test::TestDatabase;
use sqlx::PgConnection;

use crate::support::{column, connect, execute};

const EVERYTHING: &str = include_str!("schema/everything.sql");
const RICH: &str = include_str!("schema/rich.sql");
const CATALOGS: &str = include_str!("schema/catalogs.txt");
/// An extension with hundreds of members, which are not rows of ours.
const EXTENSION: &str = "CREATE EXTENSION citext SCHEMA public;";
/// Catalogs without any row in the schema: a label needs a library that the server loads.
const NOTHING: [&str; 1] = ["pg_seclabel"];

/// A line of the list: which rows of a catalog, and what represents them in the model.
struct CatalogLine {
    catalog: &'static str,
    rows: &'static str,
    stands: &'static str,
}

fn lines() -> impl Iterator<Item = CatalogLine> {
    let lines = CATALOGS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut parts = line.splitn(3, " | ");
        let mut next = || parts.next().unwrap_or_else(|| panic!("three parts: {line}"));
        CatalogLine { catalog: next(), rows: next(), stands: next() }
    })
}

/// The condition of a line, with its abbreviations expanded.
fn condition(line: &CatalogLine) -> String {
    let class = format!("'{}'::regclass", line.catalog);
    let mut text = line.rows.to_owned();
    while let Some((before, rest)) = text.split_once("{kind of ") {
        let (of, after) = rest.split_once('}').unwrap();
        text = format!("{before}(SELECT c.relkind FROM pg_class c WHERE c.oid = {of}){after}");
    }
    text.replace(
        "{of a key}",
        "EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = r.oid AND k.contype IN ('p', 'u', 'x'))",
    )
    .replace(
        "{of the server}",
        "coalesce((SELECT up.conrelid = r.conrelid FROM pg_constraint up WHERE up.oid = r.conparentid), false)",
    )
    .replace(
        "{within}",
        &format!(
            "EXISTS (SELECT FROM pg_depend d WHERE d.classid = {class} AND d.objid = r.oid AND d.deptype IN ('i', 'e'))"
        ),
    )
}

/// The number of rows of each line, and of its catalog.
async fn rows(db: &mut PgConnection) -> Vec<(i64, i64)> {
    let count = |line: CatalogLine| {
        let (catalog, condition) = (line.catalog, condition(&line));
        // Subscriptions are in a shared catalog of the whole server.
        let here = match catalog {
            "pg_subscription" => "r.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
            _ => "true",
        };
        format!("(SELECT count(*) FILTER (WHERE {condition}) || ' ' || count(*) FROM {catalog} r WHERE {here})")
    };
    let list: Vec<String> = lines().map(count).collect();
    let query = format!("SELECT unnest(ARRAY[{}])", list.join(", "));
    let counts = column(db, &query).await;
    let pair = |text: &String| text.split_once(' ').map(|(n, all)| (n.parse().unwrap(), all.parse().unwrap()));
    counts.iter().map(|text| pair(text).unwrap()).collect()
}

/// How many objects or facts of a schema one part of a line counts.
fn stands(schema: &Schema, part: &str) -> i64 {
    let (kind, fact) = part.split_once('.').map_or((part, None), |(kind, fact)| (kind, Some(fact)));
    let objects = schema.objects().filter(|object| kind == "*" || object.id.kind.as_str() == kind);
    let count = |object: &Object| match fact {
        None => 1,
        Some(fact) => facts(object, fact),
    };
    objects.map(|object| count(object)).sum()
}

fn facts(object: &Object, wanted: &str) -> i64 {
    let of = |name: &str, count: &dyn Fn(&str) -> usize| object.fact(name).map_or(0, count);
    let found = if let Some((name, value)) = wanted.split_once('=') {
        of(name, &|is| usize::from(is == value))
    } else if let Some((name, start)) = wanted.split_once('^') {
        of(name, &|is| usize::from(is.starts_with(start)))
    } else if let Some((name, word @ ("OPERATOR" | "FUNCTION"))) = wanted.split_once('/') {
        of(name, &|is| is.split(", ").filter(|item| item.starts_with(&format!("{word} "))).count())
    } else if let Some((name, separators)) = wanted.split_once('/') {
        of(name, &|is| items(is, separators))
    } else if wanted == "security label of" {
        object.facts.iter().filter(|fact| fact.name.starts_with(wanted)).count()
    } else {
        of(wanted, &|_| 1)
    };
    i64::try_from(found).unwrap()
}

/// The number of items in a list; what is in parentheses belongs to one item.
fn items(list: &str, separators: &str) -> usize {
    let mut depth = 0;
    let separates = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && separators.contains(c)
    };
    1 + list
        .chars()
        .filter({
            let mut separates = separates;
            move |c| separates(*c)
        })
        .count()
}

#[tokio::test]
async fn every_row_of_every_catalog_is_in_the_model_or_it_is_said_why_not() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    execute(&mut db, EXTENSION).await;
    let read = async || schema::read(&Database::from(database.options())).await.unwrap();
    let (first, nothing) = (rows(&mut db).await, read().await);
    assert!(EVERYTHING.contains(EXTENSION));
    execute(&mut db, &EVERYTHING.replace(EXTENSION, "")).await;
    for statement in RICH.split(";\n") {
        execute(&mut db, statement).await;
    }
    let (last, schema) = (rows(&mut db).await, read().await);
    let all = "SELECT relname::text FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' ORDER BY 1";
    let catalogs = column(&mut db, all).await;
    execute(&mut db, "DROP SUBSCRIPTION rich_sub").await;
    sqlx::Connection::close(db).await.unwrap();
    database.drop_now().await.unwrap();

    let mut wrong: Vec<String> = Vec::new();
    for catalog in &catalogs {
        let of = || lines().zip(first.iter().zip(&last)).filter(|(line, _)| line.catalog == catalog);
        let Some((_, (before, after))) = of().next() else {
            wrong.push(format!("{catalog}: nobody reads it, or says why not"));
            continue;
        };
        let (came, listed) = (after.1 - before.1, of().map(|(_, (before, after))| after.0 - before.0).sum::<i64>());
        if came != listed {
            wrong.push(format!("{catalog}: {came} rows came, and the lines have {listed} of them"));
        }
        for (line, (before, after)) in of().filter(|(line, _)| !line.stands.starts_with("- ")) {
            let parts = || line.stands.split(" + ");
            let made: i64 = parts().map(|part| stands(&schema, part) - stands(&nothing, part)).sum();
            let came = after.0 - before.0;
            if came != made {
                wrong.push(format!("{catalog} where {}: {came} rows, {made} in the model", line.rows));
            }
            // NOT NULL is a constraint only since PostgreSQL 18.
            if came == 0 && !NOTHING.contains(&&**catalog) && line.rows != "r.contype = 'n'" {
                wrong.push(format!("{catalog} where {}: the schema of this test has none", line.rows));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
