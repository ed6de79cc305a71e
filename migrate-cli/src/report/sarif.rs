//! A report as SARIF 2.1.0, the format in which GitHub, GitLab and editors accept the findings of a checker.
//!
//! The structs are written here by hand. The crate `serde-sarif` has all of them, generated from the schema by its
//! build script, and costs more than twenty CPU-seconds of a cold build, a sixth of the whole command
//! line, for the dozen that are needed. `.ci/run` validates the sample against the official schema instead.

use std::collections::{BTreeMap, HashMap};

use migrate_base::finding::{Finding, Place, Severity};
use migrate_core::source::Checksum;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{Report, github, place};

/// Title and help of a code, if there are any.
pub(crate) type Describe<'a> = &'a dyn Fn(&str) -> Option<(String, String)>;

/// The base of the paths; the reader of the document knows where it is.
const ROOT: &str = "%SRCROOT%";

/// The characters that are not escaped in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    original_uri_base_ids: BTreeMap<&'static str, Base>,
    column_kind: &'static str,
    results: Vec<Hit>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Text>,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
struct Base {
    description: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hit {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    partial_fingerprints: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<usize>,
}

/// The document. GitHub refuses a whole document for one result without a file, so a finding without a place is
/// reported at `home`, such as `migrate.toml`.
///
/// # Errors
///
/// None occur with these structs, but the JSON writer returns a result.
pub(crate) fn render(report: &Report, describe: Describe<'_>, home: &str) -> serde_json::Result<String> {
    let mut worst: BTreeMap<&'static str, Severity> = BTreeMap::new();
    for finding in report.findings() {
        let severity = worst.entry(finding.code.as_str()).or_insert(finding.severity);
        *severity = finding.severity.max(*severity);
    }
    let index: HashMap<&str, usize> = worst.keys().enumerate().map(|(index, code)| (*code, index)).collect();
    let mut seen = HashMap::new();
    let hit = |finding: &Finding| Hit {
        rule_id: finding.code.as_str(),
        rule_index: index.get(finding.code.as_str()).copied().unwrap_or_default(),
        level: finding.severity.as_str(),
        // Readers turn whatever looks like a link into one: `array[1](2)`.
        message: Text { text: github::told(finding).replace("](", "] (") },
        locations: [location(finding.place.as_ref(), home)],
        partial_fingerprints: BTreeMap::from([("roundtripFinding/v1", fingerprint(finding, &mut seen))]),
    };
    let results = report.findings().map(hit).collect();
    let rules = worst.iter().map(|(code, severity)| rule(code, *severity, describe)).collect();
    let root = Base { description: Text { text: "The root of the repository.".to_owned() } };
    let run = Run {
        tool: Tool { driver: Driver { name: "Roundtrip", semantic_version: env!("CARGO_PKG_VERSION"), rules } },
        original_uri_base_ids: BTreeMap::from([(ROOT, root)]),
        column_kind: "unicodeCodePoints",
        results,
    };
    serde_json::to_string_pretty(&Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [run],
    })
}

fn rule(id: &'static str, severity: Severity, describe: Describe<'_>) -> Rule {
    let (title, help) = match describe(id) {
        Some((title, help)) => (title, Some(Text { text: help })),
        None => (id.replace('-', " "), None),
    };
    let default_configuration = Configuration { level: severity.as_str() };
    Rule { id, short_description: Text { text: title }, help, default_configuration }
}

fn location(place: Option<&Place>, home: &str) -> Location {
    let file = place.map_or_else(|| home.to_owned(), place::path);
    let region = match place.and_then(place::region) {
        Some(region) => Region {
            start_line: region.line,
            start_column: Some(region.column),
            end_line: Some(region.end_line),
            end_column: Some(region.end_column),
        },
        // A whole file needs no region, but GitHub requires a line.
        None => Region { start_line: 1, start_column: None, end_line: None, end_column: None },
    };
    let path = utf8_percent_encode(&file, PATH).to_string();
    let artifact_location = match file.starts_with('/') {
        true => Artifact { uri: format!("file://{path}"), uri_base_id: None },
        false => Artifact { uri: path, uri_base_id: Some(ROOT) },
    };
    Location { physical_location: Physical { artifact_location, region } }
}

