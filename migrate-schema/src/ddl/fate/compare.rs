//! Parts that both schemas have: whether they stay, are altered in place, or are dropped and created again.

use super::{PartFate, PartFates};
use crate::Schema;
use crate::ddl::alter::{self, AlterMethod};
use crate::ddl::name::named;
use crate::ddl::{inherit, partition, retype, swap};
use crate::depend::SchemaPart;
use crate::object::{Kind, Object};

/// Inherited from the parents, and also declared by the table itself.
const LOCAL: Option<&str> = Some("and local");

impl PartFates {
    /// Compares a part that both schemas have.
    pub(super) fn compare(
        &mut self,
        before: &Schema,
        after: &Schema,
        part: SchemaPart,
        old: &Object,
        new: &Object,
        queue: &mut Vec<SchemaPart>,
    ) {
        if part.default {
            if old.differs_in(new, "default") && !follows_parent(before, after, old, new, &["default"]) {
                self.fates.insert(part, PartFate::Altered);
            }
            return;
        }
        let has_to_go = || partition::moves_rows(before, after, new) || partition::passes_over(before, after, new);
        if old == new && !has_to_go() {
            return;
        }
        let facts: Vec<&str> = old.facts.iter().chain(&new.facts).map(|fact| &*fact.name).collect();
        if old.id.kind == Kind::Column && follows_parent(before, after, old, new, &facts) {
            return;
        }
        // A type that has changed takes its columns with it, including columns that change to another type made from
        // it.
        let carried = self.carried.contains_key(&part).then(|| retype::as_carried(old, new));
        match alter::object(before, after, carried.as_ref().unwrap_or(old), new) {
            AlterMethod::Remake => {
                queue.push(part.clone());
                self.fates.insert(part, PartFate::Remade);
            }
            AlterMethod::InPlace { statements, disturbs } => {
                if disturbs {
                    queue.push(part.clone());
                    self.carry(before, after, &part, queue);
                }
                self.altered.insert(part.clone(), statements);
                self.fates.insert(part, PartFate::Altered);
            }
        }
    }

    /// A type that is replaced by a domain of the same name, or the reverse, if columns have that type.
    pub(super) fn replace(
        &mut self,
        before: &Schema,
        after: &Schema,
        part: &SchemaPart,
        old: &Object,
        queue: &mut Vec<SchemaPart>,
    ) -> bool {
        let kind = match part.id.kind {
            Kind::Type => Kind::Domain,
            Kind::Domain => Kind::Type,
            _ => return false,
        };
        let Some(new) = after.get(&named(kind, &part.id.schema, &part.id.name)) else { return false };
        let AlterMethod::InPlace { statements, .. } = swap::swapped(before, after, old, new) else { return false };
        let twin = SchemaPart::object(&new.id);
        self.altered.insert(twin.clone(), statements);
        self.fates.insert(twin.clone(), PartFate::Altered);
        self.carried.insert(part.clone(), twin.clone());
        self.carry(before, after, &twin, queue);
        queue.push(part.clone());
        true
    }

    /// Records the columns that are converted with a type.
    fn carry(&mut self, before: &Schema, after: &Schema, part: &SchemaPart, queue: &mut Vec<SchemaPart>) {
        if !matches!(part.id.kind, Kind::Type | Kind::Domain) {
            return;
        }
        for column in swap::columns_of(before, after, &part.id) {
            let column = SchemaPart::object(&column.id);
            self.carried.insert(column.clone(), part.clone());
            queue.push(column);
        }
        // Its constraints and attributes are created with it, and get all their properties again.
        for kind in [Kind::Constraint, Kind::Attribute] {
            let kept = before.children(&part.id, kind).filter(|one| after.get(&one.id).is_some());
            let kept: Vec<SchemaPart> = kept.map(|one| SchemaPart::object(&one.id)).collect();
            self.fates.extend(kept.into_iter().map(|part| (part, PartFate::Remade)));
        }
        for composite in swap::with_it(before, after, &part.id) {
            let composite = SchemaPart::object(&composite.id);
            // The statements for the type of its attribute create it.
            self.altered.insert(composite.clone(), Vec::new());
            self.makers.insert(composite.clone(), part.clone());
            self.fates.insert(composite.clone(), PartFate::Altered);
            queue.push(composite.clone());
            self.carry(before, after, &composite, queue);
        }
    }
}

/// Whether these facts of a column change exactly as those of the same column in the table's parent: the statement for
/// the parent changes both.
fn follows_parent(before: &Schema, after: &Schema, old: &Object, new: &Object, facts: &[&str]) -> bool {
    let inherited = |column: &Object| column.fact("inherited") == Some("only");
    let Some((was, is)) = inherit::followed(before, after, &old.id).into_iter().next() else { return false };
    if !inherited(old) || !inherited(new) {
        return false;
    }
    // A NOT NULL that is only inherited comes and goes with the parent's.
    let is_brought = |fact: &str| fact == "not null inherited" && [old, new].iter().all(|one| one.fact(fact) != LOCAL);
    let differing = facts.iter().filter(|fact| **fact != "inherited" && !is_brought(fact));
    let differing = differing.filter(|fact| old.differs_in(new, fact));
    let is_said_alone = |fact: &str| matches!(fact, "default" | "not null" | "storage" | "statistics");
    let down = |fact: &str| !is_said_alone(fact) || inherit::goes_down(after, &is.id, fact);
    differing.into_iter().all(|fact| !was.differs_in(old, fact) && !is.differs_in(new, fact) && down(fact))
}
