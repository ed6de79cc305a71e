//! Statements that lead from one schema to another.
//!
//! The first step decides what happens to each part (`fate`): it is kept, created, dropped, altered in place, or
//! dropped and created again because something that it depends on changes. The second step puts the statements into an
//! order that the dependencies of both schemas allow (`order`). Dependencies that the server does not know, such as
//! names in the text of a function, can still be wrong. So callers run the statements on a shadow database and compare.

mod alter;
mod alter_table;
mod circle;
mod code;
mod constraint_names;
mod count;
mod create;
mod emit;
mod far;
mod fate;
mod fill;
mod grant;
mod graph;
mod host;
mod identity;
mod inherit;
mod labels;
mod loose;
mod loss;
mod mention;
mod name;
mod not_null;
mod order;
mod partition;
mod privilege;
mod remove;
mod rename;
mod reread;
mod retype;
mod row_type;
mod said;
mod sequence;
mod swap;
mod table;
mod taken;
mod toast;
mod types;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use migrate_base::ident::names;

use super::Schema;
use super::depend::SchemaPart;
use super::object::{Fact, Id, Kind, Object};
use super::read::SchemaDescription;

pub use fill::in_two_steps;
pub use loss::has_values_of;
pub use rename::{Renaming, owned_back, renames, renames_back, renamings};
pub use said::owners;

/// The prefix of the lines in which a script names what it leaves out.
pub const LEFT_OUT: &str = "-- left out: ";

/// The way from one schema to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ddl {
    /// The statements, in the order in which they have to be run.
    pub statements: Vec<DdlStatement>,
    /// What no statement can be written for.
    pub uncovered: Vec<DdlGap>,
}

/// Something that no statement can be written for: an object, or one fact of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DdlGap {
    /// The object.
    pub object: Arc<Id>,
    /// The fact, if the rest of the object is covered.
    pub part: Option<Arc<str>>,
    /// Why there is no statement.
    pub why: String,
}

impl fmt::Display for DdlGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Some(part) => write!(f, "{}: {part}", self.object),
            None => write!(f, "{}", self.object),
        }
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DdlStatement {
    /// Its text, without a semicolon at the end.
    pub text: String,
    /// The risks of running it.
    pub hazards: Vec<Hazard>,
    /// When it can be run.
    pub stage: DdlStage,
    /// The object that it is about; `None` for a setting.
    pub object: Option<Arc<Id>>,
    /// The fact that the statement is about, if it is about one only: the comment, the privileges.
    pub part: Option<Arc<str>>,
}

/// A risk of a statement, with a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hazard {
    /// Data is lost.
    DataLoss(String),
    /// A table is rewritten, and nobody can use it meanwhile.
    Rewrite(String),
    /// A lock is held for as long as it takes to read a table.
    LongLock(String),
    /// Existing rows can make it fail.
    Refused(String),
    /// It fails on purpose: somebody has to decide something first.
    Undecided(String),
}

/// When a statement can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DdlStage {
    /// With the others, in one transaction.
    Main,
    /// After the others, outside a transaction.
    Concurrent,
    /// In a later transaction, when no new row can violate it.
    Validate,
}

/// The purpose of the statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlStyle {
    /// One script that can run in one transaction.
    Whole,
    /// One script that also runs if tables have rows: what never existed cannot be restored, and a column that must not
    /// be null gets a substitute value.
    Back,
    /// As few locks as possible, in stages: indexes are built concurrently, constraints are validated separately.
    Online,
}

impl DdlStatement {
    /// A statement that was written elsewhere.
    pub fn of(text: impl Into<String>) -> Self {
        Self::new(text)
    }

    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hazards: Vec::new(), stage: DdlStage::Main, object: None, part: None }
    }

    fn with(mut self, hazard: Hazard) -> Self {
        self.hazards.push(hazard);
        self
    }

    fn about(mut self, part: &str) -> Self {
        self.part = Some(part.into());
        self
    }

    /// Whether it only stops the script until something is decided.
    pub fn is_stop(&self) -> bool {
        self.hazards.iter().any(|hazard| matches!(hazard, Hazard::Undecided(_)))
    }

    fn of_object(mut self, object: &Arc<Id>) -> Self {
        self.object = Some(object.clone());
        self
    }

    fn at(mut self, stage: DdlStage) -> Self {
        self.stage = stage;
        self
    }
}

impl Hazard {
    /// The word for its kind, and the sentence.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::DataLoss(what) => ("data is lost", what),
            Self::Rewrite(what) => ("rewrite", what),
            Self::LongLock(what) => ("long lock", what),
            Self::Refused(what) => ("fails on", what),
            Self::Undecided(what) => ("decide first", what),
        }
    }
}

