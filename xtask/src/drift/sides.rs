//! What is there beside what the chain makes without pending migrations and with them, under the names that are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::CodeMigrations;
use migrate_core::drift::{self, Part, Three};
use migrate_core::schema::ddl::Statement;
use migrate_core::schema::{Described, Id, Schema};
use migrate_test::shape::{Ahead, NamedChain};

use super::between::Between;
use super::{Chain, There};
use crate::context::Context;
use crate::exit::Result;

/// Three schemas, and what is to be said of them.
pub(super) struct Sides {
    /// What the chain makes without the migrations, but for the names.
    pub(super) first: Described,
    /// The same with what was made by hand on the way.
    before: Schema,
    /// What it makes with them, but for the names.
    pub(super) after: Described,
    there: Schema,
    pub(super) parts: Vec<Part>,
    /// The statements that change the names that are still the old ones.
    pub(super) renames: Vec<Statement>,
    /// What the chain makes without the migrations, but for the names, and the statements that give these back.
    pub(super) back: (Described, Vec<Statement>),
    /// What has another name when the renames have run.
    pub(super) later: BTreeMap<Arc<Id>, Arc<Id>>,
    /// What everything is called before and after the statements that give names back.
    pub(super) former: Vec<(Arc<Id>, Arc<Id>)>,
}

impl Sides {
    pub(super) async fn of(
        context: &Context<'_>,
        code: &CodeMigrations,
        (chain, there): (&Chain, &There),
        ahead: Ahead<'_>,
        between: Option<&Between>,
    ) -> Result<Self> {
        let schema = &there.described.schema;
        let NamedChain { before, after, names, renames, back, later, former } =
            chain.make_named(ahead, code, schema).await?;
        let former = named(&before.schema, &former);
        let first = there.expects(context, chain, before).await?.described;
        let after = there.expects(context, chain, after).await?.described;
        let before = match between {
            None => first.schema.clone(),
            // What is there as it is on the way is no more to be done.
            Some(place) => {
                let is_so = |id: &Id| place.made.get(id) == schema.get(id);
                first.schema.clone().as_in(&place.made, |object| is_so(&object.id))
            }
        };
        let three = Three { before: &before, after: &after.schema, there: schema };
        let mut parts = names.parts;
        parts.extend(three.parts(&context.title()));
        let (first, back) = (first.clone(), (first, back));
        Ok(Self { first, before, after, there: schema.clone(), parts, renames, back, later, former })
    }

    /// What is there with all that is still missing but the names.
    pub(super) fn goal(&self) -> Schema {
        Three { before: &self.before, after: &self.after.schema, there: &self.there }.merged()
    }

    /// What everything is called before the renames, and after them.
    pub(super) fn names(&self) -> Vec<(Arc<Id>, Arc<Id>)> {
        named(&self.after.schema, &self.later)
    }

    /// What else differs, which is no part of the migrations.
    pub(super) fn others(&self, context: &Context<'_>) -> Vec<String> {
        let others = drift::differences(&self.after.schema, &self.goal(), &context.title());
        others.into_iter().flat_map(|one| one.sentences).collect()
    }

    /// What is there and in neither of the two others.
    pub(super) fn unknown(&self) -> Vec<Arc<Id>> {
        let is_unknown = |id: &Id| self.first.schema.get(id).is_none() && self.after.schema.get(id).is_none();
        let all = self.there.objects().map(|object| &object.id);
        all.filter(|id| is_unknown(id)).cloned().collect()
    }
}

/// The name of each object, and the one that it gets.
fn named(schema: &Schema, later: &BTreeMap<Arc<Id>, Arc<Id>>) -> Vec<(Arc<Id>, Arc<Id>)> {
    let pair = |id: &Arc<Id>| (id.clone(), later.get(id).unwrap_or(id).clone());
    schema.objects().map(|object| pair(&object.id)).collect()
}
