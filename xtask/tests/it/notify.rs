//! Notifying the team: what is sent, to servers that accept it, and how a run ends whose receivers do not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::{ProgramOutput, Project};

/// A part of every address here. Anyone who knows it can write to the channel, so it must never be shown.
const TOKEN: &str = "T0KEN-of-the-channel";
const ROW: &str = "a-row-of-somebody";

/// An HTTP server that gives these answers, repeating the last one, and remembers what it was sent.
pub(crate) struct MockReceiver {
    port: u16,
    heard: Arc<Mutex<Vec<ReceivedRequest>>>,
}

#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    head: String,
    body: Value,
}

/// The behaviour of a receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MockAnswer {
    Status(u16),
    /// Asks for a longer pause than any sender accepts.
    Tomorrow,
    /// Accepts the request and does not answer.
    Silence,
}

impl MockReceiver {
    pub(crate) fn new(answers: &[MockAnswer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (memory, answers) = (heard.clone(), answers.to_vec());
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                memory.lock().unwrap().push(hear(&stream));
                match answers.get(number).or(answers.last()).copied().unwrap() {
                    MockAnswer::Status(status) => {
                        let head = format!("HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{port}/other\r\n");
                        write!(stream, "{head}Content-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
                    }
                    MockAnswer::Tomorrow => {
                        write!(
                            stream,
                            "HTTP/1.1 429 X\r\nRetry-After: 86400\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        )
                        .unwrap();
                    }
                    MockAnswer::Silence => silent.push(stream),
                }
            }
        });
        Self { port, heard }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{TOKEN}", self.port)
    }

    fn heard(&self) -> Vec<ReceivedRequest> {
        self.heard.lock().unwrap().clone()
    }

    fn events(&self) -> Vec<String> {
        self.heard().iter().map(|one| one.body["event"].as_str().unwrap().to_owned()).collect()
    }
}

fn hear(stream: &TcpStream) -> ReceivedRequest {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    let length =
        head.to_lowercase().split("content-length:").nth(1).unwrap().split_whitespace().next().unwrap().parse();
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).unwrap();
    ReceivedRequest { head, body: serde_json::from_slice(&body).unwrap() }
}

/// A port without a listener.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://127.0.0.1:{}/{TOKEN}", listener.local_addr().unwrap().port())
}

/// A protected environment with an applied migration and these hooks.
fn project(hooks: &str) -> Project {
    let project = Project::new();
    let live = "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\nrecord = \"audit\"\n";
    project.write("migrate.toml", live);
    let up = format!("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, '{ROW}');");
    project.migration(1, "orders", &up, "DROP TABLE orders;");
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    project.write("migrate.toml", format!("{live}{hooks}"));
    project
}

/// Runs with the address of the hook in a variable.
fn run(project: &Project, url: &str, arguments: &[&str]) -> ProgramOutput {
    let mut command = project.command(&[arguments, &["--env", "live"]].concat());
    command.env("HOOK", url).env("AUTH", "Bearer s3same").env_remove("HTTP_PROXY").env_remove("http_proxy");
    let said = crate::support::said(command.output().unwrap());
    assert!(!said.out.contains(TOKEN) && !said.err.contains(TOKEN), "an address was shown: {said:?}");
    for entry in std::fs::read_dir(project.path().join("audit")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path().join("record.json")).unwrap();
        assert!(!text.contains(TOKEN) && !text.contains("s3same"), "an address is on record: {text}");
    }
    said
}

const ROLLBACK: [&str; 4] = ["rollback", "--yes", "--reason", "INC-7 <!channel>"];

/// The remarks in the newest record of a rollback.
fn remarks(said: &ProgramOutput) -> String {
    let line = said.out.lines().find(|line| line.starts_with("record")).unwrap();
    let page = std::fs::read_to_string(line.split_whitespace().nth(1).unwrap()).unwrap();
    page.split("## Remarks").nth(1).unwrap_or_default().split("## ").next().unwrap().to_owned()
}

#[test]
fn a_start_and_an_end_are_told_and_a_failure_without_the_words_of_the_server() {
    let receiver = MockReceiver::new(&[MockAnswer::Status(200)]);
    let project = project(
        "[notify.team]\nurl = \"env:HOOK\"\nauthorization = \"env:AUTH\"\non = [\"start\", \"success\", \"failure\"]\n",
    );
    run(&project, &receiver.url(), &ROLLBACK).ok();
    assert_eq!(receiver.events(), ["start", "success"]);
    let [start, end] = &receiver.heard()[..] else { panic!() };
    assert!(start.head.starts_with(&format!("POST /{TOKEN} ")) && start.head.contains("Bearer s3same"), "{start:?}");
    assert_eq!(
        (&start.body["not_done"]["first"][0], &end.body["done"]["first"][0]),
        (&"20250101000001_orders".into(), &"20250101000001_orders".into())
    );
    assert_eq!((&end.body["version_before"], &end.body["version_after"]), (&"20250101000001".into(), &Value::Null));
    assert_eq!(
        (&end.body["reason"], &end.body["rows"]["first"][0]["table"]),
        (&"INC-7 <!channel>".into(), &"public.orders".into())
    );
    assert!(end.body["difference"].to_string().contains("table public.orders") && end.body["milliseconds"].is_number());

    project.run_bare(&["migrate", "--env", "live", "--yes"]);
    project.migration(
        2,
        "more",
        &format!("INSERT INTO orders VALUES (2, '{ROW}'); INSERT INTO orders VALUES (1, '{ROW}');"),
        "SELECT 1;",
    );
    let failed = run(&project, &receiver.url(), &["migrate", "--yes"]);
    assert!((failed.code, failed.err.contains("(id)=(1)")) == (1, true), "{failed:?}");
    let told = receiver.heard().pop().unwrap().body;
    assert_eq!((&told["event"], &told["error"]["code"]), (&"failure".into(), &"statement-failed".into()));
    assert!(told["error"]["place"].as_str().unwrap().contains("_more.up.sql:1"), "{told}");
    let all = format!("{:?}", receiver.heard());
    assert!(!all.contains(ROW) && !all.contains("duplicate key") && !all.contains(crate::support::SECRET), "{all}");
    project.end();
}

