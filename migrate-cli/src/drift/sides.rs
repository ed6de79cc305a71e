//! The schema of the database beside those that the chain makes without and with pending migrations, under the names in
//! the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::CodeMigrations;
use migrate_core::drift::{self, PendingChange, SchemaTriple};
use migrate_schema::ddl::DdlStatement;
use migrate_schema::{Id, Schema, SchemaDescription};
use migrate_test::shape::{ChainSplit, NamedChain};

use super::between::StepPosition;
use super::{DatabaseSchema, DriftChain};
use crate::context::Context;
use crate::exit::Result;

/// Three schemas, and what follows from comparing them.
pub(super) struct SchemaComparison {
    /// The schema that the chain makes without the migrations, except for renames.
    pub(super) first: SchemaDescription,
    /// The same with the changes that were made by hand halfway.
    before: Schema,
    /// The schema that the chain makes with the migrations, except for renames.
    pub(super) after: SchemaDescription,
    there: Schema,
    pub(super) parts: Vec<PendingChange>,
    /// The statements that rename the objects that still have their old names.
    pub(super) renames: Vec<DdlStatement>,
    /// The schema that the chain makes without the migrations, except for renames, and the statements that revert the
    /// renames.
    pub(super) back: (SchemaDescription, Vec<DdlStatement>),
    /// The objects that have another name after the renames.
    pub(super) later: BTreeMap<Arc<Id>, Arc<Id>>,
    /// The name of every object before and after the statements that revert the renames.
    pub(super) former: Vec<(Arc<Id>, Arc<Id>)>,
}

impl SchemaComparison {
    pub(super) async fn of(
        context: &Context<'_>,
        code: &CodeMigrations,
        (chain, there): (&DriftChain, &DatabaseSchema),
        ahead: ChainSplit<'_>,
        between: Option<&StepPosition>,
    ) -> Result<Self> {
        let schema = &there.described.schema;
        let NamedChain { before, after, names, renames, back, later, former } =
            chain.make_named(ahead, code, schema).await?;
        let former = named(&before.schema, &former);
        let first = there.expects(context, chain, before).await?.described;
        let after = there.expects(context, chain, after).await?.described;
        let before = match between {
            None => first.schema.clone(),
            // What is already in the intermediate state need not be done again.
            Some(place) => {
                let is_so = |id: &Id| place.made.get(id) == schema.get(id);
                first.schema.clone().as_in(&place.made, |object| is_so(&object.id))
            }
        };
        let three = SchemaTriple { before: &before, after: &after.schema, there: schema };
        let mut parts = names.parts;
        parts.extend(three.parts(&context.title()));
        let (first, back) = (first.clone(), (first, back));
        Ok(Self { first, before, after, there: schema.clone(), parts, renames, back, later, former })
    }

    /// The schema of the database with everything that is still missing, except for renames.
    pub(super) fn goal(&self) -> Schema {
        SchemaTriple { before: &self.before, after: &self.after.schema, there: &self.there }.merged()
    }

    /// The name of every object before and after the renames.
    pub(super) fn names(&self) -> Vec<(Arc<Id>, Arc<Id>)> {
        named(&self.after.schema, &self.later)
    }

    /// Other differences, which are not part of the migrations.
    pub(super) fn others(&self, context: &Context<'_>) -> Vec<String> {
        let others = drift::differences(&self.after.schema, &self.goal(), &context.title());
        others.into_iter().flat_map(|one| one.sentences).collect()
    }

    /// The objects of the database that are in neither of the two other schemas.
    pub(super) fn unknown(&self) -> Vec<Arc<Id>> {
        let is_unknown = |id: &Id| self.first.schema.get(id).is_none() && self.after.schema.get(id).is_none();
        let all = self.there.objects().map(|object| &object.id);
        all.filter(|id| is_unknown(id)).cloned().collect()
    }
}

/// The current and the future name of each object.
fn named(schema: &Schema, later: &BTreeMap<Arc<Id>, Arc<Id>>) -> Vec<(Arc<Id>, Arc<Id>)> {
    let pair = |id: &Arc<Id>| (id.clone(), later.get(id).unwrap_or(id).clone());
    schema.objects().map(|object| pair(&object.id)).collect()
}
