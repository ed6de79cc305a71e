//! Objects of a schema as plain data: their names and the facts about each.

use std::fmt;
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, qualified_names};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::query::{are_same_statistics, same_but_for_order};
use super::spread::spread;

/// Defines the kinds of objects and their words in one list, so that every kind has a word.
macro_rules! kinds {
    (schema { $($own:ident = $word:literal,)* } around { $($other:ident = $said:literal,)* }) => {
        /// What an object is.
        ///
        /// The order is that of a listing: objects come after those that they depend on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the names are PostgreSQL's own words")]
        pub enum Kind {
            $($own,)*
            $($other,)*
        }

        /// The kinds inside a schema, and the kinds around it.
        const KINDS: [&[Kind]; 2] = [&[$(Kind::$own),*], &[$(Kind::$other),*]];

        impl Kind {
            /// The word for the kind: `table`, `materialized view`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$own => $word,)*
                    $(Self::$other => $said,)*
                }
            }
        }
    };
}

kinds! {
    schema {
        Schema = "schema",
        Extension = "extension",
        Language = "language",
        AccessMethod = "access method",
        Collation = "collation",
        Conversion = "conversion",
        Type = "type",
        Attribute = "attribute",
        Domain = "domain",
        Function = "function",
        Procedure = "procedure",
        Aggregate = "aggregate",
        Operator = "operator",
        OperatorFamily = "operator family",
        OperatorClass = "operator class",
        Cast = "cast",
        Transform = "transform",
        TextSearchParser = "text search parser",
        TextSearchTemplate = "text search template",
        TextSearchDictionary = "text search dictionary",
        TextSearchConfiguration = "text search configuration",
        ForeignDataWrapper = "foreign-data wrapper",
        Server = "server",
        UserMapping = "user mapping",
        Sequence = "sequence",
        Table = "table",
        ForeignTable = "foreign table",
        View = "view",
        MaterializedView = "materialized view",
        Column = "column",
        Constraint = "constraint",
        Index = "index",
        Statistics = "statistics",
        Trigger = "trigger",
        Rule = "rule",
        Policy = "policy",
        EventTrigger = "event trigger",
        Publication = "publication",
        Subscription = "subscription",
        DefaultPrivileges = "default privileges",
        // Privileges on objects of an extension or of the system, if they differ from the initial ones.
        Privileges = "privileges",
    }
    // Objects around a schema; a [`Schema`](super::Schema) contains none of these.
    around {
        Database = "database",
        Role = "role",
        Tablespace = "tablespace",
        Parameter = "parameter",
        ReplicationOrigin = "replication origin",
        ReplicationSlot = "replication slot",
        LargeObject = "large object",
        BuiltIn = "built-in",
        Unpopulated = "unpopulated materialized view",
        Member = "member of extension",
        SequencePosition = "position of sequence",
    }
}

impl Kind {
    /// The words for all kinds inside a schema.
    pub fn words() -> impl Iterator<Item = &'static str> {
        KINDS[0].iter().map(|kind| kind.as_str())
    }

    /// Whether a schema contains objects of this kind, and statements lead from one state to another.
    pub fn is_of_schema(self) -> bool {
        KINDS[0].contains(&self)
    }

    /// The kind for a word.
    pub fn parse(word: &str) -> Option<Self> {
        KINDS.into_iter().flatten().find(|kind| kind.as_str() == word).copied()
    }
}

/// What identifies an object: its kind and its names. Texts that do not apply are empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The kind of object.
    pub kind: Kind,
    /// The schema that it is in.
    pub schema: Box<str>,
    /// The table, type or server that it belongs to.
    pub parent: Box<str>,
    /// Its own name, as in the catalog.
    pub name: Box<str>,
    /// What distinguishes it from others with its name: the argument types of a function.
    pub signature: Box<str>,
}

impl Id {
    /// An object that is identified by its kind, schema and name.
    pub fn named(kind: Kind, schema: &str, name: &str) -> Self {
        Self { kind, schema: schema.into(), parent: "".into(), name: name.into(), signature: "".into() }
    }
}

/// Writes it in readable form: `column public.orders.total`, `function public.touch(integer)`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == Kind::Database && self.name.is_empty() {
            return f.write_str("the database");
        }
        write!(f, "{} ", self.kind.as_str())?;
        for part in [&self.schema, &self.parent].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{}.", shown(part))?;
        }
        match self.kind {
            Kind::Cast | Kind::Operator | Kind::DefaultPrivileges | Kind::Transform | Kind::BuiltIn => {
                f.write_str(&self.name)?
            }
            Kind::Privileges => write!(f, "on {}", self.name)?,
            _ => f.write_str(&shown(&self.name))?,
        }
        match self.kind {
            Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Operator => write!(f, "({})", self.signature),
            _ if self.signature.is_empty() => Ok(()),
            _ => write!(f, " ({})", self.signature),
        }
    }
}