#[test]
fn nothing_that_a_receiver_does_changes_how_a_run_ends() {
    let cases: [(&str, &[MockAnswer], &str); 5] = [
        ("hangs", &[MockAnswer::Silence], "timed out, after 2 attempts"),
        ("fails", &[MockAnswer::Status(500)], "responded with 500 Internal Server Error, after 2 attempts"),
        ("knows us not", &[MockAnswer::Status(404)], "responded with 404 Not Found"),
        ("is elsewhere", &[MockAnswer::Status(302)], "responded with 302 Found"),
        ("is not there", &[], "refused"),
    ];
    for (case, answers, why) in cases {
        let receiver = MockReceiver::new(answers);
        let url = if answers.is_empty() { nobody() } else { receiver.url() };
        let project = project("[notify.team]\nurl = \"env:HOOK\"\ndeadline = \"1s\"\nretries = 1\n");
        let said = run(&project, &url, &ROLLBACK).ok();
        assert!(
            said.err.contains("team could not be notified: 127.0.0.1") && said.err.contains(why),
            "{case}: {said:?}"
        );
        assert!(remarks(&said).contains(why), "{case}: {}", remarks(&said));
        assert_eq!(project.query("SELECT count(*) FROM pg_class WHERE relname = 'orders'"), ["0"], "{case}");
        project.end();
    }
}

#[test]
fn a_receiver_that_fails_once_is_told_again() {
    let receiver = MockReceiver::new(&[MockAnswer::Status(503), MockAnswer::Status(200)]);
    let project = project("[notify.team]\nurl = \"env:HOOK\"\n");
    let said = run(&project, &receiver.url(), &ROLLBACK).ok();
    assert_eq!((receiver.events(), remarks(&said)), (vec!["success".to_owned(), "success".to_owned()], String::new()));
    project.end();
}

#[test]
fn a_receiver_that_asks_for_a_pause_is_left_alone() {
    let receiver = MockReceiver::new(&[MockAnswer::Tomorrow, MockAnswer::Status(200)]);
    let project = project("[notify.team]\nurl = \"env:HOOK\"\n");
    let said = run(&project, &receiver.url(), &ROLLBACK).ok();
    assert!(remarks(&said).contains("responded with 429"), "{said:?}");
    assert_eq!(receiver.events(), ["success"]);
    project.end();
}

#[test]
fn an_address_that_is_not_set_is_a_remark() {
    let project = project("[notify.team]\nslack = \"env:NOT_SET_ANYWHERE\"\n");
    let said = run(&project, "", &ROLLBACK).ok();
    assert!(remarks(&said).contains("the environment variable NOT_SET_ANYWHERE is not set"), "{said:?}");
    project.end();
}

#[test]
fn who_hears_of_drift_alone_is_not_looked_for_in_a_run() {
    let project = project("[notify.team]\nslack = \"env:NOT_SET_ANYWHERE\"\non = [\"drift\"]\n");
    assert_eq!(remarks(&run(&project, "", &ROLLBACK).ok()), "");
    project.end();
}

/// Every text of a message, with the kind of the element that contains it.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(text) if key == "text" => found.push(text),
            value => texts(value, found),
        }),
        Value::Array(all) => all.iter().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[test]
