//! What statements lock, rewrite and read: one table, shared by the dry run and the rules for SQL.
//!
//! A shadow database shows this by observation; this module is for texts, and for databases on which nothing can be
//! tried. The observer of migrate-test compares this module with what the server does, statement by statement.

mod action;
mod maintenance;
mod place;
mod proven;
mod query;
mod removal;
mod scope;
mod statement;
mod steady;
mod table;
mod types;
mod views;
mod work;

use migrate_base::lock_mode::LockMode;
use squawk_syntax::ast::Stmt;
use table::{RelationRole, StatementForm};

use crate::tree::ObjectName;

pub(crate) use action::AlteredTable;
pub(crate) use place::{ScriptContext, columns};
pub(crate) use proven::{is_filled, refers};
pub(crate) use scope::ScriptChanges;
pub(crate) use types::as_server;
pub use work::RowWork;
pub(crate) use work::{PlacedWork, WorkCause, computes, efforts};

/// A lock that a statement takes, and what it does under the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLock {
    /// The table or view; with its schema, if that is known.
    pub table: ObjectName,
    /// The lock.
    pub mode: LockMode,
    /// What it does with the rows.
    pub work: RowWork,
}

/// A form of a statement on one relation, with everything that it involves; relations have their full names before the
/// script.
#[derive(Debug, Clone)]
struct RelationForm {
    form: StatementForm,
    /// The lock mode on the named relation, if the statement gives it.
    said: Option<LockMode>,
    target: ObjectName,
    /// Whether partitions and children are left out.
    only: bool,
    other: Vec<ObjectName>,
    referenced: Vec<ObjectName>,
    partners: Vec<ObjectName>,
    dependents: Vec<ObjectName>,
    sources: Vec<ObjectName>,
    /// What is done with the rows of the relations of a role.
    works: Vec<(RelationRole, RowWork)>,
    /// What is done with the rows of a relation, whatever its role.
    own: Vec<(ObjectName, RowWork)>,
}

impl RelationForm {
    fn new(form: StatementForm, target: ObjectName) -> Self {
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
            works: Vec::new(),
            own: Vec::new(),
        }
    }

    /// Adds what is done with the rows of the relations of a role.
    fn doing(mut self, role: RelationRole, work: RowWork) -> Self {
        self.works.push((role, work));
        self
    }

    /// Adds what is done with the rows of the target and its children.
    fn on_all(self, work: RowWork) -> Self {
        self.doing(RelationRole::Target, work).doing(RelationRole::Child, work)
    }

    /// Adds what is done with the rows of each of these.
    fn on(mut self, works: impl IntoIterator<Item = (ObjectName, RowWork)>) -> Self {
        self.own.extend(works);
        self
    }

    fn only(self, only: bool) -> Self {
        Self { only, ..self }
    }

    fn wanted(&self, known: &ScriptContext<'_>) -> Vec<StatementLock> {
        let mut all = Vec::new();
        for (role, mode) in self.form.locks(known.major.unwrap_or(u32::MAX)) {
            let mode = match role {
                RelationRole::Target | RelationRole::Child | RelationRole::Source => self.said.unwrap_or(*mode),
                _ => *mode,
            };
            for table in self.named(known, *role) {
                // A partitioned table has no rows of its own.
                let work = if known.stores_nothing(&table) { RowWork::Nothing } else { self.work(*role, &table) };
                all.push(StatementLock { table, mode, work });
            }
        }
        all
    }

    /// The relations of a role.
    fn named(&self, known: &ScriptContext<'_>, role: RelationRole) -> Vec<ObjectName> {
        match role {
            RelationRole::Target => vec![self.target.clone()],
            RelationRole::Child if self.only => Vec::new(),
            RelationRole::Child => known.children(&self.target),
            RelationRole::Parent => known.partitioned(&self.target).into_iter().collect(),
            RelationRole::Other => self.other.clone(),
            RelationRole::Default => self.default_partition(known).into_iter().collect(),
            RelationRole::Referenced => self.referenced.clone(),
            RelationRole::Partner => self.partners.clone(),
            RelationRole::Dependent => self.dependents.clone(),
            RelationRole::Source => self.sources.clone(),
        }
    }

    fn work(&self, role: RelationRole, table: &ObjectName) -> RowWork {
        let of_role = self.works.iter().filter(|(one, _)| *one == role).map(|(_, work)| *work);
        let own = self.own.iter().filter(|(name, _)| name == table).map(|(_, work)| *work);
        of_role.chain(own).max().unwrap_or_default()
    }

    fn default_partition(&self, known: &ScriptContext<'_>) -> Option<ObjectName> {
        let of = match self.form {
            StatementForm::DropRelation => known.partitioned(&self.target)?,
            _ => self.target.clone(),
        };
        known.default_partition(&of)
    }
}

/// The locks of a statement on relations that may already exist, the strongest on each.
pub(crate) fn wanted(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<StatementLock> {
    strongest(statement::asked(stmt, known).into_iter().flat_map(|asked| asked.wanted(known)))
}

/// The locks of a statement on relations that are not in the schema, by their names there: those of extensions, and
/// those that functions create. Leaves out what the script creates itself, and what need not exist.
pub(crate) fn unknown(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<StatementLock> {
    let is_about_index = matches!(stmt, Stmt::DropIndex(_) | Stmt::AlterIndex(_) | Stmt::Reindex(_));
    if is_about_index || known.before.is_none() || statement::may_be_missing(stmt) {
        return Vec::new();
    }
    let mut all = wanted(stmt, &ScriptContext { major: known.major, ..ScriptContext::default() });
    all.retain(|one| known.found(&one.table).is_none() && !known.is_own(&one.table));
    all.into_iter().map(|one| StatementLock { work: RowWork::Unknown, ..one }).collect()
}

/// One lock for each table, the strongest, in the order of the tables.
pub(crate) fn strongest(locks: impl IntoIterator<Item = StatementLock>) -> Vec<StatementLock> {
    let mut all: Vec<StatementLock> = Vec::new();
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