impl Ddl {
    /// The statements of a stage as a script, with the risks of a statement above it. A blank line separates multi-line
    /// texts about different objects.
    pub fn script(&self, stage: DdlStage) -> String {
        let mut script = String::new();
        for gap in self.uncovered.iter().filter(|_| stage == DdlStage::Main) {
            script += &format!("{LEFT_OUT}{}\n", migrate_base::visible::line(&gap.to_string()));
            script += &format!("--   {}\n", migrate_base::visible::line(&gap.why));
        }
        let root = |one: &DdlStatement| {
            one.object.as_ref().map(|id| if id.parent.is_empty() { id.name.clone() } else { id.parent.clone() })
        };
        let mut last: Option<&DdlStatement> = None;
        for statement in self.statements.iter().filter(|statement| statement.stage == stage) {
            let apart = last.is_some_and(|last| {
                root(last) != root(statement) && [last, statement].iter().any(|one| one.text.contains('\n'))
            });
            if apart {
                script.push('\n');
            }
            last = Some(statement);
            for hazard in &statement.hazards {
                let (kind, what) = hazard.parts();
                // A name may contain a line break, and the text after the break would be a statement.
                script += &format!("-- {kind}: {}\n", migrate_base::visible::line(what));
            }
            script += &format!("{};\n", statement.text);
        }
        script
    }

    /// The settings at the head, which apply until the end of the transaction, and the other statements.
    pub fn split_settings(&self) -> (Vec<&DdlStatement>, Vec<&DdlStatement>) {
        let is_setting = |one: &&DdlStatement| one.text.starts_with("SET LOCAL ");
        let count = self.statements.iter().take_while(is_setting).count();
        let (settings, rest) = self.statements.split_at(count);
        let mut rest: Vec<&DdlStatement> = rest.iter().collect();
        rest.sort_by_key(|statement| statement.stage);
        (settings.iter().collect(), rest)
    }

    /// All risks.
    pub fn hazards(&self) -> impl Iterator<Item = &Hazard> {
        self.statements.iter().flat_map(|statement| &statement.hazards)
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// The statements that lead from one schema to another. Owners are not changed: objects belong to the role that creates
/// them.
pub fn between(before: &SchemaDescription, after: &SchemaDescription, style: DdlStyle) -> Ddl {
    let fates = fate::PartFates::of(before, after);
    let sides = DdlContext { before, after, fates: &fates, style, taken: OnceCell::new() };
    let mut ddl = order::statements(&sides);
    let names = constraint_names::renamed(&sides);
    ddl.statements.splice(0..0, names.first);
    ddl.statements.extend(names.last);
    ddl.uncovered.extend(emit::unwritten(&sides));
    ddl.statements.iter_mut().for_each(|statement| statement.text = reread::as_written(&statement.text));
    // A text from which something else is compiled may name later objects, or itself.
    let happens = |fate| matches!(fate, fate::PartFate::Made | fate::PartFate::Remade | fate::PartFate::Altered);
    let is_code = |part: &&SchemaPart| matches!(part.id.kind, Kind::Function | Kind::Procedure) && !part.default;
    let all: Vec<&SchemaPart> = fates.iter().filter(|(_, fate)| happens(*fate)).map(|(part, _)| part).collect();
    let is_sql = |part: &&SchemaPart| {
        let definition = after.schema.get(&part.id).and_then(|object| object.fact("definition"));
        definition.is_some_and(|text| text.lines().any(|line| line.trim_start().starts_with("LANGUAGE sql")))
    };
    if all.iter().copied().filter(is_code).any(|part| all.len() > 1 || is_sql(&part)) {
        ddl.statements.insert(0, DdlStatement::new("SET LOCAL check_function_bodies = off"));
    }
    ddl
}

/// Both schemas, and what happens to each of their parts.
struct DdlContext<'a> {
    before: &'a SchemaDescription,
    after: &'a SchemaDescription,
    fates: &'a fate::PartFates,
    style: DdlStyle,
    taken: OnceCell<taken::TakenNames>,
}

impl DdlContext<'_> {
    /// The names of constraints.
    fn taken(&self) -> &taken::TakenNames {
        self.taken.get_or_init(|| taken::TakenNames::of(&self.before.schema, &self.after.schema))
    }

    /// The major version of the server on which the statements run.
    fn version(&self) -> u32 {
        match self.before.schema.version {
            0 => self.after.schema.version,
            version => version,
        }
    }

