//! Colours, times and numbers for the terminal.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::time::Duration;

use anstyle::AnsiColor;

pub(crate) const GOOD: MarkedStyle = MarkedStyle(AnsiColor::Green.on_default().bold());
pub(crate) const WARN: MarkedStyle = MarkedStyle(AnsiColor::Yellow.on_default().bold());
pub(crate) const BAD: MarkedStyle = MarkedStyle(AnsiColor::Red.on_default().bold());
pub(crate) const DIM: MarkedStyle = MarkedStyle(anstyle::Style::new().dimmed());
pub(crate) const BOLD: MarkedStyle = MarkedStyle(anstyle::Style::new().bold());
pub(crate) const PLAIN: MarkedStyle = MarkedStyle(anstyle::Style::new());

/// A style of ours. Until the printer turns it into an escape sequence, it carries a mark that is random for this
/// process, so that nothing in foreign text can be taken for a style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkedStyle(anstyle::Style);

static MARK: LazyLock<String> = LazyLock::new(|| format!(";{}", RandomState::new().build_hasher().finish()));

impl fmt::Display for MarkedStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = if f.alternate() { format!("{:#}", self.0) } else { self.0.to_string() };
        f.write_str(&marked(&codes))
    }
}

/// Marks the styles in a text that contains no other escape sequences.
pub(crate) fn marked(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap_or((part, ""));
        written.push_str(&format!("\u{1b}[{code}{}m{rest}", *MARK));
    }
    written
}

/// The numbers of the style at the beginning of a text, without its mark, and the length of its sequence.
pub(crate) fn unmarked(text: &str) -> Option<(&str, usize)> {
    let (code, _) = text.strip_prefix("\u{1b}[")?.split_once('m')?;
    let bare = code.strip_suffix(MARK.as_str())?;
    let is_style = bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b';');
    is_style.then(|| (bare, code.len() + 3))
}

/// A duration for people: `0.4 ms`, `12 ms`, `3.2 s`, `4 min 10 s`.
pub(crate) fn time(elapsed: Duration) -> String {
    let ms = elapsed.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.1} s", ms / 1000.0),
        _ => format!("{} min {} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60),
    }
}

/// A duration for programs.
pub(crate) fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// A number with its noun: `1 migration`, `3 migrations`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A time for people: `2026-11-24 02:16:16`, in UTC.
pub(crate) fn moment(rfc3339: &str) -> String {
    rfc3339.split(['.', 'Z']).next().unwrap_or(rfc3339).replacen('T', " ", 1)
}

/// Puts a text in a style; if colours are off, the style is removed on output.
pub(crate) fn paint(style: MarkedStyle, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_that_fits() {
        let of = |ms| time(Duration::from_micros(ms));
        assert_eq!([of(430), of(12_400), of(3_200_000), of(250_000_000)], ["0.4 ms", "12 ms", "3.2 s", "4 min 10 s"]);
    }
}
