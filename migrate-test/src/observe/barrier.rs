//! Which lock blocks what, and which table a statement will probably lock first. Pure functions: the bar takes
//! the locks.

use std::collections::BTreeMap;

use migrate_base::lock_mode::LockMode;

use super::look::{PriorRelations, RelationOid};

/// A table, or a materialized view, that can be locked.
#[derive(Debug)]
pub(super) struct LockableTable {
    /// Its current name, as SQL.
    pub(super) name: String,
    /// LOCK TABLE does not support materialized views.
    pub(super) is_view: bool,
}

impl LockableTable {
    /// The command that locks it so that what has been seen passes, and nothing stronger. `None` if what has
    /// been seen is enough.
    pub(super) fn lock(&self, seen: Option<LockMode>, enough: LockMode) -> Option<String> {
        let name = &self.name;
        match seen {
            Some(mode) if mode >= enough => None,
            // COMMENT takes SHARE UPDATE EXCLUSIVE, which every change of a materialized view has to wait for.
            _ if self.is_view && seen < Some(LockMode::ShareUpdateExclusive) => {
                Some(format!("COMMENT ON MATERIALIZED VIEW {name} IS NULL;"))
            }
            _ if self.is_view => None,
            None => Some(format!("LOCK TABLE ONLY {name} IN ACCESS EXCLUSIVE MODE NOWAIT;")),
            Some(mode) => barrier(mode).map(|barrier| format!("LOCK TABLE ONLY {name} IN {barrier} MODE;")),
        }
    }
}

/// The lock that conflicts with all locks stronger than this one, but not with this one.
///
/// See <https://www.postgresql.org/docs/current/explicit-locking.html#TABLE-LOCK-COMPATIBILITY>.
fn barrier(seen: LockMode) -> Option<LockMode> {
    match seen {
        LockMode::AccessShare => Some(LockMode::Exclusive),
        LockMode::RowShare => Some(LockMode::ShareRowExclusive),
        LockMode::RowExclusive => Some(LockMode::ShareUpdateExclusive),
        LockMode::ShareUpdateExclusive => Some(LockMode::RowExclusive),
        LockMode::Share => Some(LockMode::Share),
        LockMode::ShareRowExclusive => Some(LockMode::RowShare),
        LockMode::Exclusive => Some(LockMode::AccessShare),
        LockMode::AccessExclusive => None,
    }
}

/// The positions at which a statement names tables, or their indexes.
pub(super) fn named(world: &PriorRelations, statement: &str) -> BTreeMap<RelationOid, usize> {
    let statement = statement.to_lowercase();
    let mut named = BTreeMap::new();
    for (oid, relation) in &world.relations {
        let table = world.told(*oid).filter(|_| !matches!(relation.kind, 'S' | 'v' | 'f'));
        if let (Some(table), Some(at)) = (table, word(&statement, &relation.name.name().to_lowercase())) {
            let first = named.entry(table).or_insert(at);
            *first = at.min(*first);
        }
    }
    named
}

/// The position of a name in a text, where it is not a part of another name.
fn word(text: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |at: &usize| {
        !text[..*at].chars().next_back().is_some_and(is_part)
            && !text[at + name.len()..].chars().next().is_some_and(is_part)
    };
    text.match_indices(name).map(|(at, _)| at).find(stands_alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which locks conflict, according to the manual: for each lock the weakest one that it conflicts with, and
    /// exceptions.
    fn conflict(a: LockMode, b: LockMode) -> bool {
        use LockMode as L;
        let (weak, strong) = (a.min(b), a.max(b));
        match weak {
            L::AccessShare => strong == L::AccessExclusive,
            L::RowShare => strong >= L::Exclusive,
            L::RowExclusive => strong >= L::Share,
            L::Share => strong > L::Share,
            _ => true,
        }
    }

    #[test]
    fn a_barrier_lets_one_lock_pass_and_none_that_is_stronger() {
        for seen in LockMode::ALL {
            let stops = |mode: &LockMode| barrier(seen).is_none_or(|barrier| conflict(barrier, *mode));
            assert!(barrier(seen).is_none_or(|barrier| !conflict(barrier, seen)), "{seen}");
            assert!(LockMode::ALL.iter().filter(|mode| **mode > seen).all(stops), "{seen}");
        }
    }

    #[test]
    fn a_name_is_found_where_it_stands_alone() {
        assert_eq!(word("alter table t detach partition t_1", "t"), Some(12));
        assert_eq!(word("vacuum \"a b\"", "a b"), Some(8));
        assert_eq!(word("vacuum t_1", "t"), None);
    }
}
