//! A report as JUnit XML, which nearly every CI system shows: a test suite for each check, a test case for each
//! new migration, or for the check itself if it does not check them one by one.
//!
//! The few elements are written with `quick-xml` alone. The crate `quick-junit` would work as well, but brings
//! chrono and uuid, three CPU-seconds more of a cold build, for times and identifiers that stay empty here. Tests
//! parse the output with it.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use migrate_base::finding::{Finding, Severity};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{CheckResult, CiReport, MigrationResult, ResultMark, place};
use crate::output::{self, clean};

/// The checks with a test case for each new migration.
const ONE_BY_ONE: [&str; 3] = ["lint", "locks", "proof"];

/// A test case.
struct JunitCase<'a> {
    name: String,
    elapsed: Duration,
    skipped: Option<&'a str>,
    findings: Vec<&'a Finding>,
    /// The evidence, even if nothing is wrong.
    seen: Option<String>,
}

/// The document.
///
/// # Errors
///
/// None occur, because it is written in memory, but the XML writer returns a result.
pub(crate) fn render(report: &CiReport) -> io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites: Vec<(&CheckResult, Vec<JunitCase<'_>>)> =
        report.checks.iter().map(|check| (check, cases(report, check))).collect();
    let all = || suites.iter().flat_map(|(_, cases)| cases);
    let element = writer.create_element("testsuites").with_attribute(("name", "roundtrip"));
    element
        .with_attributes(counts(all()))
        .with_attribute(("time", &*seconds(report.elapsed)))
        .write_inner_content(|writer| suites.iter().try_for_each(|(check, cases)| suite(writer, check, cases)))?;
    String::from_utf8(writer.into_inner()).map_err(io::Error::other)
}

fn cases<'a>(report: &'a CiReport, check: &'a CheckResult) -> Vec<JunitCase<'a>> {
    let own = |findings| JunitCase {
        name: check.name.to_owned(),
        elapsed: check.elapsed,
        skipped: check.skipped.as_deref(),
        findings,
        seen: None,
    };
    if !ONE_BY_ONE.contains(&check.name) || check.skipped.is_some() || report.migrations.is_empty() {
        return vec![own(check.findings.iter().collect())];
    }
    // After the first up script that fails, nothing can be observed or proven.
    let failed = report.migrations.iter().position(|judged| judged.applied == ResultMark::No);
    let is_skipped = |at: usize| match check.name {
        "proof" => failed.is_some_and(|failed| at > failed),
        "locks" => failed.is_some_and(|failed| at >= failed),
        _ => false,
    };
    let case = |(at, judged): (usize, &'a MigrationResult)| JunitCase {
        name: judged.title(),
        elapsed: if check.name == "proof" { judged.elapsed } else { Duration::ZERO },
        skipped: is_skipped(at).then_some("its own up script or an earlier one fails"),
        seen: seen(check, judged),
        findings: check.findings.iter().filter(|finding| belongs(finding, judged)).collect(),
    };
    let mut cases: Vec<JunitCase<'_>> = report.migrations.iter().enumerate().map(case).collect();
    let others = |finding: &&Finding| !report.migrations.iter().any(|judged| belongs(finding, judged));
    let others: Vec<&Finding> = check.findings.iter().filter(others).collect();
    if !others.is_empty() {
        cases.push(own(others));
    }
    cases
}

/// The verdict of the data law, and on how many tables it is based.
fn seen(check: &CheckResult, judged: &MigrationResult) -> Option<String> {
    let rested = judged.rested();
    let word = match judged.data {
        ResultMark::Yes => "holds",
        ResultMark::No => "is broken",
        ResultMark::Declared => "is declared not to hold",
        ResultMark::Unknown => return None,
    };
    (check.name == "proof" && !rested.is_empty()).then(|| format!("data {word}{rested}"))
}

/// Whether a finding is about one of the files of a migration: `<title>.up.sql`, or a folder of that name.
fn belongs(finding: &Finding, judged: &MigrationResult) -> bool {
    let title = judged.title();
    let is_named = |part: &str| part.strip_prefix(&title).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    finding.place.as_ref().is_some_and(|place| place::path(place).split('/').any(is_named))
}

