//! Parses connection strings as libpq does: URLs, and `host=… dbname=…`.
//!
//! Invalid text is never repeated: it may contain a password that was not percent-encoded.

use std::ops::Range;

use super::table::{self, FOREIGN};
use crate::suggest;

/// A parsed connection string.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionString {
    /// The parameters, in order; the last one of a name counts.
    pub(super) pairs: Vec<(&'static str, String)>,
    /// The places of passwords and other secrets in the text.
    pub(super) secrets: Vec<Range<usize>>,
    /// The parts to remove to get the text without its password.
    pub(super) cuts: Vec<Range<usize>>,
}

/// Why a text is not a connection string, without repeating any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConnectionStringError {
    /// It has an `@`, `/`, `?` or `#` that may be part of a password.
    Doubtful,
    /// It does not start like a connection string.
    Foreign,
    /// Something else, with what to do about it.
    Because(String, String),
}

pub(super) const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// The position after the scheme of a URL.
pub(super) fn after_scheme(text: &str) -> Option<usize> {
    SCHEMES.iter().find(|scheme| text.starts_with(**scheme)).map(|scheme| scheme.len())
}

/// Reads a connection string.
pub(super) fn read(text: &str) -> Result<ConnectionString, ConnectionStringError> {
    match after_scheme(text) {
        Some(at) => url(text, at),
        None if is_foreign(text) => Err(ConnectionStringError::Foreign),
        None => pairs(text),
    }
}

/// Whether this is a different kind of URL, or not a connection string at all.
fn is_foreign(text: &str) -> bool {
    let is_scheme =
        |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':'));
    !text.contains('=') || text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// `postgres://user:password@host:port,host:port/dbname?name=value&…`.
///
/// See <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>.
fn url(text: &str, start: usize) -> Result<ConnectionString, ConnectionStringError> {
    if is_doubtful(&text[start..]) {
        return Err(ConnectionStringError::Doubtful);
    }
    let mut written = ConnectionString::default();
    let mut at = start;
    if let Some(end) = text[at..].find('@').map(|n| at + n) {
        let colon = text[at..end].find(':').map(|n| at + n);
        written.give_some("user", decode(&text[at..colon.unwrap_or(end)])?);
        if let Some(colon) = colon {
            written.give_some("password", decode(&text[colon + 1..end])?);
            written.secrets.push(colon + 1..end);
            written.cuts.push(colon..end);
        }
        at = end + 1;
    }
    let query = text[at..].find('?').map_or(text.len(), |n| at + n);
    let path = text[at..query].find('/').map_or(query, |n| at + n);
    hosts(&mut written, &text[at..path])?;
    if path < query {
        written.give_some("dbname", decode(&text[path + 1..query])?);
    }
    if query < text.len() {
        parameters(&mut written, text, query + 1)?;
    }
    Ok(written)
}

/// Whether the URL may contain an unencoded password. libpq would take another part of such a URL for the host, and
/// every message with the host would show a part of the password.
fn is_doubtful(rest: &str) -> bool {
    let Some(at) = rest.find('@') else { return false };
    rest[..at].contains(['/', '?', '#']) || rest[at + 1..].contains('@')
}

