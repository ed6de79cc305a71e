//! Durations as they are written in files: `250ms`, `2s`, `10min`.

use std::time::Duration;

/// Reads a number with its unit (`ms`, `s`, `min`, `h`), or a bare `0`.
///
/// PostgreSQL's own settings use the same units. A number without a unit is refused, because PostgreSQL would read it
/// as milliseconds while most people mean seconds.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "" if number == 0 => 1,
        _ => return None,
    };
    // PostgreSQL's timeouts are 32-bit milliseconds.
    let total = number.checked_mul(milliseconds)?;
    (total <= i32::MAX as u64).then(|| Duration::from_millis(total))
}

/// Formats a duration for display: `250 ms`, `2 s`, `10 min`.
pub fn display(time: Duration) -> String {
    match time.as_millis() {
        all if all % 60_000 == 0 && all > 0 => format!("{} min", all / 60_000),
        all if all % 1_000 == 0 => format!("{} s", all / 1_000),
        all => format!("{all} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_its_largest_unit() {
        let shown = [250, 2_000, 60_000, 90_000, 0].map(|all| display(Duration::from_millis(all)));
        assert_eq!(shown, ["250 ms", "2 s", "1 min", "90 s", "0 s"]);
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("10 min"), Some(Duration::from_secs(600)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        for wrong in ["", "5", "s", "-1s", "1.5s", "1d", "99999999999h", "30 days"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
