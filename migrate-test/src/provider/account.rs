//! The account that runs the server: our own, or an unprivileged one if we are root.
//!
//! PostgreSQL refuses to run as root, and in a container everybody is root.

use std::path::Path;
use std::process::Command;

use crate::error::ServerError;

/// An account of the operating system that is not root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account for servers if we are root; `None` if we are not and run them ourselves.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoAccount`] when there is neither a `postgres` nor a `nobody` account.
    pub fn for_servers() -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::parse(&accounts, name));
        found.map(Some).ok_or(ServerError::NoAccount)
    }

    fn parse(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (uid != 0).then(|| Self { name: name.to_owned(), uid, gid })
    }

    /// Its user id.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Makes the account the owner of a file or a folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the owner cannot be changed.
    pub fn own(&self, path: &Path) -> Result<(), ServerError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(ServerError::io(path, "given to the account that runs the server"))
    }
}

/// Makes a command run as the account, if there is one. The standard library then also drops the supplementary
/// groups of root.
pub fn run_as(command: &mut Command, account: Option<&Account>) {
    use std::os::unix::process::CommandExt;
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
        // The account may not have access to the current folder.
        command.current_dir("/").env_remove("HOME");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_and_root_is_none() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104::/var:/bin/sh\nevil:x:0:0::/:/bin/sh\n";
        let postgres = Account { name: "postgres".into(), uid: 101, gid: 104 };
        assert_eq!(Account::parse(accounts, "postgres"), Some(postgres));
        assert_eq!(Account::parse(accounts, "evil"), None);
        assert_eq!(Account::parse(accounts, "nobody"), None);
    }
}
