//! Our own rules, one file each: those that need the schema, the transaction, or the released schema.

mod attach_partition_scans;
mod change_under_lock;
mod concurrent_if_not_exists;
mod drop_cascade;
mod foreign_key_without_index;
mod function_reads_it;
mod grant_to_public;
mod key_runs_out;
mod lock_table;
mod lock_timeout_off;
mod missing_primary_key;
mod refresh_blocks_readers;
mod rewriting_alter;
mod row_security_off;
mod rule_discards_writes;
mod security_definer_path;
mod truncate;
mod unbatched_change;
mod unread_statement;

use migrate_base::codes::Code;
use migrate_base::finding::Severity;

use super::script::Parsed;
use super::{Class, Hit, Origin, Rule, Subject};

/// All of them, in the order of the list.
pub(super) static RULES: [Rule; 19] = [
    change_under_lock::RULE,
    unbatched_change::RULE,
    rewriting_alter::RULE,
    refresh_blocks_readers::RULE,
    attach_partition_scans::RULE,
    lock_table::RULE,
    lock_timeout_off::RULE,
    concurrent_if_not_exists::RULE,
    drop_cascade::RULE,
    truncate::RULE,
    rule_discards_writes::RULE,
    function_reads_it::RULE,
    missing_primary_key::RULE,
    foreign_key_without_index::RULE,
    key_runs_out::RULE,
    row_security_off::RULE,
    security_definer_path::RULE,
    grant_to_public::RULE,
    unread_statement::RULE,
];

const fn rule(
    name: &'static str,
    class: Class,
    weight: Severity,
    page: &'static str,
    check: fn(&Subject<'_>, &Parsed) -> Vec<Hit>,
) -> Rule {
    Rule { code: Code::new(name, weight), class, weight: Some(weight), page, origin: Origin::Own(check) }
}
