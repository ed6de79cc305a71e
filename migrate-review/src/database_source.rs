//! Where a database is, and how to display a URL without its password.

use std::ops::Range;
use std::str::FromStr;

use migrate_base::codes;
use migrate_base::db::conninfo;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;

/// Where a database is, as written in `migrate.toml` or after `--database`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseSource {
    /// A managed server, from the first source that works.
    Auto,
    /// A managed server from the PostgreSQL binaries of this machine.
    Local,
    /// A managed server in a container of this image, or of a suitable default image.
    Docker(Option<String>),
    /// A URL in an environment variable.
    Variable(String),
    /// A URL, or libpq's `host=… dbname=…`.
    Url(String),
}

/// A text that is not a database source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotASource;

impl FromStr for DatabaseSource {
    type Err = NotASource;

    fn from_str(text: &str) -> std::result::Result<Self, NotASource> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "local" => Ok(Self::Local),
            None if text == "docker" => Ok(Self::Docker(None)),
            Some(("docker", image)) if is_name(image, "-._/:@") => Ok(Self::Docker(Some(image.to_owned()))),
            Some(("env", name)) if is_name(name, "_.-") => Ok(Self::Variable(name.to_owned())),
            _ if conninfo::is_connection_string(text) => Ok(Self::Url(text.to_owned())),
            _ => Err(NotASource),
        }
    }
}

/// Whether a text is a name of letters, digits and these characters. Somebody may write `env:$DATABASE_URL`: that is
/// not a name, and an invalid name is not repeated in a message.
fn is_name(text: &str, signs: &str) -> bool {
    !text.is_empty() && !text.contains("//") && text.chars().all(|char| char.is_alphanumeric() || signs.contains(char))
}

impl DatabaseSource {
    /// The accepted forms, for messages and help.
    pub const FORMS: &str = "auto, local, docker, docker:IMAGE, env:VARIABLE or postgres://…";

    /// The URL, if the source has one; a variable is looked up in the process environment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a variable that is not set or is empty.
    pub fn url(&self) -> Result<Option<String>> {
        match self {
            Self::Url(url) => Ok(Some(url.clone())),
            Self::Variable(name) => match std::env::var(name).ok().filter(|value| !value.is_empty()) {
                Some(url) => Ok(Some(url)),
                None => Err(Error::new(
                    ErrorKind::Configuration,
                    Finding::new(codes::VARIABLE_UNSET, format!("the environment variable {name} is not set"))
                        .note("this environment takes its database URL from that variable")
                        .help(format!("export {name}=postgres://user:password@host/database")),
                )),
            },
            Self::Auto | Self::Local | Self::Docker(_) => Ok(None),
        }
    }

    /// Whether it is a server that the project starts and keeps; there is one for all its environments.
    pub fn is_managed(&self) -> bool {
        matches!(self, Self::Auto | Self::Local | Self::Docker(_))
    }

    /// Whether the source is a URL that contains a password.
    pub fn holds_password(&self) -> bool {
        // An invalid URL may contain anything.
        matches!(self, Self::Url(url) if conninfo::secrets(url).is_none_or(|secrets| !secrets.is_empty()))
    }
}

/// Hides the passwords of all connection strings in a text, and keeps its length.
///
/// An invalid PostgreSQL URL is hidden completely, up to the end of its line: any part of it may be a password.
pub fn redact(text: &str) -> String {
    let mut shown = text.to_owned();
    let mut from = 0;
    while let Some(at) = shown[from..].find("://").map(|n| from + n) {
        let scheme = shown[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |n| n + 1);
        let scheme = (0..=scheme).rev().find(|n| shown.is_char_boundary(*n)).unwrap_or(0);
        let (scheme, end) = (after(&shown, scheme), end_of_url(&shown, at, scheme));
        let url = &shown[scheme..end];
        let ranges =
            if url.starts_with("postgres") { secrets_of_ours(url, &shown[end..]) } else { secrets_of_others(url) };
        let rest = at + 3 - scheme;
        let ranges = ranges.unwrap_or_else(|| std::iter::once(rest..url.len()).collect());
        for range in ranges {
            hide(&mut shown, scheme + range.start..scheme + range.end);
        }
        from = at + 3;
    }
    redact_pairs(&mut shown);
    redact_sources(&mut shown);
    shown
}

