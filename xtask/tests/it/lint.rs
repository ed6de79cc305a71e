//! The rules for SQL: the samples of each page are run, and judged as the page says.

use std::sync::Arc;

use migrate_base::db::ReadOnlySession;
use migrate_base::finding::Severity;
use migrate_core::{CodeMigrations, Database, Direction, Migration, MigrationSet};
use migrate_review::config::{LintConfig, RuleSeverity};
use migrate_review::lint::{self, LintRule, LintSubject, RuleSample, SampleKind};
use migrate_schema::{self as schema, SchemaDescription};
use migrate_test::TestDatabase;
use migrate_test::shape::ShadowDatabase;
use tokio::task::JoinSet;

/// A sample as a migration, read like a file in a folder.
fn migration(sql: &str) -> Result<Arc<Migration>, String> {
    let folder = tempfile::tempdir().unwrap();
    let down = if sql.contains("migrate: irreversible") { None } else { Some("SELECT;\n") };
    let name = "20250101000000_sample";
    let files = [(format!("{name}.up.sql"), Some(sql)), (format!("{name}.down.sql"), down)];
    let drafts: Vec<(String, String)> =
        files.iter().filter_map(|(name, text)| Some((name.clone(), (*text)?.to_owned()))).collect();
    let set = MigrationSet::load_with(folder.path(), &drafts).map_err(|error| format!("{error:?}"))?;
    Ok(set.iter().next().unwrap().clone())
}

fn codes(migration: &Migration, before: &SchemaDescription, after: Option<&SchemaDescription>) -> Vec<&'static str> {
    let subject = LintSubject {
        script: migration.up_script().unwrap(),
        direction: Direction::Up,
        before: Some(before),
        after,
        released: Some(before),
    };
    lint::judge(&subject, &LintConfig::default()).iter().map(|finding| finding.code.as_str()).collect()
}

/// A database with the schema that the samples of a page need.
async fn ground(rule: &LintRule) -> Result<(ShadowDatabase, Database), String> {
    let database = TestDatabase::create().await.unwrap();
    let options = Database::from(database.options());
    let mut shadow = ShadowDatabase::on(database, CodeMigrations::none()).await.unwrap();
    for block in rule.page().of(SampleKind::Before) {
        shadow.rehearsal().query(block.sql).await.map_err(|error| format!("{}: before: {error:?}", rule.code))?;
    }
    Ok((shadow, options))
}

