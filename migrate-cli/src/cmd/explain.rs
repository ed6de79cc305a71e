//! `explain`: what a finding means, why it matters, and how to fix it.

use migrate_base::codes;
use migrate_base::finding::Severity;
use migrate_base::visible;
use serde::Serialize;

use crate::cli::ExplainArgs;
use crate::exit::{Exit, Failure, Result};
use crate::explain::{self, CodeExplanation};
use crate::invocation::spoken;
use crate::output::style::{self, BAD, BOLD, DIM, WARN, paint};
use crate::output::{CliOutput, DocumentJson, TextTable};

#[derive(Serialize)]
struct ExplainJson {
    codes: Vec<CodeExplanationJson>,
}

#[derive(Serialize)]
struct MarkdownJson {
    markdown: String,
}

#[derive(Serialize)]
struct CodeExplanationJson {
    code: &'static str,
    theme: &'static str,
    severity: &'static str,
    title: &'static str,
    text: String,
}

pub(crate) fn run(output: &CliOutput, environment: &str, options: &ExplainArgs) -> Result<Exit> {
    if options.markdown {
        let markdown = explain::document();
        match output.is_json() {
            true => output.document(&DocumentJson::new("explain", environment, MarkdownJson { markdown })),
            false => output.answer(markdown.trim_end()),
        }
        return Ok(Exit::Done);
    }
    let entries = match &options.code {
        Some(code) => vec![find(code)?],
        None => explain::all().collect(),
    };
    match &options.code {
        Some(_) => entries.iter().for_each(|entry| show(output, entry)),
        None => list(output, &entries),
    }
    let codes = entries.into_iter().map(|entry| CodeExplanationJson {
        code: entry.code.as_str(),
        theme: entry.theme,
        severity: entry.weight.map_or("off", Severity::as_str),
        title: entry.title,
        text: spoken(entry.text).into_owned(),
    });
    output.document(&DocumentJson::new("explain", environment, ExplainJson { codes: codes.collect() }));
    Ok(Exit::Done)
}

fn find(code: &str) -> Result<CodeExplanation> {
    explain::find(code).map_err(|near| {
        let failure = Failure::usage(codes::UNKNOWN_CODE, format!("there is no code {}", visible::line(code)));
        match near {
            Some(near) => failure.help(format!("did you mean {near}?")),
            None => failure.help("`cargo xtask explain` lists the codes"),
        }
    })
}

fn list(output: &CliOutput, entries: &[CodeExplanation]) {
    let mut theme = "";
    let mut tables: Vec<(&str, TextTable)> = Vec::new();
    for entry in entries {
        if entry.theme != theme {
            theme = entry.theme;
            tables.push((theme, TextTable::default()));
        }
        if let Some((_, table)) = tables.last_mut() {
            table.row(vec![(BOLD, entry.code.to_string()), weight(entry), (style::PLAIN, entry.title.to_owned())]);
        }
    }
    for (at, (theme, table)) in tables.iter().enumerate() {
        output.line(format!("{}{}", if at == 0 { "" } else { "\n" }, paint(DIM, theme)));
        table.lines().iter().for_each(|line| output.line(format!("  {line}")));
    }
    output.next("`cargo xtask explain CODE` explains a code, with examples");
}

/// Shows a page on a terminal: code blocks are indented, and the fences are left out.
fn show(output: &CliOutput, entry: &CodeExplanation) {
    let (style, weight) = weight(entry);
    output.line(format!("{}  {}", paint(style, format!("{weight}[{}]", entry.code)), paint(BOLD, entry.title)));
    output.line("");
    let mut fenced = false;
    for line in entry.text.lines() {
        match line.strip_prefix("```") {
            Some(kind) if !fenced => {
                fenced = true;
                let kind = kind.strip_prefix("sql ").unwrap_or(kind).trim_end_matches(" text");
                let words = match kind {
                    "before" => "With this schema:",
                    "bad" => "Dangerous:",
                    "good" => "Safe:",
                    _ => "",
                };
                if !words.is_empty() {
                    output.line(paint(DIM, words));
                }
            }
            Some(_) => fenced = false,
            None if fenced => output.line(format!("    {line}")),
            None => output.line(line),
        }
    }
}

fn weight(entry: &CodeExplanation) -> (style::MarkedStyle, String) {
    match entry.weight {
        Some(Severity::Error) => (BAD, "error".to_owned()),
        Some(Severity::Warning) => (WARN, "warning".to_owned()),
        Some(Severity::Note) => (DIM, "note".to_owned()),
        None => (DIM, "off".to_owned()),
    }
}