/// `host:port,[::1]:port`.
fn hosts(written: &mut ConnectionString, authority: &str) -> Result<(), ConnectionStringError> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for one in authority.split(',') {
        let (name, rest) = match one.strip_prefix('[') {
            Some(open) => {
                let Some((address, rest)) = open.split_once(']').filter(|(address, _)| !address.is_empty()) else {
                    return Err(because("an IPv6 address must be in brackets", "write [::1]:5432"));
                };
                (address, rest)
            }
            None => one.split_at(one.find(':').unwrap_or(one.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port,
            None if rest.is_empty() => "",
            None => {
                return Err(because("there is extra text after the brackets of an IPv6 address", "write [::1]:5432"));
            }
        };
        names.push(name);
        ports.push(port);
    }
    let (names, ports) = (names.join(","), ports.join(","));
    if !names.is_empty() {
        written.give("host", decode(&names)?);
    }
    if !ports.is_empty() {
        written.give("port", decode(&ports)?);
    }
    Ok(())
}

/// `name=value&name=value`, from this position to the end of the text.
fn parameters(written: &mut ConnectionString, text: &str, start: usize) -> Result<(), ConnectionStringError> {
    let mut at = start;
    for (n, pair) in text[start..].split('&').enumerate() {
        let range = at..at + pair.len();
        at = range.end + 1;
        if pair.is_empty() && range.end == text.len() {
            continue;
        }
        let Some((name, value)) = pair.split_once('=') else {
            return Err(because(
                format!("parameter {} has no value", n + 1),
                "write name=value; write an & within a value as %26",
            ));
        };
        if value.contains('=') {
            return Err(because(format!("parameter {} has a second =", n + 1), "write an = within a value as %3D"));
        }
        let name = decode(name)?;
        // As with libpq, for the sake of JDBC.
        let (name, value) = match (name.as_str(), decode(value)?) {
            ("ssl", value) if value == "true" => ("sslmode".to_owned(), "require".to_owned()),
            (_, value) => (name, value),
        };
        let keyword = known(&name, n)?;
        if is_secret(keyword) {
            written.secrets.push(range.end - pair.split_once('=').map_or(0, |(_, value)| value.len())..range.end);
        }
        if keyword == "password" {
            // With the separator after it, or, for the last parameter, the one before it unless that is already cut.
            let before = written.cuts.last().map_or(0, |cut| cut.end).max(range.start - 1);
            let cut = if at <= text.len() { range.start..at } else { before..range.end };
            written.cuts.push(cut);
        }
        written.give(keyword, value);
    }
    Ok(())
}

/// `name = value name = 'value'`.
///
/// See <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>.
fn pairs(text: &str) -> Result<ConnectionString, ConnectionStringError> {
    let mut written = ConnectionString::default();
    let mut rest = text.trim_start();
    let broken = || because("a name has no = and value", "write host=HOST dbname=NAME, and values with spaces in '…'");
    for n in 0.. {
        if rest.is_empty() {
            break;
        }
        let begin = text.len() - rest.len();
        let (name, behind) = rest.split_once('=').ok_or_else(broken)?;
        let name = name.trim_end();
        if name.contains(char::is_whitespace) {
            return Err(broken());
        }
        let keyword = known(name, n)?;
        let from = behind.trim_start();
        let (value, end) =
            value(from).ok_or_else(|| because("a quote is not closed", "close it, or write \\' for a quote"))?;
        let start = text.len() - from.len();
        rest = from[end..].trim_start();
        if is_secret(keyword) {
            written.secrets.push(start..start + end);
        }
        if keyword == "password" {
            written.cuts.push(begin..text.len() - rest.len());
        }
        written.give(keyword, value);
    }
    Ok(written)
}

/// A value, and where it ends.
fn value(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let quoted = text.starts_with('\'');
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Some((value, at + 1)),
            c if c.is_whitespace() && !quoted => return Some((value, at)),
            c => value.push(c),
        }
    }
    if quoted { None } else { Some((value, text.len())) }
}

impl ConnectionString {
    /// Adds a parameter unless it is empty; empty parts before the query of a URL count as not given.
    fn give_some(&mut self, keyword: &'static str, value: String) {
        if !value.is_empty() {
            self.give(keyword, value);
        }
    }

    fn give(&mut self, keyword: &'static str, value: String) {
        match (keyword, value.as_bytes().first()) {
            // As with libpq.
            ("requiressl", Some(b'1')) => self.pairs.push(("sslmode", "require".to_owned())),
            ("requiressl", _) => self.pairs.push(("sslmode", "prefer".to_owned())),
            _ => self.pairs.push((keyword, value)),
        }
    }
}

fn is_secret(keyword: &str) -> bool {
    matches!(keyword, "password" | "sslpassword" | "oauth_client_secret" | "scram_client_key" | "scram_server_key")
}

/// The parameter with this name. An unknown name is not repeated: it may be what follows an unescaped `&` in a
/// password.
pub(super) fn known(name: &str, n: usize) -> Result<&'static str, ConnectionStringError> {
    if let Some(parameter) = table::find(name) {
        return Ok(parameter.keyword);
    }
    let nearest =
        || suggest::nearest(name, table::PARAMETERS.iter().map(|one| one.keyword).filter(|one| !one.is_empty()));
    let foreign = FOREIGN.iter().find(|(foreign, _)| *foreign == name).map(|(_, ours)| *ours);
    let help = match (foreign, name.starts_with("options[")) {
        (_, true) => "write `options=-c%20NAME%3DVALUE`".to_owned(),
        (Some(ours), _) => format!("write `{ours}`"),
        (None, _) => match nearest() {
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/FORMATS.md lists the parameters; write an & within a value as %26".to_owned(),
        },
    };
    Err(because(format!("libpq does not know parameter {}", n + 1), help))
}

