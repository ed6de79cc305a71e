//! What of a schema can be created on the shadow server, and what is left out by name.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use migrate_schema::ddl::{Ddl, DdlStatement, unowned};
use migrate_schema::{Fact, Id, Object, Schema, SchemaChange, SchemaDescription};

use super::ShadowDatabase;
use crate::proof::ProofError;

/// Something that cannot be captured, with the reason: an object together with its dependents, or one fact of
/// it.
#[derive(Debug, Clone)]
pub struct LeftOut {
    /// What cannot be created.
    pub object: Arc<Id>,
    /// The fact, if the rest of the object can be created.
    pub part: Option<Arc<str>>,
    /// Why not.
    pub why: String,
    /// What depends on it, and is left out with it.
    pub with: Vec<Arc<Id>>,
}

impl LeftOut {
    /// The object, and what depends on it.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Id>> {
        self.with.iter().chain([&self.object])
    }

    /// What is left out, one line each, as in a script.
    pub fn names(&self) -> Vec<String> {
        self.with.iter().map(ToString::to_string).chain([self.to_string()]).collect()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Some(part) => write!(f, "{}: {part}", self.object),
            None => write!(f, "{}", self.object),
        }
    }
}

/// Facts that say whether a table has something only from its parent. What the table had before it got that
/// parent, it keeps.
pub(super) const KEPT_OWN: [&str; 2] = ["inherited", "not null inherited"];

/// Facts that are essential for an object.
const ESSENTIAL: [&str; 14] = [
    "collation",
    "definition",
    "form",
    "generated",
    "identity",
    "inherited",
    "labels",
    "not null",
    "of type",
    "owned by",
    "parents",
    "partition bound",
    "partition key",
    "type",
];

/// A schema, without what has been left out so far.
pub(super) struct CapturedSchema {
    pub(super) source: SchemaDescription,
    pub(super) left_out: Vec<LeftOut>,
}

impl CapturedSchema {
    pub(super) fn of(source: SchemaDescription) -> Self {
        Self { source, left_out: Vec::new() }
    }

    /// Leaves something out; `false` if it is no longer there.
    pub(super) fn leave_out(&mut self, object: &Arc<Id>, part: Option<&str>, why: String) -> bool {
        let is_out =
            |part: &str| self.left_out.iter().any(|one| one.object == *object && one.part.as_deref() == Some(part));
        let (part, mut with) = match part {
            Some(part) if self.source.schema.get(object).is_some() && !is_out(part) => {
                self.source.leave_out_part(object, part);
                (Some(part.into()), Vec::new())
            }
            Some(_) => return false,
            None => (None, self.source.leave_out(object)),
        };
        if part.is_none() && with.is_empty() {
            return false;
        }
        with.retain(|other| other != object);
        self.left_out.push(LeftOut { object: object.clone(), part, why, with });
        true
    }

    /// Reports what a table that is attached to a parent also keeps as its own.
    fn keep_own(&mut self, object: &Arc<Id>, part: &str) -> bool {
        let is_named = |one: &LeftOut| one.object == *object && one.part.as_deref() == Some(part);
        if self.left_out.iter().any(is_named) {
            return false;
        }
        let why = "the table keeps it as its own as well: no statement makes it only inherited".to_owned();
        self.left_out.push(LeftOut { object: object.clone(), part: Some(part.into()), why, with: Vec::new() });
        true
    }

    /// What was created, without what is left out: that may have existed before, or be created differently.
    pub(super) fn seen(&self, mut made: SchemaDescription) -> SchemaDescription {
        for one in &self.left_out {
            let is_out = |object: &Object| object.id == one.object || one.with.contains(&object.id);
            match &one.part {
                Some(part) if KEPT_OWN.contains(&&**part) => {
                    made.schema = as_wanted(made.schema, &self.source.schema, one)
                }
                Some(part) => made.leave_out_part(&one.object, part),
                None => made.schema = std::mem::take(&mut made.schema).as_in(&Schema::default(), is_out),
            }
        }
        made
    }

    /// The schema of that, for callers that still need the rest.
    pub(super) fn seen_schema(&self, made: &SchemaDescription) -> Schema {
        match self.left_out.is_empty() {
            true => made.schema.clone(),
            false => self.seen(made.clone()).schema,
        }
    }

    /// Leaves out what no statement can be written for; returns whether there was anything.
    pub(super) fn uncover(&mut self, ddl: &Ddl, version: u32) -> bool {
        for gap in &ddl.uncovered {
            match &gap.part {
                None => drop(self.leave_out(&gap.object, None, gap.why.clone())),
                Some(part) => self.left_out.push(LeftOut {
                    object: gap.object.clone(),
                    part: Some(part.clone()),
                    why: gap.why.clone(),
                    with: Vec::new(),
                }),
            }
        }
        if ddl.uncovered.iter().any(|gap| gap.part.is_some()) {
            self.source.fit_privileges(version);
        }
        !ddl.uncovered.is_empty()
    }

