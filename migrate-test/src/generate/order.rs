//! The order in which tables are filled.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::TableSpec;
use crate::rows::TableName;

/// Tables in an order in which each comes after those that it needs; tables that need one another are grouped.
pub(super) fn ordered<'a>(tables: &[&'a TableSpec]) -> Vec<Vec<&'a TableSpec>> {
    let names: BTreeSet<TableName> = tables.iter().map(|table| table.name()).collect();
    let mut left: Vec<&TableSpec> = tables.to_vec();
    let mut done: BTreeSet<TableName> = BTreeSet::new();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let ready = |table: &&TableSpec| table.needs().iter().all(|need| done.contains(need) || !names.contains(need));
        let (now, later): (Vec<&TableSpec>, Vec<&TableSpec>) = left.iter().partition(|table| ready(table));
        left = later;
        if now.is_empty() {
            // Only cycles, and tables that need them, are left.
            let cycle = cycle(&left);
            left.retain(|table| !cycle.contains(&table.name()));
            let group = tables.iter().filter(|table| cycle.contains(&table.name())).copied().collect();
            done.extend(cycle);
            groups.push(group);
        }
        done.extend(now.iter().map(|table| table.name()));
        groups.extend(now.into_iter().map(|table| vec![table]));
    }
    groups
}

/// The smallest set of tables that need nothing outside of the set.
fn cycle(tables: &[&TableSpec]) -> BTreeSet<TableName> {
    let needs: BTreeMap<TableName, BTreeSet<TableName>> = tables.iter().map(|t| (t.name(), t.needs())).collect();
    let reach = |from: &TableName| {
        let mut seen = BTreeSet::from([from.clone()]);
        let mut queue = vec![from.clone()];
        while let Some(name) = queue.pop() {
            for next in needs.get(&name).into_iter().flatten().filter(|next| needs.contains_key(*next)) {
                if seen.insert(next.clone()) {
                    queue.push(next.clone());
                }
            }
        }
        seen
    };
    needs.keys().map(reach).min_by_key(BTreeSet::len).unwrap_or_default()
}