/// A name, in quotes only if it needs them to be readable.
fn shown(name: &str) -> std::borrow::Cow<'_, str> {
    let plain = |c: char| c.is_lowercase() || c == '_' || c.is_ascii_digit() || c == '$';
    match name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        true => name.into(),
        false => migrate_base::ident::ident(name).into(),
    }
}

/// One fact about an object: `type` is `numeric(10,2)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact {
    /// The name of the property, in the words of SQL.
    pub name: Arc<str>,
    /// The value. A fact with the default value is left out.
    pub value: Box<str>,
}

/// The facts that are or contain expressions, as the server writes them.
const EXPRESSIONS: [&str; 7] = ["definition", "default", "generated", "using", "check", "partition key", "tables"];

/// An object with everything that is known about it.
///
/// Two objects are equal if their names and facts are equal. These are not facts: the position of a column, the order
/// of the columns of a view or of statistics, and how the cast of an array is written, which a restore changes.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its identity.
    pub id: Arc<Id>,
    /// The facts, by name.
    pub facts: Vec<Fact>,
    /// For a column or attribute: its position in the table, from 1, without dropped columns.
    pub position: Option<u32>,
}

impl Object {
    /// A fact by its name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|fact| &*fact.name == name).map(|fact| &*fact.value)
    }

    /// The tables that a table inherits from or is a partition of, in order.
    pub fn parents(&self) -> Vec<QualifiedName> {
        self.fact("parents").map(qualified_names).unwrap_or_default()
    }

    /// Whether a fact differs from that of another object with the same name.
    pub fn differs_in(&self, other: &Self, name: &str) -> bool {
        match (self.fact(name), other.fact(name)) {
            (Some(one), Some(two)) => self.differs(name, one, two),
            (one, two) => one != two,
        }
    }

    /// Whether two values of a fact differ. The same expression before and after a restore is no difference, and
    /// neither are the same columns in another order.
    fn differs(&self, name: &str, one: &str, two: &str) -> bool {
        if one == two || !EXPRESSIONS.contains(&name) {
            return one != two;
        }
        let (one, two) = (spread(one), spread(two));
        match self.id.kind {
            Kind::Statistics => !are_same_statistics(&one, &two),
            Kind::View | Kind::MaterializedView => !same_but_for_order(&one, &two),
            _ => one != two,
        }
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |one: &Fact, two: &Fact| one.name == two.name && !self.differs(&one.name, &one.value, &two.value);
        self.id == other.id
            && self.facts.len() == other.facts.len()
            && self.facts.iter().zip(&other.facts).all(|(one, two)| is_same(one, two))
    }
}

impl Eq for Object {}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.id.kind.as_str())?;
        let names = [
            ("schema", &self.id.schema),
            ("parent", &self.id.parent),
            ("name", &self.id.name),
            ("signature", &self.id.signature),
        ];
        for (key, value) in names.into_iter().filter(|(_, value)| !value.is_empty()) {
            map.serialize_entry(key, value)?;
        }
        if let Some(position) = self.position {
            map.serialize_entry("position", &position)?;
        }
        let facts: std::collections::BTreeMap<_, _> = self.facts.iter().map(|f| (&*f.name, &*f.value)).collect();
        map.serialize_entry("facts", &facts)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own_and_a_query_that_finds_it() {
        // A row whose word names no kind would be left out.
        let own = super::super::read::QUERIES.map(|query| query.sql);
        let queries = [own.concat(), super::super::around::QUERIES.concat()];
        for (kinds, queries) in KINDS.into_iter().zip(&queries) {
            for kind in kinds.iter().filter(|kind| **kind != Kind::SequencePosition) {
                assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
                assert!(queries.contains(&format!("'{}'", kind.as_str())), "{kind:?}");
            }
        }
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let id = |kind, parent: &str, name: &str, signature: &str| Id {
            kind,
            schema: "public".into(),
            parent: parent.into(),
            name: name.into(),
            signature: signature.into(),
        };
        assert_eq!(id(Kind::Column, "orders", "total", "").to_string(), "column public.orders.total");
        assert_eq!(id(Kind::Column, "Orders", "a b", "").to_string(), "column public.\"Orders\".\"a b\"");
        assert_eq!(id(Kind::Function, "", "f", "integer").to_string(), "function public.f(integer)");
    }
}