/// The first character of the scheme, if the text before it was cut inside a character.
fn after(text: &str, at: usize) -> usize {
    (at..text.len()).find(|n| text.is_char_boundary(*n)).unwrap_or(text.len())
}

/// The end of a URL: at the same quote that precedes it, otherwise at the end of its line. `at` is the position of its
/// `://`.
fn end_of_url(text: &str, at: usize, scheme: usize) -> usize {
    let line = text[at..].find('\n').map_or(text.len(), |n| at + n);
    let before = &text[..scheme];
    if let Some(quote) = ["\"\"\"", "\'\'\'"].iter().find(|quote| before.ends_with(**quote)) {
        return text[at..].find(quote).map_or(text.len(), |n| at + n);
    }
    // The last such quote of the line: the password may contain one.
    let quote = before.chars().next_back().filter(|quote| matches!(quote, '"' | '\'' | '`'));
    match quote {
        None => line,
        // A quote that is not closed on its line is closed later, or not at all.
        Some(quote) => match text[at..line].rfind(quote) {
            Some(n) => at + n,
            None => text[line..].find(quote).map_or(text.len(), |n| line + n),
        },
    }
}

/// The secrets of a PostgreSQL connection string; `None` if it is invalid. `behind` is the text after it.
fn secrets_of_ours(url: &str, behind: &str) -> Option<Vec<Range<usize>>> {
    let behind = behind.split('\n').next().unwrap_or_default();
    let whole = || conninfo::secrets(url).filter(|_| !url.contains(['"', '\'', '`', ' ']));
    // A sentence may continue after it.
    let word = || {
        let end = url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'))?;
        conninfo::secrets(&url[..end]).filter(|_| !url[end..].contains('@') && !behind.contains('@'))
    };
    whole().or_else(word)
}

/// The parts of any other URL that must not be displayed: everything if it contains a user, otherwise the path, which
/// in a webhook is as good as a password.
fn secrets_of_others(url: &str) -> Option<Vec<Range<usize>>> {
    let start = url.find("://")? + 3;
    if url[start..].contains('@') {
        return None;
    }
    let word =
        url[start..].find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).map_or(url.len(), |n| start + n);
    let path = url[start..word].find(['/', '?', '#']).map_or(word, |n| start + n + 1);
    Some(std::iter::once(path..word).collect())
}

/// Hides the value of `database = "…"` unless it is a valid source, or a URL, which is handled separately.
fn redact_sources(shown: &mut String) {
    let mut from = 0;
    while let Some(at) = shown[from..].find("database").map(|n| from + n + "database".len()) {
        from = at;
        let line = shown[at..].find('\n').map_or(shown.len(), |n| at + n);
        let Some(value) = shown[at..line].trim_start_matches(['"', '\'', ' ', '\t']).strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start();
        let inner = value.trim_start_matches(['"', '\'']);
        let is_known =
            inner.parse::<DatabaseSource>().is_ok() || ["env:", "docker:"].iter().any(|form| inner.starts_with(form));
        if is_known || inner.contains("://") || !inner.contains([':', '@', '=']) {
            continue;
        }
        let closing = usize::from(inner.ends_with(['"', '\'']));
        hide(shown, line - inner.len()..line - closing);
    }
}

