//! File names: which migration a file belongs to, and in which role.

use std::path::Path;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::suggest;

use super::Version;

/// The role of a file in its migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileRole {
    Up,
    Down,
    /// Rows that must exist before the migration; used by the proof.
    Fixture,
    /// A check that must hold after the migration; used by the proof.
    Verify,
    Code,
}

const ENDINGS: [(&str, FileRole); 5] = [
    (".up.sql", FileRole::Up),
    (".down.sql", FileRole::Down),
    (".fixture.sql", FileRole::Fixture),
    (".verify.sql", FileRole::Verify),
    (".rs", FileRole::Code),
];

const FORM: &str =
    "name it `<YYYYMMDDHHMMSS>_<snake_case>.up.sql` or `.down.sql`; `cargo xtask new NAME` creates the pair";

/// Reads a file name: `20250217143000_create_orders_table.up.sql`.
pub(super) fn parse(name: &str) -> Result<(Version, &str, FileRole), Box<Finding>> {
    let wrong = |why: String| Box::new(Finding::new(codes::FILE_NAME, why).at(Place::file(name)).help(FORM));
    let Some((stem, part)) = ENDINGS.iter().find_map(|(end, part)| Some((name.strip_suffix(end)?, *part))) else {
        return Err(wrong(ending(name)));
    };
    let Some((digits, words)) = stem.split_once('_') else {
        return Err(wrong(format!("`{name}` has no name after its version")));
    };
    let version = digits.parse().ok().filter(|_| digits.len() == 14 && !digits.contains('.'));
    let Some(version) = version else {
        return Err(wrong(format!("`{digits}` is not a version of 14 digits")));
    };
    let snake = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if words.is_empty() || !words.bytes().all(snake) {
        return Err(wrong(format!("`{words}` is not a name in snake case")));
    }
    Ok((version, words, part))
}

/// Whether a file has a name in our form.
pub(crate) fn has_own_name(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| parse(name).is_ok())
}

/// Why the end of a file name matches no pattern.
fn ending(name: &str) -> String {
    let known = ENDINGS.map(|(end, _)| end);
    let end = name.find('.').map_or("", |dot| &name[dot..]);
    match suggest::nearest(end, known) {
        Some(near) => format!("`{name}` is not a migration file: did you mean the ending `{near}`?"),
        None => format!("`{name}` is not a migration file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_ending() {
        for (end, part) in ENDINGS {
            let name = format!("20250217143000_create_orders{end}");
            assert_eq!(parse(&name).unwrap(), (20_250_217_143_000.into(), "create_orders", part));
        }
    }

    #[test]
    fn what_fits_no_pattern_is_named() {
        for name in [
            "notes.txt",
            "20250217143000.up.sql",
            "2025_x.up.sql",
            "20250217143000_Create.up.sql",
            "20250217143000_.up.sql",
            "20250217143000_a b.up.sql",
            "20250217143000_a.sql",
            "|1__x.up.sql",
        ] {
            let finding = parse(name).unwrap_err();
            assert_eq!((finding.code.as_str(), finding.help.len()), ("file-name", 1), "{name}");
        }
    }
}
