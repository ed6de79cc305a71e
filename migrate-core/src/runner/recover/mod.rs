//! After a run that failed: what the database contains, who else changed it, and the ways to finish or undo.

mod outside;
pub(super) mod refusal;
pub(super) mod resolve;
