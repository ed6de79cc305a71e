//! Services that share the database: their queries are read, exported and captured, and what cannot be read is
//! reported.

use std::fs;
use std::time::Duration;

use migrate_review::config::Config;
use migrate_review::consumer;
use migrate_test::provider::{account::Account, binaries::Binaries, cluster::Cluster};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;

use crate::support::{Project, SECRET, root};

/// A project whose migrate.toml has this text, and files.
fn project(config: &str, files: &[(&str, &str)]) -> Project {
    let project = Project::new();
    if !config.is_empty() {
        project.write("migrate.toml", config);
    }
    for (name, text) in files {
        let path = project.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    project
}

/// The codes of problems with their files and lines.
fn problems(json: &Value) -> Vec<String> {
    let file = |one: &Value| {
        let file = one["file"].as_str().unwrap_or("-").to_owned();
        if file.ends_with("migrate.toml") { "migrate.toml".to_owned() } else { file }
    };
    let place = |one: &Value| format!("{}:{}", file(one), one["line"]);
    let told = |one: &Value| format!("{} {}", place(one), one["code"].as_str().unwrap());
    let mut all: Vec<String> = json["problems"].as_array().unwrap().iter().map(told).collect();
    all.sort();
    all
}

const BILLING: &str = "[consumers.billing]\nsql = [\"billing/queries/**/*.sql\"]\nsqlx = \"billing/.sqlx\"\nrole = \"billing_app\"\n\
                       reads = [\"orders.id\", \"shipments\"]\nwrites = [\"sales.orders.status\"]\n";
const ORDERS: &str = "-- name: GetOrder :one\nSELECT id FROM orders WHERE id = @id AND tags ? 'new';\n";
const OFFLINE: &str =
    "{\"db_name\": \"PostgreSQL\", \"query\": \"SELECT \\\"id\\\" FROM orders WHERE id = $1\", \"hash\": \"0a1b\"}";

fn billing() -> Project {
    project(
        BILLING,
        &[
            ("billing/queries/deep/orders.sql", ORDERS),
            ("billing/queries/pay.sql", "UPDATE orders SET status = ? WHERE id = ?"),
            ("billing/.sqlx/query-0a1b.json", OFFLINE),
        ],
    )
}

#[test]
fn the_consumer_of_this_repository_asks_what_the_newest_schema_answers() {
    let project = Project::new();
    let root = root();
    project.run(&["migrate", "--migrations", root.join("migrations").to_str().unwrap()]).ok();
    let loaded = consumer::load(root, &Config::load(None, root).unwrap().consumers);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let queries = &loaded.consumers[0].queries;
    assert_eq!((loaded.consumers[0].name.as_str(), queries.len()), ("billing", 8));
    for query in queries {
        project.query(&format!("PREPARE one AS {}", query.text));
    }
    project.end();
}

#[test]
fn what_is_exported_elsewhere_is_added_here() {
    let theirs = billing();
    let said = theirs.run_bare(&["consumers", "export", "billing", "-o", "billing.consumer.json"]).ok();
    assert!(said.out.starts_with("3 queries of billing written to billing.consumer.json"), "{said:?}");
    let text = fs::read_to_string(theirs.path().join("billing.consumer.json")).unwrap();
    let exported: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&exported["format"], &exported["kind"], &exported["role"]),
        (&json!(1), &json!("consumer"), &json!("billing_app"))
    );
    assert_eq!(
        exported["queries"],
        json!([
            { "name": "GetOrder", "text": "SELECT id FROM orders WHERE id = $1 AND tags ? 'new'", "file": "billing/queries/deep/orders.sql", "line": 2, "expands": true },
            { "name": "billing/queries/pay.sql:1", "text": "UPDATE orders SET status = $1 WHERE id = $2", "file": "billing/queries/pay.sql", "line": 1 },
            { "name": "query-0a1b", "text": "SELECT \"id\" FROM orders WHERE id = $1", "file": "billing/.sqlx/query-0a1b.json" },
        ])
    );
    assert_eq!(exported["uses"].as_array().unwrap().len(), 3);
    // Printed or written, it is the same except for the time.
    let mut printed = theirs.run_bare(&["consumers", "export", "billing"]).ok().json();
    printed["taken"] = exported["taken"].clone();
    assert_eq!(printed, exported);

    let ours = Project::new();
    let file = theirs.path().join("billing.consumer.json");
    let add = ["consumers", "add", file.to_str().unwrap(), "--format", "json"];
    let added = ours.run_bare(&add).ok().json();
    assert_eq!((&added["new"].as_array().unwrap().len(), &added["same"]), (&3, &json!(0)));
    assert_eq!(added["file"], "consumers/billing/billing.consumer.json");
    fs::write(
        theirs.path().join("billing/queries/pay.sql"),
        "UPDATE orders SET status = ? WHERE id = ? AND status <> ?",
    )
    .unwrap();
    theirs.run_bare(&["consumers", "export", "billing", "-o", "billing.consumer.json"]).ok();
    let again = ours.run_bare(&add[..3]).ok();
    assert!(
        again.out.contains("1 new, 1 gone, 2 same") && again.out.contains("+ billing/queries/pay.sql:1"),
        "{again:?}"
    );

    let list = ours.run_bare(&["consumers", "list", "--format", "json"]).ok().json();
    let one = &list["consumers"][0];
    assert_eq!((&one["name"], &one["queries"], &one["uses"]), (&json!("billing"), &json!(3), &json!(3)));
    assert_eq!((&one["fresh_by"], &one["problems"]), (&json!("taken"), &json!(0)));
    let list = ours.run_bare(&["consumers", "list"]).ok();
    assert!(list.out.contains("billing  as billing_app  1 exported  3 queries  3 declared  taken "), "{list:?}");
    theirs.end();
    ours.end();
}