    /// Whether this is a type that is created in two steps: first its shell, then, after the functions that take or
    /// return it, the rest.
    fn is_shelled(&self, part: &SchemaPart) -> bool {
        !part.default
            && matches!(self.fates.get(part), fate::PartFate::Made | fate::PartFate::Remade)
            && self.after.schema.get(&part.id).is_some_and(|object| types::has_shell(object))
    }
}

/// The roles that the privileges, policies, defaults and user mappings of a schema name.
pub fn roles(schema: &Schema) -> BTreeSet<String> {
    let mut roles = BTreeSet::new();
    for object in schema.objects() {
        if let Some(list) = object.fact("grants") {
            roles.extend(grant::roles(list, owner_of(schema, object)));
        }
        match object.id.kind {
            Kind::Policy => {
                let listed = names(object.fact("roles").unwrap_or_default());
                roles.extend(listed.into_iter().filter(|role| role != "public"));
            }
            Kind::DefaultPrivileges => {
                roles.extend(far::DefaultPrivilegeScope::parse(&object.id.name).map(|whose| whose.role))
            }
            Kind::UserMapping if *object.id.name != *"public" => drop(roles.insert(object.id.name.to_string())),
            _ => {}
        }
    }
    roles.retain(|role| !role.starts_with("pg_"));
    roles
}

/// The owner of an object; a column has the owner of its table.
fn owner_of<'a>(schema: &'a Schema, object: &'a Object) -> &'a str {
    let of_table = || {
        use Kind::{ForeignTable, MaterializedView, Table, View};
        let holder = |kind| schema.get(&name::holder(&object.id, kind)).and_then(|table| table.fact("owner"));
        [Table, View, MaterializedView, ForeignTable].into_iter().find_map(holder)
    };
    object.fact("owner").or_else(of_table).unwrap_or_default()
}

/// The same schema with only the privileges that servers of this major version know.
pub(super) fn known_privileges(schema: &Schema, version: u32) -> Schema {
    let known = |object: &Arc<Object>| {
        if !object.facts.iter().any(|fact| fact.name.ends_with("grants")) {
            return object.clone();
        }
        let on = on_of(&object.id);
        let owner = owner_of(schema, object);
        let is_foreign = object.id.kind == Kind::Privileges;
        let mut object = (**object).clone();
        for fact in object.facts.iter_mut().filter(|fact| matches!(&*fact.name, "grants" | "first grants")) {
            let list = match is_foreign {
                true => grant::fitted(&fact.value, on, version),
                false => grant::known(&fact.value, on, owner, [schema.version, version]),
            };
            fact.value = list.unwrap_or_default().into();
        }
        object.facts.retain(|fact| !fact.name.ends_with("grants") || !fact.value.is_empty());
        Arc::new(object)
    };
    let is_nothing = |object: &Arc<Object>| match object.id.kind {
        Kind::DefaultPrivileges => object.fact("grants").is_none(),
        Kind::Privileges => object.fact("grants") == object.fact("first grants"),
        _ => false,
    };
    let objects = schema.objects().map(known).filter(|object| !is_nothing(object));
    Schema { version: schema.version, ..Schema::default() }.with(objects)
}

/// The kind of object that privileges are on.
fn on_of(id: &Id) -> privilege::PrivilegeTarget {
    match id.kind {
        Kind::DefaultPrivileges => {
            far::DefaultPrivilegeScope::parse(&id.name).map_or(privilege::PrivilegeTarget::Table, |whose| whose.kind())
        }
        Kind::Privileges => privilege::PrivilegeTarget::of_foreign(&id.name),
        kind => privilege::PrivilegeTarget::of(kind),
    }
}

/// The same schema without owners and grantors: a form that can be compared between databases with different roles.
pub fn unowned(schema: &Schema) -> Schema {
    let is_hidden = |fact: &Fact| matches!(&*fact.name, "owner" | "first grants");
    let plain = |object: &Arc<Object>| {
        // Most objects are columns and parts of tables, for which none of this is recorded.
        if !object.facts.iter().any(|fact| is_hidden(fact) || &*fact.name == "grants") {
            return object.clone();
        }
        let facts = object.facts.iter().filter(|fact| !is_hidden(fact)).map(|fact| match &*fact.name {
            "grants" => {
                let owner = owner_of(schema, object);
                let value = grant::unowned(&fact.value, owner, on_of(&object.id), schema.version);
                Fact { name: fact.name.clone(), value: value.into() }
            }
            _ => fact.clone(),
        });
        Arc::new(Object { id: object.id.clone(), facts: facts.collect(), position: object.position })
    };
    let objects = schema.objects.iter().map(|(id, object)| (id.clone(), plain(object)));
    Schema { objects: objects.collect(), version: schema.version }
}
