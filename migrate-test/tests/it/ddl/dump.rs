//! The output of `pg_dump` for a schema, in a normalized order.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use migrate_test::TestDatabase;
use migrate_test::provider::binaries::Binaries;

/// The entries of a dump without rows, by their heads.
#[derive(Default)]
pub(super) struct Dump(BTreeMap<String, Vec<String>>);

/// We report the order of columns in a note, and the order of privileges has no meaning.
const UNORDERED: [&str; 5] =
    ["Type: TABLE;", "Type: FOREIGN TABLE;", "Type: TYPE;", "Type: ACL;", "Type: DEFAULT ACL;"];
/// These entries list columns within a line.
const LISTED: [&str; 4] = ["Type: STATISTICS;", "Type: PUBLICATION TABLE;", "Type: VIEW;", "Type: MATERIALIZED VIEW;"];

impl Dump {
    /// Runs the `pg_dump` of the server's version, from the folder of its binaries.
    pub(super) async fn of(database: &TestDatabase) -> Self {
        static FOUND: LazyLock<Binaries> = LazyLock::new(|| match std::env::var_os("ROUNDTRIP_TEST_BINDIR") {
            Some(folder) => Binaries::probe(std::path::Path::new(&folder)).unwrap(),
            None => Binaries::find(None).unwrap_or_else(|why| panic!("this test needs pg_dump: {why:?}")),
        });
        let binaries = &*FOUND;
        let mut command = binaries.program("pg_dump");
        // Nothing here creates labels, and searching for them takes a tenth of the time.
        command.args(["--schema-only", "--no-owner", "--no-security-labels", "--dbname"]).arg(database.url());
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
        let output = output.unwrap_or_else(|error| panic!("this test needs pg_dump of {}: {error}", binaries.version));
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        Self::parse(&String::from_utf8(output.stdout).unwrap())
    }

    fn parse(text: &str) -> Self {
        let (mut entries, mut head) = (BTreeMap::<String, Vec<String>>::new(), String::new());
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("-- Name: ") {
                name.clone_into(&mut head);
                continue;
            }
            let is_noise = line.is_empty()
                || line == "--"
                || line.starts_with("SET default_table")
                || line.starts_with("-- PostgreSQL database dump")
                || line.starts_with("\\");
            if !is_noise && !head.is_empty() {
                entries.entry(head.clone()).or_default().push(with_sorted_options(line));
            }
        }
        for (head, lines) in &mut entries {
            if UNORDERED.iter().any(|kind| head.contains(kind)) {
                lines.iter_mut().for_each(|line| line.truncate(line.trim_end_matches(',').len()));
                lines.sort();
            }
            if LISTED.iter().any(|kind| head.contains(kind)) {
                *lines = vec![with_sorted_words(&lines.join(" "))];
            }
        }
        Self(entries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first entry that differs, if there is one.
    pub(super) fn difference(&self, made: &Self) -> Option<String> {
        let mut heads: Vec<&String> = self.0.keys().chain(made.0.keys()).collect();
        heads.sort();
        let differs = |head: &&&String| self.0.get(**head) != made.0.get(**head);
        let head = heads.iter().find(differs)?;
        let lines = |dump: &Self| dump.0.get(*head).map_or("nothing".to_owned(), |lines| lines.join("\n"));
        Some(format!("{head}\n-- wanted\n{}\n-- made\n{}", lines(self), lines(made)))
    }
}

fn with_sorted_words(line: &str) -> String {
    let mut words: Vec<&str> = line.split([' ', ',', '(', ')', ';']).collect();
    words.sort_unstable();
    words.join(" ")
}

/// The order of options has no meaning.
fn with_sorted_options(line: &str) -> String {
    let inside = line.split_once("WITH (").and_then(|(before, rest)| Some((before, rest.split_once(')')?)));
    let Some((before, (list, after))) = inside else { return line.to_owned() };
    let mut options: Vec<&str> = list.split(", ").collect();
    options.sort_unstable();
    format!("{before}WITH ({}){after}", options.join(", "))
}
