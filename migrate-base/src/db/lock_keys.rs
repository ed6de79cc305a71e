//! The numbers of the advisory locks of a ledger, and the SQL that takes or finds a lock with such a number.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::ident::QualifiedName;
use crate::template::fill;

/// The two advisory lock numbers of a ledger.
///
/// They are the first eight bytes of the SHA-256 of `roundtrip:lock:v1:` or `roundtrip:work:v1:` and the ledger's
/// quoted name. Advisory locks belong to a database, so the database's name is not included. They never change: two
/// versions of this library with different numbers could run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockKeys {
    lock: i64,
    work: i64,
}

impl LockKeys {
    /// The keys of the locks of a ledger.
    pub fn of(ledger: &QualifiedName) -> Self {
        let key = |purpose: &str| {
            let digest = Sha256::digest(format!("roundtrip:{purpose}:v1:{ledger}").as_bytes());
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[..8]);
            i64::from_be_bytes(bytes)
        };
        Self { lock: key("lock"), work: key("work") }
    }

    /// The lock, which a run takes first.
    pub fn lock(self) -> i64 {
        self.lock
    }

    /// The fence, which its working session takes second.
    pub fn work(self) -> i64 {
        self.work
    }

    /// The body of an anonymous block that takes both locks for its session, for scripts.
    ///
    /// Like a run, it polls, and ends its transaction before it waits, so that it holds no snapshot.
    pub fn polling(self, patience: Duration) -> String {
        let names = [
            ("lock", self.lock.to_string()),
            ("work", self.work.to_string()),
            ("patience", patience.as_millis().to_string()),
        ];
        fill(include_str!("polling.sql"), &names)
    }
}

/// The condition on `pg_locks l` for a 64-bit advisory lock.
pub(super) fn matches_key(key: i64) -> String {
    let bits = key.cast_unsigned();
    format!(
        "l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid = {} AND l.objid = {} \
         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())",
        bits >> 32,
        bits & 0xffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_numbers_never_change() {
        let keys = LockKeys::of(&QualifiedName::new("roundtrip", "ledger"));
        let frozen = LockKeys { lock: 6_640_134_922_425_552_076, work: -6_527_390_260_889_961_801 };
        assert_eq!(keys, frozen);
    }
}