#[test]
fn a_repository_without_a_configuration_exports_by_options() {
    let theirs = project(
        "",
        &[("queries/a.sql", ORDERS), ("queries/b.sql", "SELECT %(a)s, %s"), (".sqlx/query-0a1b.json", OFFLINE)],
    );
    fs::remove_dir(theirs.path().join("migrations")).unwrap();
    let options = ["--sql", "queries", "--sqlx", ".sqlx", "--role", "app", "--reads", "orders.status"];
    let exported = theirs.run_bare(&[&["consumers", "export", "web"], &options[..]].concat()).ok().json();
    assert_eq!((exported["queries"].as_array().unwrap().len(), &exported["role"]), (3, &json!("app")));
    assert_eq!(
        exported["uses"],
        json!([{ "schema": "public", "table": "orders", "column": "status", "writes": false }])
    );
    let none = theirs.run_bare(&["consumers", "export", "web"]);
    assert!(none.code == 2 && none.err.contains("[no-consumer]"), "{none:?}");
    let bad = theirs.run_bare(&["consumers", "export", "../web", "--sql", "queries"]);
    assert!(bad.code == 2 && bad.err.contains("[consumer-name]"), "{bad:?}");
    theirs.end();
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_never_exported() {
    let config = "[consumers.billing]\nsql = [\n  \"none/*.sql\",\n  \"gone.sql\",\n  \"[\",\n]\nsqlx = \"migrations\"\nreads = [\"a b\"]\n";
    let project = project(
        config,
        &[
            ("consumers/billing/a.sql", "SET x = 1;\nSELECT 1;\nSELECT 'a;\n"),
            ("consumers/billing/b.sql", "\\i other.sql\nSELECT (1;"),
            ("consumers/billing/other.json", "{}"),
            ("consumers/billing/query-1.json", "{\"query\":\n 1}"),
            ("consumers/billing/x.consumer.json", "{\"format\": 9, \"kind\": \"consumer\"}"),
            ("consumers/billing/consumer.toml", "role = \"app\"\nread = []\n"),
            ("consumers/loose.sql", "SELECT 1"),
            ("consumers/a b/a.sql", "SELECT 1"),
            ("consumers/empty/README.md", "nothing"),
        ],
    );
    fs::write(project.path().join("consumers/billing/latin.sql"), b"SELECT 1;\nSELECT '\xfc';").unwrap();
    std::os::unix::fs::symlink(".", project.path().join("consumers/billing/circle")).unwrap();
    std::os::unix::fs::symlink("nowhere.sql", project.path().join("consumers/billing/broken.sql")).unwrap();
    let list = project.run_bare(&["consumers", "list", "--format", "json"]);
    assert_eq!(list.code, 3, "{list:?}");
    assert_eq!(
        problems(&list.json()),
        [
            "consumers/a b:null consumer-name",
            "consumers/billing/a.sql:1 not-a-query",
            "consumers/billing/a.sql:3 consumer-sql",
            "consumers/billing/b.sql:1 consumer-sql",
            "consumers/billing/b.sql:2 consumer-sql",
            "consumers/billing/broken.sql:null consumer-file",
            "consumers/billing/circle:null consumer-source",
            "consumers/billing/consumer.toml:2 config",
            "consumers/billing/latin.sql:2 file-encoding",
            "consumers/billing/other.json:null consumer-source",
            "consumers/billing/query-1.json:2 sqlx-data",
            "consumers/billing/x.consumer.json:null consumer-format",
            "consumers/empty:null consumer-empty",
            "consumers/loose.sql:null consumer-source",
            "migrate.toml:3 consumer-source",
            "migrate.toml:4 consumer-source",
            "migrate.toml:5 consumer-source",
            "migrate.toml:7 consumer-source",
            "migrate.toml:8 consumer-use",
        ]
    );
    let shown = project.run_bare(&["consumers", "list"]);
    assert!(shown.err.contains("consumers/billing/a.sql:3:8") && shown.err.contains("^^^"), "{}", shown.err);
    let export = project.run_bare(&["consumers", "export", "billing", "-o", "billing.json"]);
    assert!(export.code == 3 && !project.path().join("billing.json").exists(), "{export:?}");
    project.end();
}

#[test]
fn a_file_that_is_no_export_is_not_added() {
    let project = project(
        "",
        &[
            ("damaged.json", "{\"format\": 1,\n\"kind\": \"consumer\",\n\"name\""),
            ("newer.json", "{\"format\": 2, \"kind\": \"consumer\"}"),
            ("other.json", "{\"format\": 1, \"command\": \"ci\"}"),
            (
                "outside.json",
                "{\"format\": 1, \"kind\": \"consumer\", \"name\": \"../../a\", \"taken\": \"\", \"queries\": []}",
            ),
            ("binary.json", "\0\0"),
        ],
    );
    for (file, code, place) in [
        ("damaged.json", "consumer-format", "damaged.json:3:"),
        ("newer.json", "consumer-format", "has format 2"),
        ("other.json", "consumer-format", "not an exported consumer"),
        ("outside.json", "consumer-name", "outside.json"),
        ("binary.json", "file-encoding", "binary.json"),
        ("none.json", "consumer-file", "none.json"),
        ("migrations", "consumer-file", "migrations"),
    ] {
        let said = project.run_bare(&["consumers", "add", file]);
        assert_eq!(said.code, 3, "{file}: {said:?}");
        assert!(said.err.contains(&format!("[{code}]")) && said.err.contains(place), "{file}: {said:?}");
    }
    assert!(!project.path().join("consumers").exists());
    project.end();
}

#[test]
fn a_server_that_does_not_load_the_statistics_says_so() {
    let project = Project::new();
    project.query("CREATE EXTENSION pg_stat_statements");
    let said = project.run(&["consumers", "capture", "billing"]);
    assert!(said.code == 2 && said.err.contains("[statements-not-loaded]"), "{said:?}");
    assert!(!project.path().join("consumers").exists());
    project.end();
}

#[test]
fn the_statements_of_a_server_are_captured_without_values() {
    let project = Project::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let at = |name: &str| folder.path().join(name);
    let account = Account::for_servers().unwrap();
    let cluster = Cluster {
        binaries: Binaries::find(None).unwrap(),
        data: at("data"),
        sockets: at("s"),
        log: at("log"),
        account,
    };
    cluster.init(SECRET).unwrap();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let settings = [("shared_preload_libraries", "pg_stat_statements"), ("fsync", "off")];
    let mut child = cluster.start(Some(port), &settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = PgConnectOptions::new_without_pgpass().socket(&cluster.sockets).port(port).username("postgres");
    let options = options.password(SECRET).database("postgres");
    runtime.block_on(cluster.wait(&mut child, &options, Duration::from_secs(30))).unwrap();

    let capture = |role: &str, more: &[&str]| {
        let url = format!("postgres://{role}:{SECRET}@127.0.0.1:{port}/postgres?sslmode=disable");
        project.run_bare(&[&["consumers", "capture", "billing", "--database", &url], more].concat())
    };
    let missing = capture("postgres", &[]);
    project.query_on(&options, &format!(
        "CREATE SCHEMA ext; CREATE EXTENSION pg_stat_statements SCHEMA ext; CREATE TABLE orders (id int, placed timestamptz); \
         CREATE ROLE app LOGIN; GRANT SELECT ON orders TO app; CREATE ROLE looker LOGIN PASSWORD '{SECRET}'; GRANT USAGE ON SCHEMA ext TO looker"
    ));
    let asked = "SET ROLE app; SELECT id FROM orders WHERE id = 4711; SELECT id FROM orders WHERE id = 4712; \
                 SELECT id FROM orders WHERE placed > now() - interval '3 days'";
    for statement in asked.split("; ").skip(1) {
        project.query_on(&options.clone().username("app").options([("role", "app")]), statement);
    }
    let no_role = capture("postgres", &["--role", "nobody"]);
    let hidden = capture("looker", &["--role", "app", "--format", "json"]);
    let captured = capture("postgres", &["--role", "app", "--format", "json"]);
    let file = project.path().join("consumers/billing/billing.captured.consumer.json");
    let document: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    project.query_on(&options, "SELECT ext.pg_stat_statements_reset()");
    let merged = capture("postgres", &["--role", "app", "--merge"]);
    let again = capture("postgres", &["--role", "app"]);
    runtime.block_on(cluster.stop()).unwrap();
    child.wait().unwrap();

    assert!(missing.code == 2 && missing.err.contains("[no-statements]"), "{missing:?}");
    assert!(no_role.code == 2 && no_role.err.contains("[no-role]"), "{no_role:?}");
    assert_eq!(problems(&hidden.ok().json()), ["-:null statements-hidden"]);
    assert_eq!(captured.ok().json()["queries"], 2);
    let mut queries: Vec<(&str, &Value)> = document["queries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["text"].as_str().unwrap(), &one["calls"]))
        .collect();
    queries.sort_by_key(|(text, _)| text.len());
    assert_eq!(
        queries,
        [
            ("SELECT id FROM orders WHERE id = $1", &json!(2)),
            ("SELECT id FROM orders WHERE placed > now() - $1::interval", &json!(1)),
        ]
    );
    assert!(merged.ok().out.contains("0 new, 0 gone, 2 same"));
    assert!(again.ok().out.contains("0 new, 2 gone, 0 same"));
    project.end();
}