/// Hides the value after `password=` and `password =`, up to the end of its quotes or its line.
fn redact_pairs(shown: &mut String) {
    let mut from = 0;
    while let Some(at) = shown[from..].to_ascii_lowercase().find("password").map(|n| from + n + "password".len()) {
        from = at;
        let line = shown[at..].find('\n').map_or(shown.len(), |n| at + n);
        let Some(value) = shown[at..line].trim_start().strip_prefix('=') else { continue };
        let value = value.trim_start();
        let start = line - value.len();
        let closing = value.trim_end().ends_with(['"', '\'', '`']);
        let end = start + value.trim_end().len() - usize::from(closing && value.trim_end().len() > 1);
        let start = start + usize::from(value.starts_with(['"', '\'']) && end > start + 1);
        hide(shown, start..end);
    }
}

fn hide(text: &mut String, range: Range<usize>) {
    // Line breaks are kept, so that places stay correct.
    let stars = text[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect::<String>();
    text.replace_range(range, &stars);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_source_is_read() {
        let docker = |image: &str| DatabaseSource::Docker(Some(image.to_owned()));
        assert_eq!("docker:postgres:17".parse(), Ok(docker("postgres:17")));
        assert_eq!("env:STAGING".parse(), Ok(DatabaseSource::Variable("STAGING".into())));
        let pairs = "host=/tmp dbname=shop";
        assert_eq!(pairs.parse(), Ok(DatabaseSource::Url(pairs.to_owned())));
        for leaky in ["env:postgres://a:b@h/d", "docker:postgres://a:b@h/d"] {
            assert_eq!(leaky.parse::<DatabaseSource>(), Err(NotASource), "{leaky}");
        }
        for wrong in ["", "Auto", "env:", "postgres:x", "localhost", "mysql://h/d?a=b"] {
            assert_eq!(wrong.parse::<DatabaseSource>(), Err(NotASource), "{wrong}");
        }
    }

    #[test]
    fn redaction_keeps_the_length() {
        for (text, expected) in [
            ("a postgres://u:p%40ss@h/d b https://h:1/x", "a postgres://u:******@h/d b https://h:1/*"),
            ("a postgres://u:p@ss@h/d b", "a postgres://************"),
            ("x = \"postgres://u:a?b@h/d\" # z", "x = \"postgres://*********\" # z"),
            ("x = \"postgres://u:a\"b@h/d\"", "x = \"postgres://*********\""),
            ("x = 'postgres://h/d?port=1&password=ab'", "x = 'postgres://h/d?port=1&password=**'"),
            ("x = 'https://u:p@ss@h/x y'", "x = 'https://************'"),
            ("slack = \"https://hooks.example/T/x\"", "slack = \"https://hooks.example/***\""),
            ("database = \"u:a@b\"", "database = \"*****\""),
            ("database = 'env:A' # b", "database = 'env:A' # b"),
            ("url = \"host=a password=b c\"", "url = \"host=a password=***\""),
            ("password = \"abc\"", "password = \"***\""),
            ("ünï postgres://ü:ß@h/d", "ünï postgres://ü:**@h/d"),
        ] {
            assert_eq!((redact(text).as_str(), redact(text).len()), (expected, text.len()));
        }
    }

    proptest::proptest! {
        /// Whatever a password contains and however it is quoted, no four consecutive characters of it are shown.
        #[test]
        fn no_part_of_a_password_is_shown(password in "\\PC{4,12}", form in 0..4_usize) {
            let url = format!("postgres://qq:{password}@db/sh");
            let text = match form {
                0 => format!("k = \"{url}\"\nx = 1"),
                1 => format!("k = '{url}'\nx = 1"),
                2 => url,
                _ => format!("k = \"host=db password={password}\"\nx = 1"),
            };
            let shown = redact(&text);
            let all: Vec<char> = password.chars().collect();
            for part in all.windows(4).map(|part| part.iter().collect::<String>()) {
                let ours = "k = \"postgres://qq:@db/sh\"\nx = 1 host=db password=********************'";
                let is_ours = ours.contains(&part);
                proptest::prop_assert!(is_ours || !shown.contains(&part), "{part:?} of {text:?} in {shown:?}");
            }
        }
    }
}
