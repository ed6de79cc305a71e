//! What to do where PostgreSQL refuses `CONCURRENTLY`: for indexes of partitioned tables.

use migrate_schema::Object;
use squawk_syntax::ast::Stmt;

use super::LintSubject;
use super::script::ParsedScript;
use crate::locks::ScriptContext;
use crate::tree::{ObjectName, StatementTarget, named, span, targets};

const CREATE: &str = "a partitioned table cannot be indexed CONCURRENTLY: create the index `ON ONLY` the table, build \
    one CONCURRENTLY on each partition, and attach each with `ALTER INDEX … ATTACH PARTITION …`";
const DROP: &str = "the index of a partitioned table cannot be dropped CONCURRENTLY: drop it in a separate migration, \
    with a short lock timeout";

/// What to do instead of a statement that creates or drops an index of a partitioned table.
pub(super) fn instead(subject: &LintSubject<'_>, parsed: &ParsedScript, stmt: &Stmt) -> Option<&'static str> {
    let help = match stmt {
        Stmt::CreateIndex(_) => CREATE,
        Stmt::DropIndex(_) => DROP,
        _ => return None,
    };
    let known = subject.known(parsed, span(stmt).start);
    let known = ScriptContext { before: known.before.or(subject.released.map(|at| &at.schema)), ..known };
    let is_partitioned = |target: StatementTarget| match target {
        StatementTarget::Relation(name) => {
            is_made_so(parsed, &name) || known.relation(&name).is_some_and(has_partitions)
        }
        StatementTarget::Index(name) => {
            known.table_of_index(&name).and_then(|table| known.table(&table)).is_some_and(has_partitions)
        }
        StatementTarget::Other(_) => false,
    };
    targets(stmt).into_iter().any(is_partitioned).then_some(help)
}

fn has_partitions(table: &Object) -> bool {
    table.fact("partition key").is_some()
}

/// Whether the script itself creates a partitioned table of this name.
fn is_made_so(parsed: &ParsedScript, name: &ObjectName) -> bool {
    parsed.statements.iter().any(|(_, stmt)| match stmt {
        Stmt::CreateTable(it) => {
            it.partition_by().is_some() && it.table_name().and_then(|table| named(&table)).as_ref() == Some(name)
        }
        _ => false,
    })
}
