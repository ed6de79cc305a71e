//! Both sides of a difference, without what is left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_schema::ddl::DdlGap;
use migrate_schema::{Id, Schema, SchemaDescription};

use super::capture::{CapturedSchema, KEPT_OWN, LeftOut};

/// Both sides, on the shadow server and as they are shown.
pub(super) struct SchemaPair {
    /// What can be created of the first side, and what is wanted of the second side with it.
    pub(super) there: SchemaDescription,
    pub(super) wanted: CapturedSchema,
    pub(super) from: SchemaDescription,
    pub(super) to: SchemaDescription,
}

impl SchemaPair {
    /// Leaves out of both sides what the shadow server does not have of the first one.
    pub(super) fn leave_out(&mut self, all: &[LeftOut]) {
        let mut gone = BTreeSet::new();
        for one in all {
            [&mut self.there, &mut self.wanted.source].into_iter().for_each(|side| gone.extend(without(side, one)));
        }
        self.keep_grounds(gone);
    }

    /// Leaves out of both sides what was left out of the second one since then.
    pub(super) fn follow(&mut self, since: usize) {
        let mut gone = BTreeSet::new();
        let is_kept = |one: &&LeftOut| one.part.as_ref().is_some_and(|part| KEPT_OWN.contains(&&**part));
        for one in self.wanted.left_out[since..].iter().filter(|one| !is_kept(one)) {
            let sides = [&mut self.there, &mut self.from, &mut self.to];
            sides.into_iter().for_each(|side| gone.extend(without(side, one)));
        }
        self.keep_grounds(gone);
    }

    /// Leaves out what only the first schema has, if something that is left out, and so stays there, depends on
    /// it.
    fn keep_grounds(&mut self, mut gone: BTreeSet<Arc<Id>>) {
        loop {
            let (there, wanted) = (&self.there, &self.wanted.source.schema);
            let goes = |id: &Arc<Id>| there.schema.get(id).is_some() && wanted.get(id).is_none();
            let Some(ground) = there.grounds(&gone).into_iter().find(goes) else { break };
            let users = there.users(&ground).filter(|user| goes(user)).cloned();
            let all: BTreeSet<Arc<Id>> = users.chain([ground.clone()]).collect();
            for side in [&mut self.there, &mut self.from] {
                side.schema = std::mem::take(&mut side.schema).as_in(&Schema::default(), |one| all.contains(&one.id));
            }
            let why = "something that is left out depends on it".to_owned();
            let with = all.iter().filter(|id| **id != ground).cloned().collect();
            self.wanted.left_out.push(LeftOut { object: ground, part: None, why, with });
            gone.extend(all);
        }
    }

    /// What is left out of the statements.
    pub(super) fn uncovered(&self) -> Vec<DdlGap> {
        let gap = |one: &LeftOut| {
            let with = one.with.iter().map(|id| DdlGap {
                object: id.clone(),
                part: None,
                why: format!("it depends on {}", one.object),
            });
            let itself = DdlGap { object: one.object.clone(), part: one.part.clone(), why: one.why.clone() };
            [itself].into_iter().chain(with).collect::<Vec<_>>()
        };
        self.wanted.left_out.iter().flat_map(gap).collect()
    }
}

/// Leaves one thing out of a schema; returns the objects that were removed.
fn without(side: &mut SchemaDescription, one: &LeftOut) -> Vec<Arc<Id>> {
    match &one.part {
        Some(part) => {
            side.leave_out_part(&one.object, part);
            Vec::new()
        }
        None => one.objects().flat_map(|id| side.leave_out(id)).collect(),
    }
}
