//! What a database has that no migration made, and what it lacks: by object, with when and who as far as it is known.
//!
//! All of it is pure: what should be there, what is there, what the ledger and the record of DDL say are values.

mod blame;
mod fill;
mod keep;
mod names;
mod outside;
mod pending;
mod rule;
mod since;
mod steps;
mod update;

use std::sync::Arc;

use crate::schema::ddl::unowned;
use crate::schema::{Change, Id, Object, Schema, Sides};

pub use blame::who;
pub use fill::fill;
pub use names::Names;
pub(crate) use outside::{Fault, Named, culprit, made_by, may_make};
pub use pending::{Done, Part, Three};
pub use rule::{NotARule, Rule};
pub(crate) use since::belongs;
pub use since::{Bounds, Seen, usual_owner};
pub use steps::{Begun, Step};

/// What is wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is there, and no migration made it.
    Extra,
    /// Migrations made it, and it is not there.
    Missing,
    /// It is there, and not as migrations made it.
    Changed,
}

/// A difference between what should be there and what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object; what belongs to it and is as new or as gone is not told apart.
    pub object: Arc<Id>,
    /// What is wrong with it.
    pub what: What,
    /// What is different, a sentence for each fact.
    pub sentences: Vec<String>,
}

impl What {
    /// The word for it, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extra => "extra",
            Self::Missing => "missing",
            Self::Changed => "changed",
        }
    }
}

/// What should be there, where what is left out counts as right as it is.
pub fn expected(made: Schema, there: &Schema, is_left_out: impl Fn(&Object) -> bool) -> Schema {
    made.as_in(there, is_left_out)
}

/// The differences, whoever owns what; `title` is what the database is called.
pub fn differences(expected: &Schema, there: &Schema, title: &str) -> Vec<Difference> {
    let change = change(expected, there);
    let sides = Sides { before: "in the migrations", after: &format!("in {title}") };
    let what = |id: &Id| match (expected.get(id), there.get(id)) {
        (None, _) => What::Extra,
        (_, None) => What::Missing,
        _ => What::Changed,
    };
    let by_object = change.by_object(sides).into_iter();
    by_object.map(|(object, sentences)| Difference { what: what(&object), object, sentences }).collect()
}

fn change(expected: &Schema, there: &Schema) -> Change {
    Change::between(&unowned(expected), &unowned(there))
}
