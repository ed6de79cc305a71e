//! What a script itself undoes with `ROLLBACK TO` a savepoint.
//!
//! Changes and settings since the savepoint are undone, and locks taken since then are released; the savepoint remains.

use std::ops::Range;

use squawk_syntax::ast::{self, Stmt};

use super::named;

/// The savepoints of a script, up to a place in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Savepoints {
    open: Vec<(String, usize)>,
}

impl Savepoints {
    /// Processes the next statement at its place; for a rollback to a savepoint, returns the places that are undone.
    pub(crate) fn take(&mut self, at: usize, stmt: &Stmt) -> Option<Range<usize>> {
        match stmt {
            Stmt::SavepointCreate(it) => self.open.extend(it.savepoint().and_then(|one| Some((named(&one)?.name, at)))),
            Stmt::ReleaseSavepoint(it) => {
                let found = it.savepoint_ref().and_then(|one| self.find(&named(&one)?.name));
                self.open.truncate(found.unwrap_or(self.open.len()));
            }
            Stmt::Rollback(ast::Rollback::RollbackToSavepoint(it)) => {
                let found = it.savepoint_ref().and_then(|one| self.find(&named(&one)?.name))?;
                self.open.truncate(found + 1);
                return self.open.last().map(|(_, from)| *from..at);
            }
            Stmt::Begin(_) | Stmt::Commit(_) | Stmt::Rollback(_) => self.open.clear(),
            _ => {}
        }
        None
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.open.iter().rposition(|(own, _)| own == name)
    }
}

/// The places of a script that it undoes itself.
pub(crate) fn undone<'s>(stmts: impl Iterator<Item = (usize, &'s Stmt)>) -> Vec<Range<usize>> {
    let mut savepoints = Savepoints::default();
    stmts.filter_map(|(at, stmt)| savepoints.take(at, stmt)).collect()
}
