//! The checksums that other tools record, computed as each tool does it.

use crc::{CRC_32_ISO_HDLC, Crc};
use sha2::{Digest, Sha256, Sha384};

use super::ForeignTool;

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

/// Compares a recorded checksum with the bytes of a file.
pub(crate) fn compare(tool: &ForeignTool, recorded: &str, bytes: &[u8]) -> ForeignChecksum {
    let is_same = match tool.name {
        "sqlx" => as_checked_out(bytes).iter().any(|text| hex::<Sha384>(text) == recorded),
        // It was found by its checksum.
        "drizzle" => true,
        "prisma" => as_checked_out(bytes).iter().any(|text| hex::<Sha256>(text) == recorded),
        "flyway" => flyway(bytes).to_string() == recorded,
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

pub(super) fn hex<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(tool: &str, recorded: &str, text: &str) -> ForeignChecksum {
        compare(ForeignTool::named(tool).unwrap(), recorded, text.as_bytes())
    }

    #[test]
    fn checksums_are_those_of_the_tools() {
        let sqlx = hex::<Sha384>(b"SELECT 1;\n");
        assert_eq!(compared("sqlx", &sqlx, "SELECT 1;\n"), ForeignChecksum::Same);
        assert_eq!(compared("sqlx", &sqlx, "SELECT 1;\r\n"), ForeignChecksum::Same);
        assert_eq!(compared("sqlx", &sqlx, "SELECT 2;\n"), ForeignChecksum::Differs);
        // The check value of CRC-32, with lines that are joined.
        let check = 0xcbf4_3926_u32.cast_signed().to_string();
        for text in ["123456789", "\u{feff}1234\r\n56789\n", "1234\r56789"] {
            assert_eq!(compared("flyway", &check, text), ForeignChecksum::Same, "{text:?}");
        }
        assert_eq!(compared("flyway", &check, "12345678"), ForeignChecksum::Differs);
        assert_eq!(compared("refinery", "x", ""), ForeignChecksum::NotCompared);
    }
}
