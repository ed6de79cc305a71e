//! The shape of a database: every object of every schema that is not PostgreSQL's own, as plain data.
//!
//! A [`Schema`] is read from the catalogs in one message of ten queries, whatever its size. It does not depend on
//! object identifiers, and an extension stands for everything that belongs to it. A [`SchemaChange`] is the difference
//! between two schemas, in sentences. A [`Watcher`] follows a database that changes, and reads only what has changed.
//!
//! ```no_run
//! use migrate_base::db::Database;
//! use migrate_schema::{SchemaChange, SideNames};
//!
//! async fn compare(staging: &Database, production: &Database) -> migrate_base::error::Result<()> {
//!     let (one, other) = (migrate_schema::read(staging).await?, migrate_schema::read(production).await?);
//!     // One digest is enough to see whether they differ.
//!     if one.fingerprint() != other.fingerprint() {
//!         let names = SideNames { before: "in staging", after: "in production" };
//!         for sentence in SchemaChange::between(&one, &other).sentences(names) {
//!             println!("{sentence}");
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`ddl`] writes the statements that turn one schema into another.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

mod acl;
mod around;
mod catalogs;
mod change;
pub mod ddl;
mod depend;
mod object;
mod owner;
mod query;
mod read;
mod row;
mod spread;
mod tokens;
mod touched;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use acl::array_items;
pub use around::{Positions, SequenceName, Surroundings};
pub use change::{SchemaChange, SideNames};
pub use depend::Dependencies;
pub use object::{Fact, Id, Kind, Object};
pub use owner::owner_notes;
pub use read::read_on;
pub use read::{SchemaDescription, describe, describe_with, read, read_with};
pub use watch::Watcher;

/// The prefix of a fingerprint; another number means that other facts are included.
pub const FORM: &str = "v4:sha256:";

/// All objects of a database, in canonical order. Two schemas are equal if their objects are.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    objects: BTreeMap<Arc<Id>, Arc<Object>>,
    /// The major version of its server; 0 if unknown.
    version: u32,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.objects == other.objects
    }
}

impl Eq for Schema {}

/// The version of the JSON form; it changes when a field is removed or changes its meaning.
const FORMAT: u32 = 1;

impl Schema {
    /// The major version of its server; 0 if unknown.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The objects, in canonical order: by kind, schema, parent and name.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The objects of a kind, in canonical order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        let none = Box::default;
        let first = Id { kind, schema: none(), parent: none(), name: none(), signature: none() };
        self.objects.range::<Id, _>(first..).map(|(_, object)| object).take_while(move |one| one.id.kind == kind)
    }

    /// The object with these names.
    pub fn get(&self, id: &Id) -> Option<&Arc<Object>> {
        self.objects.get(id)
    }

    /// The objects of a kind that belong to this table or type, in canonical order.
    pub fn children<'a>(&'a self, of: &'a Id, kind: Kind) -> impl Iterator<Item = &'a Arc<Object>> {
        let first =
            Id { kind, schema: of.schema.clone(), parent: of.name.clone(), name: "".into(), signature: "".into() };
        let ours = move |id: &Id| id.kind == kind && id.schema == of.schema && id.parent == of.name;
        self.objects.range::<Id, _>(first..).take_while(move |(id, _)| ours(id)).map(|(_, object)| object)
    }

    /// The schema with these objects added; an object with the same names is replaced.
    pub fn with(mut self, objects: impl IntoIterator<Item = Arc<Object>>) -> Self {
        self.take_in(objects);
        self
    }

    /// Adds these objects; an object with the same names is replaced.
    pub fn take_in(&mut self, objects: impl IntoIterator<Item = Arc<Object>>) {
        self.objects.extend(objects.into_iter().map(|object| (object.id.clone(), object)));
    }

    /// The schema with some objects as in another schema, where they may be missing.
    pub fn as_in(mut self, other: &Self, which: impl Fn(&Object) -> bool) -> Self {
        self.objects.retain(|_, object| !which(object));
        self.with(other.objects().filter(|object| which(object)).cloned())
    }

    /// One digest of all facts: [`FORM`] and the hexadecimal digits. Equal schemas have equal fingerprints.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        let mut take = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        };
        for object in self.objects.values() {
            let id = &object.id;
            for name in [id.kind.as_str(), &id.schema, &id.parent, &id.name, &id.signature] {
                take(name);
            }
            for fact in &object.facts {
                take(&fact.name);
                take(&fact.value);
            }
            take("");
        }
        let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{FORM}{hex}")
    }

    /// Keeps only the objects that a condition holds for.
    pub fn retain(&mut self, mut keep: impl FnMut(&Id) -> bool) {
        self.objects.retain(|id, _| keep(id));
    }

    /// The JSON form: `format`, `fingerprint`, and `objects[]` in canonical order.
    pub fn json(&self) -> impl Serialize + '_ {
        #[derive(Serialize)]
        struct SchemaDocument<'a> {
            format: u32,
            fingerprint: String,
            objects: Vec<&'a Object>,
        }
        let objects = self.objects.values().map(|object| &**object).collect();
        SchemaDocument { format: FORMAT, fingerprint: self.fingerprint(), objects }
    }
}