pub(super) fn because(why: impl Into<String>, help: impl Into<String>) -> ConnectionStringError {
    ConnectionStringError::Because(why.into(), help.into())
}

/// Percent-decodes a text as libpq 17 and newer do: spaces at both ends are ignored, others are an error.
pub(super) fn decode(text: &str) -> Result<String, ConnectionStringError> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if text.contains(|c: char| c.is_ascii_whitespace()) {
        return Err(because("it contains a space", "write a space as %20"));
    }
    let wrong = || because("a % is not followed by two hexadecimal digits", ENCODE);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        match u8::try_from(high * 16 + low) {
            Ok(0) | Err(_) => return Err(because("%00 is not allowed", ENCODE)),
            Ok(byte) => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| because("the percent-encoded bytes are not UTF-8", ENCODE))
}

/// The advice for passwords with special characters.
pub(super) const ENCODE: &str = "percent-encode the special characters of the password: @ is %40, : is %3A, \
                                 / is %2F, ? is %3F, # is %23, & is %26, = is %3D, % is %25, a space is %20";

/// Percent-encodes a text for use anywhere in a URL.
pub(crate) fn encode(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str) -> String {
        let pairs = read(text).unwrap().pairs;
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        for (url, expected) in [
            ("postgres://", ""),
            ("postgres:///shop", "dbname=shop"),
            ("postgresql://ann:s%40c:x@h:1/d", "user=ann password=s@c:x host=h port=1 dbname=d"),
            ("postgres://ann@/d?host=%2Ftmp", "user=ann dbname=d host=/tmp"),
            ("postgres://%2Ftmp%2Fs:5433/d", "host=/tmp/s port=5433 dbname=d"),
            ("postgres://[::1]:7,b,[fe80::2]/d", "host=::1,b,fe80::2 port=7,, dbname=d"),
            ("postgres://h?user=a%26b&ssl=true", "host=h user=a&b sslmode=require"),
            ("postgres://h/d?requiressl=1", "host=h dbname=d sslmode=require"),
            ("postgres://h/d#e", "host=h dbname=d#e"),
            ("postgres://h/d?sslmode=require&", "host=h dbname=d sslmode=require"),
            (
                "host=a  port = 1 password='x \\' y' dbname=q\\ r user=''",
                "host=a port=1 password=x ' y dbname=q r user=",
            ),
        ] {
            assert_eq!(reads(url), expected, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        for text in [
            "postgres://u:qwx/zvk@h/d",
            "postgres://u:qwx?zvk@h/d",
            "postgres://u:qwx#zvk@h/d",
            "postgres://u:qwx@zvk@h/d",
            "postgres://u:x@qwxzvk/y@h/d",
            "postgres://h/d?user=qwx@zvk",
            "postgres://u:qwxzvk%@h/d",
            "postgres://u:qwxzvk%zz@h/d",
            "postgres://u:qwx zvk@h/d",
            "postgres://h/d?password=x&qwxzvk=y",
            "postgres://h/d?password=x&qwxzvk",
            "postgres://h/d?password=x=qwxzvk",
            "postgres://[::1/qwxzvk",
            "mysql://u:qwxzvk@h/d",
            "u:qwxzvk@h",
            "host=a password='qwxzvk",
            "host=a password=b qwxzvk",
        ] {
            let error = format!("{:?}", read(text).unwrap_err());
            assert!(!error.contains("qwx") && !error.contains("zvk"), "{text}: {error}");
        }
    }

    #[test]
    fn secrets_have_their_places() {
        let secrets = |text: &str| {
            let written = read(text).unwrap();
            let cut = |text: &str, ranges: &[Range<usize>]| {
                let mut text = text.to_owned();
                ranges.iter().rev().for_each(|range| text.replace_range(range.clone(), ""));
                text
            };
            (
                written.secrets.iter().map(|range| text[range.clone()].to_owned()).collect::<Vec<_>>(),
                cut(text, &written.cuts),
            )
        };
        assert_eq!(secrets("postgres://a:b%20c@h/d"), (vec!["b%20c".to_owned()], "postgres://a@h/d".to_owned()));
        let two = secrets("postgres://a:b@h/d?password=c&port=1");
        assert_eq!(two, (vec!["b".to_owned(), "c".to_owned()], "postgres://a@h/d?port=1".to_owned()));
        assert_eq!(secrets("postgres://h/d?port=1&password=c").1, "postgres://h/d?port=1");
        assert_eq!(secrets("host=a password='b c' port=1").1, "host=a port=1");
    }
}