fn suite(writer: &mut Writer<Vec<u8>>, check: &CheckResult, cases: &[JunitCase<'_>]) -> io::Result<()> {
    let element = writer.create_element("testsuite").with_attribute(("name", check.name));
    let element = element.with_attributes(counts(cases.iter()));
    element
        .with_attribute(("time", &*seconds(check.elapsed)))
        .write_inner_content(|writer| cases.iter().try_for_each(|case| self::case(writer, check, case)))?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, check: &CheckResult, case: &JunitCase<'_>) -> io::Result<()> {
    let classname = format!("roundtrip.{}", check.name);
    let time = seconds(case.elapsed);
    let mut element = writer.create_element("testcase").with_attributes([
        ("name", &*clean(&case.name)),
        ("classname", &*classname),
        ("time", &*time),
    ]);
    if let Some(place) = case.findings.iter().find_map(|finding| finding.place.as_ref()) {
        element = element.with_attribute(("file", &*clean(&place::path(place))));
    }
    let (errors, rest): (Vec<&Finding>, Vec<&Finding>) =
        case.findings.iter().copied().partition(|finding| finding.severity == Severity::Error);
    if case.findings.is_empty() && case.skipped.is_none() && case.seen.is_none() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|writer| {
        if let Some(first) = errors.first() {
            failure(writer, first, &errors)?;
        } else if let Some(why) = case.skipped {
            writer.create_element("skipped").with_attribute(("message", &*line(why))).write_empty()?;
        }
        let told: Vec<String> = case.seen.iter().cloned().chain((!rest.is_empty()).then(|| rendered(&rest))).collect();
        if !told.is_empty() {
            // JUnit has no warnings; the output of a test case is shown beside it, whatever its result.
            writer.create_element("system-out").write_text_content(BytesText::new(&clean(&told.join("\n"))))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// A test case has one failure: the first message, with the text of all findings.
fn failure(writer: &mut Writer<Vec<u8>>, first: &Finding, errors: &[&Finding]) -> io::Result<()> {
    let more = if errors.len() > 1 { format!(" (and {} more)", errors.len() - 1) } else { String::new() };
    let message = line(&first.message) + &more;
    let element = writer.create_element("failure");
    element
        .with_attributes([("message", &*message), ("type", first.code.as_str())])
        .write_text_content(BytesText::new(&rendered(errors)))?;
    Ok(())
}

fn counts<'a>(cases: impl Iterator<Item = &'a JunitCase<'a>>) -> [(&'static str, Cow<'static, str>); 4] {
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for case in cases {
        let failed = case.findings.iter().any(|finding| finding.severity == Severity::Error);
        tests += 1;
        failures += usize::from(failed);
        skipped += usize::from(!failed && case.skipped.is_some());
    }
    [("tests", tests), ("failures", failures), ("errors", 0), ("skipped", skipped)]
        .map(|(name, number): (_, usize)| (name, number.to_string().into()))
}

fn rendered(findings: &[&Finding]) -> String {
    let plain = |finding: &&Finding| anstream::adapter::strip_str(&output::render(finding)).to_string();
    let texts: Vec<String> = findings.iter().map(plain).collect();
    texts.join("\n\n")
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.3}", elapsed.as_secs_f64())
}

/// A text for an attribute, on one line.
fn line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Escapes the characters that are not allowed in XML.
fn clean(text: &str) -> String {
    clean::lines(text).into_owned()
}

#[cfg(test)]
mod tests {
    use migrate_base::finding::Place;
    use proptest::prelude::*;
    use quick_junit::TestCaseStatus;

    use migrate_base::codes::Code;

    use super::*;
    use crate::report::sample;

    #[test]
    fn the_sample() {
        sample::check("junit.xml", render(&sample::report()).unwrap());
    }

    proptest! {
        #[test]
        fn it_reads_back(
            message in any::<String>(),
            note in any::<String>(),
            warn in any::<bool>(),
            skip in any::<bool>(),
        ) {
            let place = Place::within("migrations/20260302080000_create_parcels.up.sql", note.as_str().into(), 0..3);
            let mut finding = Finding::new(Code::new("some-code", Severity::Error), &message).note(&note).at(place);
            if warn {
                finding.severity = Severity::Warning;
            }
            let mut report = sample::report();
            report.checks[2].findings.push(finding);
            report.checks[3].skipped = skip.then(|| note.clone());
            let read = quick_junit::Report::deserialize_from_str(&render(&report).unwrap()).unwrap();
            prop_assert_eq!(read.test_suites.len(), report.checks.len());
            let counts = (read.tests, read.failures, read.errors);
            // The two migrations of lint and proof, and four checks; lint fails once or twice, proof once.
            prop_assert_eq!(counts, (if skip { 7 } else { 8 }, if warn { 2 } else { 3 }, 0));
            let TestCaseStatus::NonSuccess { message: read, .. } = &read.test_suites[2].test_cases[1].status else {
                return if warn { Ok(()) } else { Err(TestCaseError::fail("no failure")) };
            };
            prop_assert_eq!(read.as_ref().map(|read| read.as_str().to_owned()), Some(line(&message)));
        }
    }
}
