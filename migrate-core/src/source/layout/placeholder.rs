//! Placeholders in the files of other tools, and their values from `migrate.toml`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::sql::lex::lex;
use squawk_lexer::TokenKind;

/// A placeholder in a text: where it is, and its name.
struct PlaceholderUse {
    span: Range<usize>,
    name: String,
}

/// A function that replaces the placeholders of a text by their values.
pub(super) type Filling = fn(&Path, String, &BTreeMap<String, String>, &mut Vec<Finding>) -> String;

/// What Flyway itself gives a value, as far as it is known before there is a database. A time is another one in each
/// run, so a repeatable migration with it always runs.
///
/// See <https://documentation.red-gate.com/flyway/flyway-concepts/migrations/migration-placeholders>.
fn given_by_flyway(path: &Path, name: &str) -> Option<String> {
    Some(match name {
        "flyway:filename" => path.file_name()?.to_string_lossy().into_owned(),
        "flyway:table" => "flyway_schema_history".to_owned(),
        "flyway:defaultSchema" => "public".to_owned(),
        "flyway:timestamp" => {
            let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
            now.replace('T', " ").replace('Z', "")
        }
        _ => return None,
    })
}

/// Replaces each `${name}` by its value, as Flyway does everywhere in a file. One without a value is a finding, except
/// in a dollar-quoted text, where it may mean something else.
pub(super) fn fill_braces(
    path: &Path,
    text: String,
    values: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> String {
    let used = in_braces(&text, 0);
    if used.is_empty() {
        return text;
    }
    let quoted = dollar_quoted(&text);
    let is_quoted = |one: &PlaceholderUse| quoted.iter().any(|span| span.contains(&one.span.start));
    let given = used.iter().filter_map(|one| Some((one.name.clone(), given_by_flyway(path, &one.name)?)));
    let mut all: BTreeMap<String, String> = given.collect();
    all.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
    let known: Vec<PlaceholderUse> =
        used.into_iter().filter(|one| all.contains_key(&one.name) || !is_quoted(one)).collect();
    fill(path, text, known, &all, findings)
}

/// Replaces each `$NAME` and `${NAME}` in parts of a text by its value, as goose does after `ENVSUB ON`.
pub(super) fn fill_variables(
    path: &Path,
    text: String,
    parts: &[Range<usize>],
    values: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> String {
    let used = parts.iter().flat_map(|part| variables(&text[part.clone()], part.start)).collect();
    fill(path, text, used, values, findings)
}

/// Replaces each `:NAME` by its value, as graphile-migrate does for the names in its configuration, and always for
/// those of the database and of its owner.
pub(super) fn fill_colons(
    path: &Path,
    text: String,
    values: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> String {
    const BUILT_IN: [&str; 2] = ["DATABASE_NAME", "DATABASE_OWNER"];
    let one = |(start, _): (usize, &str)| {
        let rest = &text[start + 1..];
        let end =
            rest.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')).unwrap_or(rest.len());
        let name = &rest[..end];
        let is_cast = text[..start].ends_with(':');
        let is_known = values.contains_key(name) || BUILT_IN.contains(&name);
        (is_known && !is_cast).then(|| PlaceholderUse { span: start..start + 1 + end, name: name.to_owned() })
    };
    let used = text.match_indices(':').filter_map(one).collect();
    fill(path, text.clone(), used, values, findings)
}

fn fill(
    path: &Path,
    mut text: String,
    used: Vec<PlaceholderUse>,
    values: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> String {
    let whole: std::sync::Arc<str> = text.as_str().into();
    for PlaceholderUse { span, name } in used.into_iter().rev() {
        // `${NAME:-default}`
        let (name, default) = name.split_once(":-").map_or((&*name, None), |(name, default)| (name, Some(default)));
        match values.get(name).map(String::as_str).or(default) {
            Some(value) => text.replace_range(span, value),
            None => findings.push(
                Finding::new(codes::PLACEHOLDER_VALUE, format!("the placeholder `{name}` has no value"))
                    .at(Place::within(path, whole.clone(), span))
                    .help(format!("give it one in migrate.toml: `[placeholders]`, `{} = \"…\"`", key(name))),
            ),
        }
    }
    text
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { name.to_owned() } else { format!("\"{name}\"") }
}

fn in_braces(text: &str, offset: usize) -> Vec<PlaceholderUse> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | ' '))
    };
    let opened = text.match_indices("${");
    let one = |(start, _): (usize, &str)| {
        let name = &text[start + 2..];
        let name = &name[..name.find('}')?];
        let span = offset + start..offset + start + name.len() + 3;
        is_name(name).then(|| PlaceholderUse { span, name: name.to_owned() })
    };
    opened.filter_map(one).collect()
}