    /// Leaves out the tablespaces that the shadow server does not have.
    pub(super) async fn without_places(&mut self, shadow: &mut ShadowDatabase) -> Result<(), ProofError> {
        let (_, rows) = shadow.rehearsal().query("SELECT spcname FROM pg_catalog.pg_tablespace").await?;
        let known: BTreeSet<String> = rows.into_iter().flatten().flatten().collect();
        let placed = self.source.schema.objects().filter_map(|one| Some((one.id.clone(), one.fact("tablespace")?)));
        let gone = placed.filter(|(_, place)| !known.contains(*place)).map(|(id, place)| (id, place.to_owned()));
        for (id, place) in gone.collect::<Vec<_>>() {
            self.leave_out(&id, Some("tablespace"), format!("the shadow server has no tablespace {place}"));
        }
        Ok(())
    }

    /// Runs statements one by one, and leaves out what the server refuses.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when a statement fails that is not about an object, such as the rows of a table.
    pub(super) async fn attempt(&mut self, shadow: &mut ShadowDatabase, ddl: &Ddl) -> Result<(), ProofError> {
        let mut gone: BTreeSet<Arc<Id>> = BTreeSet::new();
        let (settings, rest) = ddl.split_settings();
        for statement in rest {
            if statement.object.as_ref().is_some_and(|object| gone.contains(object)) {
                continue;
            }
            let Err(error) = shadow.run_one(&settings, statement).await else { continue };
            let Some(object) = &statement.object else {
                let first = statement.text.lines().next().unwrap_or_default();
                return Err(error.note(format!("in: {first}")).into());
            };
            // If the fact is not a part of the object, or was left out before, the whole object is left out:
            // each attempt makes progress.
            let is_new = self.leave_out(object, statement.part.as_deref(), reason(&error))
                || statement.part.is_some() && self.leave_out(object, None, reason(&error));
            match (is_new, &statement.part) {
                (true, None) => gone.extend(self.left_out.last().into_iter().flat_map(LeftOut::objects).cloned()),
                (false, None) => drop(gone.insert(object.clone())),
                (_, Some(_)) => {}
            }
        }
        Ok(())
    }

    /// Whether everything that is not left out was created as it was.
    pub(super) fn is_made(&self, made: &SchemaDescription) -> bool {
        SchemaChange::between(&unowned(&self.source.schema), &unowned(&self.seen_schema(made))).is_empty()
    }

    /// Leaves out what the server created differently; returns whether there was anything.
    pub(super) fn forget_differing(&mut self, made: &SchemaDescription) -> bool {
        let change = SchemaChange::between(&unowned(&self.source.schema), &unowned(&made.schema));
        let mut any = false;
        for (id, wanted, made) in change.objects() {
            let Some(wanted) = wanted else { continue };
            let id = Arc::new(id.clone());
            let Some(made) = made else {
                any |= self.leave_out(&id, None, "its statement does not create it".to_owned());
                continue;
            };
            let facts = wanted.facts.iter().chain(&made.facts).map(|fact| fact.name.clone());
            let names: BTreeSet<Arc<str>> = facts.filter(|name| wanted.differs_in(made, name)).collect();
            for name in names {
                if KEPT_OWN.contains(&&*name)
                    && (wanted.fact(&name), made.fact(&name)) == (Some("only"), Some("and local"))
                {
                    any |= self.keep_own(&id, &name);
                    continue;
                }
                let why = made_otherwise(&name, made.fact(&name));
                let part = Some(&*name).filter(|name| !ESSENTIAL.contains(name));
                any |= self.leave_out(&id, part, why);
            }
        }
        any
    }
}

/// The server's message.
pub(super) fn reason(error: &migrate_core::Error) -> String {
    error.findings().first().map_or_else(String::new, |finding| finding.message.clone())
}

/// A schema that was created, with one fact replaced by the wanted one.
fn as_wanted(made: Schema, wanted: &Schema, one: &LeftOut) -> Schema {
    let Some((object, other)) = made.get(&one.object).cloned().zip(wanted.get(&one.object)) else { return made };
    let is_meant = |fact: &&Fact| Some(&*fact.name) == one.part.as_deref();
    let facts = object.facts.iter().filter(|fact| !is_meant(fact)).chain(other.facts.iter().filter(is_meant));
    let mut facts: Vec<Fact> = facts.cloned().collect();
    facts.sort_by(|a, b| a.name.cmp(&b.name));
    made.with([Arc::new(Object { facts, ..(*object).clone() })])
}

/// How a fact of an object differs after creation.
fn made_otherwise(fact: &str, made: Option<&str>) -> String {
    match (fact, made) {
        ("valid", None) => "no statement creates an invalid index: it is created as a valid one".to_owned(),
        (_, made) => format!("it is created as {}", made.unwrap_or("none")),
    }
}

/// The first line of a statement with the reason why it fails.
pub(super) fn failed(statement: &DdlStatement, why: &str) -> String {
    format!("{}: {why}", statement.text.lines().next().unwrap_or_default())
}
