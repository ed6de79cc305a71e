//! Corrections once the fate of every part is known: sequences of identity columns, default privileges, constraints
//! that are not valid, and tables that leave their parents for a while.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{PartFate, PartFates};
use crate::ddl::taken::TakenNames;
use crate::ddl::{DdlStatement, count, identity, inherit, loose, not_null, sequence};
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};
use crate::{Schema, SchemaDescription};

impl PartFates {
    /// The objects created by an extension get the default privileges, and it is unknown which objects these are. So
    /// the default privileges are restored after it.
    pub(super) fn default_privileges(&mut self, before: &SchemaDescription) {
        if !self.made().any(|part| part.id.kind == Kind::Extension) {
            return;
        }
        let all = before.schema.objects().filter(|object| object.id.kind == Kind::DefaultPrivileges);
        for part in all.map(|object| SchemaPart::object(&object.id)) {
            if matches!(self.get(&part), PartFate::Kept | PartFate::Altered) {
                self.altered.remove(&part);
                self.fates.insert(part, PartFate::Remade);
            }
        }
    }

    /// A sequence is detached before its column is dropped and created again; the sequence of an identity column is
    /// dropped and created with it.
    pub(super) fn sequences(&mut self, before: &SchemaDescription, after: &SchemaDescription) {
        let pairs = before.schema.objects().filter(|one| one.id.kind == Kind::Sequence);
        for (old, new) in pairs.filter_map(|old| Some((old, after.schema.get(&old.id)?))) {
            let part = SchemaPart::object(&old.id);
            let stays = matches!(self.get(&part), PartFate::Kept | PartFate::Altered);
            if !stays || !self.loses_owner(&before.schema, old) {
                continue;
            }
            match (sequence::is_identity(old), sequence::is_identity(new)) {
                (true, true) => {
                    self.altered.remove(&part);
                    self.fates.insert(part, PartFate::Remade);
                }
                (false, false) if old.fact("owned by") == new.fact("owned by") => {
                    self.altered.entry(part.clone()).or_default().push(count::released(old));
                    self.fates.insert(part, PartFate::Altered);
                }
                _ => {}
            }
        }
    }

    /// The sequence of an identity column that stays is renamed, and the previous holder of the new name is dropped.
    pub(super) fn renames(&mut self, before: &Schema, after: &Schema) {
        for (old, new) in identity::renamed(before, after, self) {
            let [was, is] = [&old, &new].map(|one| SchemaPart::object(&one.id));
            let fate = if before.get(&new.id).is_some() { PartFate::Remade } else { PartFate::Made };
            self.fates.insert(is.clone(), fate);
            let leaves = if after.get(&old.id).is_some() { PartFate::Made } else { PartFate::Dropped };
            self.fates.entry(was).and_modify(|fate| *fate = leaves);
            self.renamed.insert(is, old);
        }
    }

    /// A NOT VALID check would be valid in a new table below its own, so it is created again after that table.
    pub(super) fn not_valid(&mut self, after: &Schema) {
        let is_new = |id: &Arc<Id>| matches!(self.get(&SchemaPart::object(id)), PartFate::Made | PartFate::Remade);
        let below = after.objects().filter(|one| is_not_valid(one) && one.fact("inherited") == Some("only"));
        let mut again = BTreeSet::new();
        for one in below.filter(|one| inherit::table_of(after, &one.id).is_some_and(|table| is_new(&table.id))) {
            let above = inherit::above(after, &one.id).into_iter();
            again.extend(
                above
                    .filter(|one| is_not_valid(one) && one.fact("inherited") != Some("only"))
                    .map(|one| SchemaPart::object(&one.id)),
            );
        }
        for part in again {
            self.fates.entry(part).or_insert(PartFate::Remade);
        }
    }

    /// A NOT NULL that is not valid is dropped and added again if new tables are to get it as it is.
    pub(super) fn require_again(&mut self, before: &Schema, after: &Schema) {
        let again = not_null::again(before, after, self);
        if again.is_empty() {
            return;
        }
        let taken = TakenNames::of(before, after);
        for column in again {
            let part = SchemaPart::object(&column.id);
            let statements = self.altered.entry(part.clone()).or_default();
            statements.push(DdlStatement::new(not_null::dropped(&column.id)));
            statements.push(DdlStatement::new(not_null::required(&taken, &column)));
            statements.extend(not_null::comment(&column).filter(|_| column.fact(not_null::COMMENT).is_some()));
            self.fates.insert(part.clone(), PartFate::Altered);
            self.required_again.insert(part);
        }
    }

    /// Tables with columns from several parents that change their type, and typed tables whose type changes.
    pub(super) fn loosen(&mut self, before: &Schema, after: &Schema) {
        let loose = loose::tables(before).filter(|table| loose::is_loose(before, after, self, table));
        for table in loose.collect::<Vec<_>>() {
            let part = SchemaPart::object(&table.id);
            self.altered.entry(part.clone()).or_default().splice(0..0, loose::left(table));
            self.fates.insert(part.clone(), PartFate::Altered);
            self.loose.insert(part);
        }
    }
}

fn is_not_valid(object: &Object) -> bool {
    let definition = object.fact("definition").unwrap_or_default();
    object.id.kind == Kind::Constraint && definition.starts_with("CHECK") && definition.ends_with(" NOT VALID")
}