fn a_message_for_slack_is_within_its_limits_however_much_there_is_to_tell() {
    let receiver = MockReceiver::new(&[MockAnswer::Status(200)]);
    let project = project("[notify.team]\nslack = \"env:HOOK\"\non = [\"start\", \"success\"]\n");
    let tables: String = (0..400).map(|n| format!("CREATE TABLE {}_{n} (id int);\n", "t".repeat(50))).collect();
    let drops: String = (0..400).map(|n| format!("DROP TABLE {}_{n};\n", "t".repeat(50))).collect();
    project.migration(2, "many", &tables, &drops);
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    let why = format!("<!channel> & {}", "why ".repeat(5000));
    run(&project, &receiver.url(), &["rollback", "--yes", "--reason", &why]).ok();
    let [start, end] = &receiver.heard()[..] else { panic!("{:?}", receiver.heard()) };
    for told in [start, end] {
        let blocks = told.body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50 && blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
        for block in blocks {
            let most = if block["type"] == "section" && block["fields"].is_null() { 3000 } else { 2000 };
            let mut found = Vec::new();
            texts(block, &mut found);
            assert!(found.iter().all(|text| !text.is_empty() && text.chars().count() <= most), "{block}");
        }
        assert!(blocks[1]["fields"].as_array().unwrap().len() <= 10);
        let all = told.body.to_string();
        assert!(all.contains("&lt;!channel&gt; &amp; why") && !all.contains("<!channel>"), "{all}");
    }
    let title = start.body["text"].as_str().unwrap();
    assert!(title.contains("rollback of live: started, 20250101000002_many"), "{title}");
    let all = start.body.to_string();
    assert!(all.contains("Migrations to run, down") && all.contains("• 20250101000002_many"), "{all}");
    let end = end.body.to_string();
    assert!(
        end.contains("20250101000002 → 20250101000001")
            && end.contains("more")
            && end.contains("rollback of live: done"),
        "{end}"
    );
    project.end();
}

#[test]
fn hooks_can_be_tried() {
    let receiver = MockReceiver::new(&[MockAnswer::Status(200), MockAnswer::Status(403)]);
    let project =
        project("[notify.team]\nslack = \"env:HOOK\"\n[notify.other]\nurl = \"env:HOOK\"\nenvironments = []\n");
    let printed = run(&project, &receiver.url(), &["notify", "test", "--print"]).ok().json();
    assert!(printed["blocks"].is_array() && receiver.heard().is_empty(), "{printed}");
    let said = run(&project, &receiver.url(), &["notify", "test"]).ok();
    assert!(
        said.out.contains("accepted by") && receiver.heard().len() == 1,
        "only one of them hears of live: {said:?}"
    );
    let refused = run(&project, &receiver.url(), &["notify", "test", "other"]);
    assert!((refused.code, refused.out.contains("403 Forbidden")) == (1, true), "{refused:?}");
    assert_eq!(receiver.heard()[1].body["command"], "notify test");
    let unknown = run(&project, "", &["notify", "test", "tam"]);
    assert!((unknown.code, unknown.err.contains("the webhooks are other, team")) == (2, true), "{unknown:?}");
    project.end();
}

/// If a receiver hangs at the start, nothing waits for it.
#[test]
fn a_run_does_not_wait_for_those_who_are_told_that_it_begins() {
    let receiver = MockReceiver::new(&[MockAnswer::Silence]);
    let project = project("[notify.team]\nurl = \"env:HOOK\"\non = [\"start\"]\ndeadline = \"1h\"\nretries = 0\n");
    let mut child = project
        .command(&[&ROLLBACK[..], &["--env", "live"]].concat())
        .env("HOOK", receiver.url())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let gone = || project.query("SELECT count(*) FROM pg_class WHERE relname = 'orders'") == ["0"];
    while !gone() {
        assert!(child.try_wait().unwrap().is_none(), "it waits for its receiver until the deadline");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    project.end();
}

#[test]
fn drift_is_told_where_it_is_looked_for() {
    let receiver = MockReceiver::new(&[MockAnswer::Status(200)]);
    let project = project("[notify.team]\nurl = \"env:HOOK\"\n[notify.chat]\nslack = \"env:HOOK\"\n");
    run(&project, &receiver.url(), &["drift", "--notify"]).ok();
    assert!(receiver.heard().is_empty(), "there is none");
    project.query("ALTER TABLE orders ADD hotfix int");
    assert_eq!(run(&project, &receiver.url(), &["drift"]).code, 3);
    assert!(receiver.heard().is_empty(), "nobody was to be told");
    assert_eq!(run(&project, &receiver.url(), &["drift", "--notify"]).code, 3);
    let heard = receiver.heard();
    let told = heard.iter().find(|one| one.body["event"] == "drift").unwrap();
    assert!(told.body["difference"]["first"][0].as_str().unwrap().contains("orders.hotfix"), "{told:?}");
    let chat = heard.iter().find(|one| one.body["blocks"].is_array()).unwrap();
    assert!(chat.body["text"].as_str().unwrap().contains("drift of live: 1 difference"), "{chat:?}");
    project.end();
}

#[test]
fn a_watch_tells_of_its_turns() {
    let receiver = MockReceiver::new(&[MockAnswer::Status(200)]);
    let project = project("[notify.team]\nurl = \"env:HOOK\"\non = [\"drift\"]\n");
    let mut command = project.command(&["drift", "--env", "live", "--watch", "50ms"]);
    let mut child = command.env("HOOK", receiver.url()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("no drift")), "it has looked once");
    for (sql, differences) in [("ALTER TABLE orders ADD hotfix int", 1), ("ALTER TABLE orders DROP hotfix", 0)] {
        project.query(sql);
        let before = receiver.heard().len();
        while receiver.heard().len() == before {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        let told = receiver.heard().pop().unwrap().body;
        assert_eq!(told["difference"]["first"].as_array().unwrap().len(), differences, "{told}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    project.end();
}