fn variables(text: &str, offset: usize) -> Vec<PlaceholderUse> {
    let mut used = in_braces(text, offset);
    for (start, _) in text.match_indices('$') {
        let rest = &text[start + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = &rest[..end];
        // A name does not begin with a digit, and `$tag$` quotes.
        let is_variable =
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !rest[end..].starts_with('$');
        let is_end_of_quote = text[..start].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$');
        if is_variable && !is_end_of_quote {
            used.push(PlaceholderUse { span: offset + start..offset + start + 1 + end, name: name.to_owned() });
        }
    }
    used.sort_by_key(|one| one.span.start);
    used
}

fn dollar_quoted(text: &str) -> Vec<Range<usize>> {
    let is_quoted = |(kind, span): &(TokenKind, Range<usize>)| {
        matches!(kind, TokenKind::Literal { .. }) && text[span.clone()].starts_with('$')
    };
    lex(text, 0).filter(is_quoted).map(|(_, span)| span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, is_goose: bool) -> (String, Vec<String>) {
        let values = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("B_2".to_owned(), "two".to_owned())]);
        let (mut findings, path) = (Vec::new(), Path::new("x.sql"));
        let text = text.to_owned();
        let filled = match is_goose {
            true => {
                let all = 0..text.len();
                fill_variables(path, text, &[all], &values, &mut findings)
            }
            false => fill_braces(path, text, &values, &mut findings),
        };
        (filled, findings.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn placeholders_get_their_values_and_one_without_is_named() {
        assert_eq!(filled("SELECT ${a}, '${B_2}', $$${a}$$;", false), ("SELECT 1, 'two', $$1$$;".into(), vec![]));
        assert_eq!(filled("-- ${flyway:filename}", false), ("-- x.sql".into(), vec![]));
        let time = filled("${flyway:timestamp}", false).0;
        assert!(time.len() == 19 && time.starts_with("20") && time.contains(' '), "{time}");
        let (same, told) = filled("SELECT '${c}', $x$ ${d} $x$, '${ }';", false);
        assert_eq!(same, "SELECT '${c}', $x$ ${d} $x$, '${ }';");
        assert_eq!(told, ["the placeholder `c` has no value"]);
    }

    #[test]
    fn colons_of_graphile_are_told_from_casts() {
        let values = BTreeMap::from([("VISITOR".to_owned(), "web".to_owned())]);
        let mut findings = Vec::new();
        let text = "GRANT a TO :VISITOR; SELECT b::TEXT, ':OTHER', :DATABASE_OWNER;".to_owned();
        let filled = fill_colons(Path::new("x"), text, &values, &mut findings);
        assert_eq!(filled, "GRANT a TO web; SELECT b::TEXT, ':OTHER', :DATABASE_OWNER;");
        let told: Vec<String> = findings.into_iter().map(|finding| finding.message).collect();
        assert_eq!(told, ["the placeholder `DATABASE_OWNER` has no value"]);
    }

    #[test]
    fn variables_of_goose_are_told_from_dollar_quotes_and_parameters() {
        assert_eq!(filled("SELECT $a, ${B_2}, $1, $q$ x $q$;", true), ("SELECT 1, two, $1, $q$ x $q$;".into(), vec![]));
        assert_eq!(filled("SELECT ${c:-3}, ${a:-4};", true), ("SELECT 3, 1;".into(), vec![]));
        assert_eq!(filled("SELECT $c;", true).1, ["the placeholder `c` has no value"]);
    }
}
