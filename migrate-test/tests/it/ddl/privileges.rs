//! Every privilege that the server knows is taken, given and given on; what cannot be made is left out by name.

use migrate_core::schema::ddl::{Stage, Style};
use migrate_core::schema::{Kind, Schema};
use migrate_test::TestDatabase;
use migrate_test::shape;

use super::{describe, leads};
use crate::support::{column, connect, execute};

/// The letter of the catalogs for each kind, how one is made, and what it is called in `GRANT`.
const KINDS: [(&str, &str, &str); 8] = [
    ("r", "CREATE TABLE {} (id int)", "TABLE {}"),
    ("r", "CREATE VIEW {} AS SELECT 1 AS id", "TABLE {}"),
    ("s", "CREATE SEQUENCE {}", "SEQUENCE {}"),
    ("f", "CREATE FUNCTION {}() RETURNS int LANGUAGE sql AS 'SELECT 1'", "FUNCTION {}()"),
    ("T", "CREATE TYPE {} AS ENUM ('a')", "TYPE {}"),
    ("n", "CREATE SCHEMA {}", "SCHEMA {}"),
    ("F", "CREATE FOREIGN DATA WRAPPER {}", "FOREIGN DATA WRAPPER {}"),
    ("S", "CREATE SERVER {} FOREIGN DATA WRAPPER wrapper", "FOREIGN SERVER {}"),
];

#[tokio::test]
async fn every_privilege_of_every_kind_is_taken_and_given() {
    let first = TestDatabase::create().await.unwrap();
    let second = TestDatabase::create().await.unwrap();
    let (mut one, mut other) = (connect(&first).await, connect(&second).await);
    let (mut objects, mut grants) = (vec!["CREATE FOREIGN DATA WRAPPER wrapper".to_owned()], Vec::new());
    for (n, (letter, make, on)) in KINDS.iter().enumerate() {
        let query = format!("SELECT privilege_type FROM aclexplode(acldefault('{letter}', 10)) WHERE grantee = 10");
        for word in column(&mut one, &query).await {
            let name = format!("o{n}_{}", word.to_lowercase());
            objects.push(make.replace("{}", &name));
            let on = on.replace("{}", &name);
            grants.push(format!("REVOKE {word} ON {on} FROM CURRENT_USER"));
            grants.push(format!("GRANT {word} ON {on} TO pg_monitor WITH GRANT OPTION"));
            grants.push(format!("GRANT {word} ON {on} TO pg_read_all_data"));
        }
    }
    execute(&mut one, &objects.join(";")).await;
    execute(&mut other, &format!("{};{}", objects.join(";"), grants.join(";"))).await;
    let (plain, granted) = (describe(&first).await, describe(&second).await);
    assert_eq!(leads(&first, &plain, &granted).await, None);
    assert_eq!(leads(&second, &granted, &plain).await, None);
    first.drop_now().await.unwrap();
    second.drop_now().await.unwrap();
}

#[tokio::test]
async fn what_the_server_refuses_is_left_out_by_name_and_the_rest_is_proven() {
    let database = TestDatabase::create().await.unwrap();
    let nothing = describe(&database).await;
    let sql = "CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE TABLE kept (id int); CREATE VIEW on_kept AS SELECT id FROM kept;
         CREATE TABLE lost (id int DEFAULT gone()); CREATE VIEW on_lost AS SELECT id FROM lost;
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
         CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'hunter2-s3cret');";
    execute(&mut connect(&database).await, sql).await;
    let mut source = describe(&database).await;
    // As on a server that does not have what the function needs.
    source.schema = source.schema.as_in(&Schema::default(), |one| one.id.kind == Kind::Function);
    let lost = ["table public.lost", "view public.on_lost", "user mapping far.public"];

    let baseline = shape::baseline(source.clone()).await.unwrap();
    assert!(baseline.is_proven() && !baseline.is_whole(), "{:?}", baseline.remaining);
    let names: Vec<String> = baseline.left_out.iter().flat_map(shape::LeftOut::names).collect();
    assert!(lost.iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("kept")), "{names:?}");
    let why = baseline.left_out.iter().find(|one| one.to_string() == lost[0]).unwrap();
    assert!(why.why.contains("gone() does not exist"), "{why:?}");
    let script = baseline.up.script(Stage::Main);
    assert!(script.contains("public.on_kept") && !script.contains("lost"), "{script}");

    let difference = shape::difference(nothing, source, Style::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven() && difference.gaps() > 0, "{:?}", difference.failed);
    let script = difference.ddl.script(Stage::Main);
    assert!(lost.iter().all(|name| script.contains(&format!("-- left out: {name}\n"))), "{script}");
    assert!(
        script.contains("CREATE VIEW public.on_kept") && !script.contains("CREATE VIEW public.on_lost"),
        "{script}"
    );
    database.drop_now().await.unwrap();
}
