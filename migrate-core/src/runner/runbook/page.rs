//! The page for the team on call, with the names and numbers of one environment.

use migrate_base::db::LockKeys;
use migrate_base::hint::quote;
use migrate_base::ident::{QualifiedName, literal, plain};
use migrate_base::template::fill;

use crate::kept;

/// A person or a rota, and how to reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The name.
    pub name: String,
    /// How to reach them.
    pub reach: String,
}

/// The page of an environment, in Markdown. Its SQL can be pasted into psql.
pub fn page(environment: &str, ledger: &QualifiedName, contacts: &[Contact]) -> String {
    let keys = LockKeys::of(ledger);
    let registry = kept::registry(ledger);
    let shown = |name: &QualifiedName| format!("{}.{}", plain(name.schema()), plain(name.name()));
    let names = [
        ("environment", environment.to_owned()),
        // Quoted for a shell.
        ("env", quote(environment)),
        ("ledger", shown(ledger)),
        ("ledger_plain", shown(ledger)),
        ("registry", shown(&registry)),
        ("registry_plain", shown(&registry)),
        ("schema", literal(ledger.schema())),
        ("contacts", table(contacts)),
        ("lock", keys.lock().to_string()),
        ("work", keys.work().to_string()),
    ];
    fill(include_str!("page.md"), &names)
}

fn table(contacts: &[Contact]) -> String {
    if contacts.is_empty() {
        return "No contact is configured: add `[contacts]` to migrate.toml (docs/FORMATS.md).".to_owned();
    }
    let cell = |text: &str| text.replace('|', "\\|");
    let rows = contacts.iter().map(|one| format!("\n| {} | {} |", cell(&one.name), cell(&one.reach)));
    format!("| who | how |\n|---|---|{}", rows.collect::<String>())
}
