//! The checksums that other tools record, computed as each tool does it.

use std::hash::{DefaultHasher, Hash, Hasher};

use crc::{CRC_32_ISO_HDLC, Crc};
use sha2::{Digest, Sha256, Sha384};

use super::ForeignTool;
use crate::source::Migration;

/// What a recorded checksum says about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignChecksum {
    /// The file is the one that was applied.
    Same,
    /// The file was changed since, or never was the one that was applied.
    Differs,
    /// The tool keeps none.
    NotKept,
    /// The tool keeps one, and it is not known how it computes it.
    NotCompared,
}

/// Compares a recorded checksum with the bytes of a migration's file.
pub(crate) fn compare(tool: &ForeignTool, recorded: &str, migration: &Migration, bytes: &[u8]) -> ForeignChecksum {
    let mut text = as_checked_out(bytes);
    // Flyway fills the placeholders of a repeatable migration first.
    let filled = migration.up_script().filter(|_| migration.version().is_repeatable());
    text.extend(filled.map(|script| script.text().as_bytes().to_vec()));
    compare_texts(tool, recorded, (migration.version().as_str(), migration.name()), &text)
}

/// The same for each text that a checkout may have made of the file.
fn compare_texts(
    tool: &ForeignTool,
    recorded: &str,
    (version, name): (&str, &str),
    texts: &[Vec<u8>],
) -> ForeignChecksum {
    let is_same = match tool.name {
        "sqlx" => texts.iter().any(|text| hex::<Sha384>(text) == recorded),
        // It was found by its checksum.
        "drizzle" => true,
        "prisma" => texts.iter().any(|text| hex::<Sha256>(text) == recorded),
        "refinery" => texts.iter().any(|text| refinery(version, name, text).iter().any(|sum| sum == recorded)),
        "flyway" => texts.iter().any(|text| flyway(text).to_string() == recorded),
        _ => return ForeignChecksum::NotCompared,
    };
    if is_same { ForeignChecksum::Same } else { ForeignChecksum::Differs }
}

/// A file as it is, and with each line ending that a checkout may have given it.
fn as_checked_out(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes);
    let unix = text.replace("\r\n", "\n");
    let windows = unix.replace('\n', "\r\n");
    vec![bytes.to_vec(), unix.into_bytes(), windows.into_bytes()]
}

/// The CRC-32 of the lines without their ends and without a byte order mark, as a signed number.
///
/// See `ChecksumCalculator.java` in <https://github.com/flyway/flyway>.
fn flyway(bytes: &[u8]) -> i32 {
    const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut digest = CRC.digest();
    text.split('\n').for_each(|line| digest.update(line.as_bytes()));
    digest.finalize().cast_signed()
}

/// SipHash-1-3 with zero keys, which the standard library has, over the name, the version and the text. The version has
/// four bytes, or eight in a program that asks for them.
///
/// See `Migration::applied` and `unapplied` in <https://github.com/rust-db/refinery>.
fn refinery(version: &str, name: &str, text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let sum = |hash_version: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hash_version(&mut hasher);
        text.hash(&mut hasher);
        hasher.finish().to_string()
    };
    let short = version.parse::<i32>().ok().map(|version| sum(&|hasher| version.hash(hasher)));
    let long = version.parse::<i64>().ok().map(|version| sum(&|hasher| version.hash(hasher)));
    short.into_iter().chain(long).collect()
}

pub(super) fn hex<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(tool: &str, recorded: &str, text: &str) -> ForeignChecksum {
        let texts = as_checked_out(text.as_bytes());
        compare_texts(ForeignTool::named(tool).unwrap(), recorded, ("1", "first"), &texts)
    }

    #[test]
    fn checksums_are_those_of_the_tools() {
        // As sqlx 0.8 and refinery 0.8 wrote them.
        let sqlx = "f410322a0617fec4aeccbf4824d96d5e57260fb44fcc11c998d70aef3d84ad630e90d380dbef7f0e30689eaffd1717a1";
        let text = "ALTER TABLE a ADD b text;\n";
        assert_eq!(compared("sqlx", sqlx, text), ForeignChecksum::Same);
        assert_eq!(compared("sqlx", sqlx, "ALTER TABLE a ADD b text;\r\n"), ForeignChecksum::Same);
        assert_eq!(compared("sqlx", sqlx, "ALTER TABLE a ADD c text;\n"), ForeignChecksum::Differs);
        let text = "CREATE TABLE a (id int PRIMARY KEY);\n";
        assert_eq!(compared("refinery", "4015223630108965889", text), ForeignChecksum::Same);
        assert_eq!(compared("refinery", "4015223630108965889", "SELECT 1;"), ForeignChecksum::Differs);
        // The check value of CRC-32, with lines that are joined.
        let check = 0xcbf4_3926_u32.cast_signed().to_string();
        for text in ["123456789", "\u{feff}1234\r\n56789\n", "1234\r56789"] {
            assert_eq!(compared("flyway", &check, text), ForeignChecksum::Same, "{text:?}");
        }
        assert_eq!(compared("flyway", &check, "12345678"), ForeignChecksum::Differs);
        assert_eq!(compared("atlas", "x", ""), ForeignChecksum::NotCompared);
    }
}
