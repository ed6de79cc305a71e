//! Random names and passwords. Names come from the standard library's randomly keyed hasher, which is seeded by
//! the operating system.

use std::hash::{BuildHasher, Hasher, RandomState};

/// This many random hexadecimal digits.
///
/// Each hasher gets its keys from the operating system; sixteen digits of its output are used.
pub(crate) fn hex(digits: usize) -> String {
    let mut text = String::new();
    while text.len() < digits {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_usize(text.len());
        text.push_str(&format!("{:016x}", hasher.finish()));
    }
    text.truncate(digits);
    text
}

/// A password that cannot be guessed: bytes from the system's random device.
pub(crate) fn password() -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = [0u8; 24];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
