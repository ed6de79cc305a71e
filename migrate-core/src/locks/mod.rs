//! What statements lock, rewrite and read: one table, which the dry run and the rules for SQL share.
//!
//! A shadow observes; this is for texts, and for databases that cannot be tried on. What is here is held against what the
//! server does by the observer of migrate-test, statement by statement.

mod action;
mod place;
mod query;
mod statement;
mod table;
mod types;
mod work;

use squawk_syntax::ast::Stmt;

use crate::lint::Named;
use crate::lock_mode::LockMode;
use table::{Form, Role};

pub(crate) use place::Known;
pub(crate) use statement::strict_domains;
pub use work::Work;
pub(crate) use work::{Cause, Effort, efforts, is_filled};

/// A lock that a statement wants, and what it does under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The table or view; with its schema, where that is known.
    pub table: Named,
    /// The lock.
    pub mode: LockMode,
    /// What it does with the rows.
    pub work: Work,
}

/// A form of a statement on one relation, with all that comes with it.
#[derive(Debug, Clone)]
struct Asked {
    form: Form,
    /// The lock on the target, where the statement says it.
    said: Option<LockMode>,
    target: Named,
    /// Whether partitions and children are left out.
    only: bool,
    other: Vec<Named>,
    referenced: Vec<Named>,
    partners: Vec<Named>,
    dependents: Vec<Named>,
    sources: Vec<Named>,
    work: Work,
    /// On which of these the work is done.
    worked: Vec<Role>,
}

impl Asked {
    fn new(form: Form, target: Named) -> Self {
        let none = Vec::new;
        Self {
            form,
            said: None,
            target,
            only: false,
            other: none(),
            referenced: none(),
            partners: none(),
            dependents: none(),
            sources: none(),
            work: Work::Nothing,
            worked: vec![Role::Target, Role::Child],
        }
    }

    fn wanted(&self, known: &Known<'_>) -> Vec<Wanted> {
        let target = known.full(&self.target);
        let mut all = Vec::new();
        for (role, mode) in self.form.locks(known.major.unwrap_or(u32::MAX)) {
            let names = match role {
                Role::Target => vec![self.target.clone()],
                Role::Child if self.only => Vec::new(),
                Role::Child => target.as_ref().map(|name| known.children(name)).unwrap_or_default(),
                Role::Parent => target.as_ref().and_then(|name| known.partitioned(name)).into_iter().collect(),
                Role::Other => self.other.clone(),
                Role::Default => self.default_partition(known, target.as_ref()),
                Role::Referenced => self.referenced.clone(),
                Role::Partner => self.partners.clone(),
                Role::Dependent => self.dependents.clone(),
                Role::Source => self.sources.clone(),
            };
            let mode = match role {
                Role::Target | Role::Child => self.said.unwrap_or(*mode),
                _ => *mode,
            };
            let work = if self.worked.contains(role) { self.work } else { Work::Nothing };
            for name in names {
                let Some(table) = known.full(&name) else { continue };
                // A partitioned table has no rows of its own.
                let work = if known.stores_nothing(&table) { Work::Nothing } else { work };
                all.push(Wanted { table, mode, work });
            }
        }
        all
    }

    fn default_partition(&self, known: &Known<'_>, target: Option<&Named>) -> Vec<Named> {
        let Some(target) = target else { return Vec::new() };
        let of = match self.form {
            Form::DropRelation => known.partitioned(target),
            _ => Some(target.clone()),
        };
        of.and_then(|table| known.default_partition(&table)).into_iter().collect()
    }
}

/// The locks of a statement on relations that may be there already, each the strongest. `utc` is whether the time zone of
/// the session is known to be UTC.
pub(crate) fn wanted(stmt: &Stmt, known: &Known<'_>, utc: bool) -> Vec<Wanted> {
    strongest(statement::asked(stmt, known, utc).into_iter().flat_map(|asked| asked.wanted(known)))
}

/// One lock for each table, the strongest, in the order in which the tables come.
pub(crate) fn strongest(locks: impl IntoIterator<Item = Wanted>) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for one in locks {
        match all.iter_mut().find(|other| other.table == one.table) {
            Some(other) => {
                other.mode = other.mode.max(one.mode);
                other.work = other.work.max(one.work);
            }
            None => all.push(one),
        }
    }
    all
}