/// A fingerprint that stays the same when lines move or blanks change: the code, the file, and the words of the place,
/// with a number if the same words are found again.
fn fingerprint(finding: &Finding, seen: &mut HashMap<String, usize>) -> String {
    let part = finding.place.as_ref().and_then(Place::source).map(|(text, span, _)| &text[span]);
    let words: Vec<&str> = part.unwrap_or(&finding.message).split_whitespace().collect();
    let file = finding.place.as_ref().map(place::path).unwrap_or_default();
    let key = format!("{}\0{file}\0{}", finding.code, words.join(" "));
    let number = seen.entry(key.clone()).and_modify(|number| *number += 1).or_insert(1);
    let digest = Checksum::of(&format!("{key}\0{number}"));
    digest.as_str().trim_start_matches("sha256:").chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use migrate_base::codes::Code;

    use super::*;
    use crate::report::sample;

    fn describe(code: &str) -> Option<(String, String)> {
        let help = "Stop reading the column, deploy, and drop it afterwards.";
        (code == "drop-column").then(|| ("A column is dropped".to_owned(), help.to_owned()))
    }

    fn results(findings: Vec<Finding>) -> Vec<Value> {
        let text = render(&sample::with(findings), &describe, "migrate.toml").unwrap();
        let log: Value = serde_json::from_str(&text).unwrap();
        log["runs"][0]["results"].as_array().unwrap().clone()
    }

    #[test]
    fn the_sample() {
        sample::check("report.sarif", render(&sample::report(), &describe, "migrate.toml").unwrap());
    }

    #[test]
    fn every_result_points_to_its_rule() {
        let text = render(&sample::report(), &describe, "migrate.toml").unwrap();
        let log: Value = serde_json::from_str(&text).unwrap();
        let run = &log["runs"][0];
        for result in run["results"].as_array().unwrap() {
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
    }

    #[test]
    fn a_fingerprint_survives_moves_and_blanks() {
        let print = |text: &str, wanted: &[&str]| -> Vec<Value> {
            let at =
                |wanted: &&str| text.match_indices(*wanted).map(|(at, one)| at..at + one.len()).collect::<Vec<_>>();
            let spans = wanted.iter().flat_map(at);
            let found = spans.map(|span| {
                Finding::new(Code::new("code", Severity::Error), "m").at(Place::within("a.sql", text.into(), span))
            });
            results(found.collect()).iter().map(|result| result["partialFingerprints"].clone()).collect()
        };
        let before = print("DROP TABLE a;", &["DROP TABLE a"]);
        assert_eq!(before, print("-- moved\n\n\tDROP\n  TABLE a;", &["DROP\n  TABLE a"]));
        assert_ne!(before, print("DROP TABLE b;", &["DROP TABLE b"]));
        let twice = print("DROP TABLE a; DROP TABLE a;", &["DROP TABLE a"]);
        assert!(twice[0] == before[0] && twice[1] != before[0]);
    }

    proptest! {
        #[test]
        fn a_path_is_a_uri(file in "\\PC{1,20}") {
            let found = results(vec![Finding::new(Code::new("code", Severity::Error), "m").at(Place::file(&file))]);
            let location = &found[0]["locations"][0]["physicalLocation"]["artifactLocation"];
            let uri = location["uri"].as_str().unwrap();
            prop_assert!(uri.is_ascii() && !uri.contains([' ', '"', '<', '\\']));
            let read = percent_encoding::percent_decode_str(uri.trim_start_matches("file://")).decode_utf8().unwrap();
            prop_assert_eq!(read, file);
        }
    }
}