/// Runs samples one after the other, and returns the rules that each breaks, judged against the initial schema.
async fn judged(rule: &LintRule, samples: &[RuleSample<'_>]) -> Result<Vec<Vec<&'static str>>, String> {
    let (mut shadow, database) = ground(rule).await?;
    // On a separate connection, which plans the queries for the schema once.
    let mut reader = ReadOnlySession::open_own(&database).await.unwrap();
    let released = schema::describe_with(&mut reader).await.unwrap();
    let (mut before, mut all) = (released.clone(), Vec::new());
    for block in samples {
        let migration = migration(block.sql).map_err(|why| format!("{}: {why}\n{}", rule.code, block.sql))?;
        if block.runs {
            let outcome = shadow.rehearsal().run(&migration, Direction::Up).await;
            outcome.map_err(|error| format!("{}: {error:?}\n{}", rule.code, block.sql))?;
        }
        let after = schema::describe_with(&mut reader).await.unwrap();
        let subject = LintSubject {
            script: migration.up_script().unwrap(),
            direction: Direction::Up,
            before: Some(&before),
            after: block.runs.then_some(&after),
            released: Some(&released),
        };
        // A rule that is off is also tested on its own page.
        let asked = LintConfig { rules: [(rule.code.to_string(), RuleSeverity(Some(Severity::Error)))].into() };
        all.push(lint::judge(&subject, &asked).iter().map(|finding| finding.code.as_str()).collect());
        before = after;
    }
    reader.close().await;
    shadow.end().await.unwrap();
    Ok(all)
}

async fn wrong(rule: &LintRule) -> Vec<String> {
    let page = rule.page();
    let (bad, good): (Vec<_>, Vec<_>) = (page.of(SampleKind::Bad).collect(), page.of(SampleKind::Good).collect());
    let mut wrong = Vec::new();
    if bad.is_empty() || good.is_empty() || rule.code == page.title || page.text.len() < 200 {
        return vec![format!("{}: the page needs a title, a reason, a bad sample and a good one", rule.code)];
    }
    for block in bad {
        match judged(rule, &[block]).await {
            Ok(codes) if codes[0].contains(&rule.code.as_str()) => {}
            Ok(codes) => {
                wrong.push(format!("{}: not found in the bad sample, but {codes:?}\n{}", rule.code, block.sql))
            }
            Err(why) => wrong.push(why),
        }
    }
    match judged(rule, &good).await {
        Ok(codes) => {
            let found = codes.iter().zip(&good).filter(|(codes, _)| codes.contains(&rule.code.as_str()));
            wrong.extend(found.map(|(_, block)| format!("{}: found in a good sample\n{}", rule.code, block.sql)));
        }
        Err(why) => wrong.push(why),
    }
    wrong
}

#[tokio::test]
async fn every_rule_finds_its_bad_samples_and_none_of_its_good_ones() {
    let mut all = Vec::new();
    // A few at a time: each waits for a server that has more than one core.
    for some in lint::rules().collect::<Vec<_>>().chunks(8) {
        let running: JoinSet<_> = some.iter().map(|rule| wrong(rule)).collect();
        all.extend(running.join_all().await.into_iter().flatten());
    }
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n\n"));
}

#[tokio::test]
async fn a_new_table_is_in_nobodys_way() {
    let nothing = TestDatabase::create().await.unwrap();
    let before = schema::describe(&Database::from(nothing.options())).await.unwrap();
    let sql = "CREATE TABLE t (id bigint PRIMARY KEY, a text);\nCREATE INDEX ON t (a);\nALTER TABLE t ADD COLUMN b integer NOT NULL;\n\
               ALTER TABLE t ADD CHECK (b > 0);\nALTER TABLE t DROP COLUMN a;\nUPDATE t SET b = 1;\nREINDEX TABLE t;\n\
               CREATE VIEW v AS SELECT id FROM t;\nALTER VIEW v RENAME TO w;\n";
    let codes = codes(&migration(sql).unwrap(), &before, None);
    assert!(codes.is_empty(), "{codes:?}");
    nothing.drop_now().await.unwrap();
}

#[test]
fn allowances_are_heard_and_those_for_nothing_are_told() {
    let before = SchemaDescription::default();
    let told = |head: &str| codes(&migration(&format!("{head}CREATE TABLE t (a text);\n")).unwrap(), &before, None);
    assert_eq!(told(""), ["missing-primary-key"]);
    assert!(told("-- migrate: allow missing-primary-key it holds one row\n").is_empty());
    assert_eq!(told("-- migrate: allow truncate never\n"), ["missing-primary-key", "allow-unused"]);
    assert_eq!(told("-- migrate: allow missing-primery-key typo\n"), ["missing-primary-key", "allow-unknown"]);
    assert_eq!(told("-- migrate: allow consumer:billing it knows\n"), ["missing-primary-key"]);
}

#[test]
fn codes_are_unique() {
    let mut codes: Vec<&str> = lint::rules().map(|rule| rule.code.as_str()).collect();
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count);
}

/// What the server refuses is not advised, even if only the server knows that a table is partitioned.
#[tokio::test]
async fn indexes_of_partitioned_tables_are_not_advised_to_be_concurrent() {
    let database = TestDatabase::create().await.unwrap();
    let options = Database::from(database.options());
    let empty = schema::describe(&options).await.unwrap();
    let mut shadow = ShadowDatabase::on(database, CodeMigrations::none()).await.unwrap();
    let made = "CREATE TABLE events (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        INSERT INTO events VALUES (1, '2025-01-01'); CREATE INDEX events_id ON events (id); CREATE TABLE plain (id int);
        CREATE INDEX plain_id ON plain (id);";
    shadow.rehearsal().query(made).await.unwrap();
    let before = schema::describe(&options).await.unwrap();
    let help = |sql: &str, before: Option<&SchemaDescription>, released: Option<&SchemaDescription>| {
        let migration = migration(sql).unwrap();
        let script = migration.up_script().unwrap();
        let subject = LintSubject { script, direction: Direction::Up, before, after: None, released };
        let found = lint::judge(&subject, &LintConfig::default());
        let found = found.iter().filter(|finding| finding.code.as_str().starts_with("require-concurrent-index"));
        found.map(|finding| finding.help[0].clone()).collect::<Vec<_>>()
    };
    let in_parts = |told: Vec<String>| told.len() == 1 && told[0].contains("`ON ONLY`") && told[0].contains("ATTACH");
    let create = "CREATE INDEX i ON events (at);";
    assert!(in_parts(help(create, Some(&before), Some(&before))), "{:?}", help(create, Some(&before), Some(&before)));
    assert!(in_parts(help(create, Some(&before), None)));
    assert!(in_parts(help(create, None, Some(&before))));
    let remade = format!(
        "DROP TABLE plain; CREATE TABLE plain (id int) PARTITION BY HASH (id); {}",
        create.replace("events (at)", "plain (id)")
    );
    let told = help(&remade, None, Some(&before));
    assert!(told.is_empty() || in_parts(told.clone()), "{told:?}");
    let drop = help("DROP INDEX events_id;", Some(&before), Some(&before));
    assert!(drop.len() == 1 && drop[0].contains("cannot be dropped CONCURRENTLY"), "{drop:?}");
    for refused in ["CREATE INDEX CONCURRENTLY i ON events (at)", "DROP INDEX CONCURRENTLY events_id"] {
        let error = shadow.rehearsal().query(refused).await.unwrap_err();
        assert!(format!("{error:?}").contains("partitioned"), "{error:?}");
    }
    for plain in ["CREATE INDEX i ON plain (id);", "DROP INDEX plain_id;"] {
        let told = help(plain, Some(&before), Some(&before));
        assert!(
            told.len() == 1 && told[0].to_lowercase().contains("concurrently") && !told[0].contains("partitioned"),
            "{told:?}"
        );
    }
    assert!(help(create, Some(&empty), Some(&empty)).iter().all(|told| !told.contains("ON ONLY")));
    shadow.end().await.unwrap();
}
