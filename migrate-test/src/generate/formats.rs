//! Texts in the formats that functions of the server parse.

/// Whether a function parses texts in a format that its second argument defines.
pub(super) fn are_read_by(function: &str) -> bool {
    matches!(function, "to_date" | "to_timestamp" | "to_number" | "decode")
}

/// A text that `to_date`, `to_timestamp`, `to_number` or `decode` can parse.
pub(super) fn text(function: &str, format: &str, serial: u32) -> String {
    match function {
        "to_number" => number(format, serial),
        "decode" => encoded(format, serial),
        _ => date(format, serial),
    }
}

/// A text in the format of `to_date` and `to_timestamp`.
fn date(format: &str, serial: u32) -> String {
    let day = format!("{:02}", serial % 28 + 1);
    let mut text = format.to_owned();
    for (part, value) in [
        ("FM", ""),
        ("YYYY", "2024"),
        ("YY", "24"),
        ("MONTH", "January"),
        ("Month", "January"),
        ("MON", "Jan"),
        ("Mon", "Jan"),
        ("MM", "01"),
        ("DD", &day),
        ("HH24", "10"),
        ("HH12", "10"),
        ("HH", "10"),
        ("MI", "30"),
        ("SSSS", "0"),
        ("SS", "00"),
        ("MS", "000"),
        ("US", "000000"),
        ("TZ", ""),
    ] {
        text = text.replace(part, value);
    }
    text
}

/// A text in the format of `to_number`.
fn number(format: &str, serial: u32) -> String {
    let mut digits = serial;
    let written = format.replace("FM", "").replace("MI", "").replace("PR", "").replace("SG", "").replace("PL", "");
    let digit = |c: char| match c {
        '9' | '0' => {
            digits += 1;
            char::from_digit(digits % 9 + 1, 10)
        }
        'D' => Some('.'),
        'G' => Some(','),
        'L' => Some('$'),
        'S' | 'B' => None,
        c => Some(c),
    };
    written.chars().filter_map(digit).collect()
}

/// A text in the format of `decode`.
fn encoded(format: &str, serial: u32) -> String {
    match format {
        "hex" => format!("{:04x}", 0xab00 + serial % 256),
        // The characters that leave no bits over at the end.
        "base64" => format!("YW{}=", "EIMQUYcgkosw".chars().nth(serial as usize % 12).unwrap_or('E')),
        _ => format!("a{serial}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_their_format() {
        assert_eq!(number("FM99G999D00", 0), "23,456.78");
        assert_eq!(date("FMDD.MM.YYYY", 4), "05.01.2024");
    }
}
