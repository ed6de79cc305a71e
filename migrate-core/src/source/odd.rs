//! File names that cannot be displayed as they are: such a name cannot be reviewed.

use std::ffi::OsStr;
use std::path::Path;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::visible::escape;

/// The finding for a name that is not one line of visible text, with the name in a displayable form.
pub(super) fn name(folder: &Path, name: &OsStr) -> Option<Finding> {
    // Nearly every name has only such characters.
    if name.as_encoded_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    let (mut shown, mut why) = (String::new(), None);
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            let wrong = match c {
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => "a control character",
                c if turns(c) => "a character that changes the direction of text",
                '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => "an invisible character",
                c => {
                    shown.push(c);
                    continue;
                }
            };
            why.get_or_insert(wrong);
            shown.push_str(&escape(c));
        }
        for byte in chunk.invalid() {
            why.get_or_insert("a byte that is not UTF-8");
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    let finding = Finding::new(codes::FILE_NAME, format!("the file name `{shown}` contains {}", why?));
    Some(finding.at(Place::file(folder.join(&shown))).help("rename the file"))
}

/// The marks, embeddings, overrides and isolates of Unicode's bidirectional algorithm.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_shown_escaped_and_others_pass() {
        let told = |text: &str| name(Path::new("m"), OsStr::new(text)).map(|finding| finding.message);
        assert_eq!(told("1_a\nb.sql").unwrap(), "the file name `1_a\\nb.sql` contains a control character");
        assert!(told("1_\u{202e}lqs.x").unwrap().contains("`1_\\u{202e}lqs.x` contains a character that changes"));
        assert!(told("1_a\u{200b}.sql").unwrap().contains("invisible"));
        assert_eq!((told("1_Ünïcode naïve.sql"), told("1_می\u{200c}شود.sql")), (None, None));
    }

    #[test]
    #[cfg(unix)]
    fn a_name_that_is_not_utf8_is_shown_by_its_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let finding = name(Path::new("m"), OsStr::from_bytes(b"1_a\xff.sql")).unwrap();
        assert_eq!(finding.message, "the file name `1_a\\xff.sql` contains a byte that is not UTF-8");
    }
}
