//! Who to call when a database is in trouble.

use std::collections::BTreeMap;

use migrate_core::runner::Contact;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

/// The contacts of a project, in the order of the file; the first one is called first.
#[derive(Debug, Clone, Default)]
pub(super) struct Contacts(pub(super) Vec<Contact>);

struct ContactAddress(String);

impl<'de> Deserialize<'de> for Contacts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let entries = BTreeMap::<String, Spanned<ContactAddress>>::deserialize(deserializer)?;
        let mut entries: Vec<(String, Spanned<ContactAddress>)> = entries.into_iter().collect();
        entries.sort_by_key(|(_, reach)| reach.span().start);
        let contacts = entries.into_iter().map(|(name, reach)| Contact { name, reach: reach.into_inner().0 });
        Ok(Self(contacts.collect()))
    }
}

impl<'de> Deserialize<'de> for ContactAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.trim().is_empty() || text.contains('\n') {
            true => Err(de::Error::custom("a contact is a name and how to reach it, on one line")),
            false => Ok(Self(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::config::{Config, FILE_NAME};

    #[test]
    fn contacts_stay_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "[contacts]\n\"on call\" = \"112\"\nann = \"ann@example.org\"\n").unwrap();
        let config = Config::load(Some(&path), folder.path()).unwrap();
        assert_eq!(config.contacts.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["on call", "ann"]);
    }
}
