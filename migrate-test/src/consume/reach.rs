//! What a query uses, from the tree that the server's own parser creates.
//!
//! A function with an SQL-standard body is stored in parsed form, whatever it does. The tree contains the
//! privileges that each table needs, with the columns that are read and written, and every function and
//! operator by its oid. The function is never called, and disappears with its transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use migrate_base::ident::QualifiedName;
use migrate_base::template::fill;
use migrate_core::Database;
use migrate_review::consumer::{PrepareAnswer, QueryDependencies, TableAccess};
use sqlx::AssertSqlSafe;

use super::copied::asked_as;
use super::describe::{QueryInspector, list, refusal, text};
use super::through::UpdatableViews;
use super::values::{ColumnWrites, values};
use crate::error::ProofError;

/// Objects with smaller oids belong to PostgreSQL itself.
const FIRST_OF_USERS: u32 = 16384;
/// The offset of column numbers in a set: there are columns with negative numbers.
const BEFORE_FIRST: i32 = -7;
/// The bits of the privileges to write.
const WRITES: u32 = 1 | 4 | 8;
const RIGHTS: [(u32, &str); 4] = [(1, "INSERT"), (2, "SELECT"), (4, "UPDATE"), (8, "DELETE")];

/// The tree of a query, as far as it is needed.
#[derive(Debug, Default, PartialEq, Eq)]
struct QueryTree {
    tables: Vec<PermissionEntry>,
    routines: BTreeSet<u32>,
    operators: BTreeSet<u32>,
    values: ColumnWrites,
}

/// A table with the privileges that are needed on it, and the columns that are read, inserted and updated.
#[derive(Debug, Default, PartialEq, Eq)]
struct PermissionEntry {
    table: u32,
    rights: u32,
    columns: [BTreeSet<i32>; 3],
    /// The view that the query names.
    via: Option<ViewAccess>,
}

/// A view through which a table is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ViewAccess {
    view: u32,
    /// Whether the calling role needs the privileges on the table.
    is_invoker: bool,
}

impl QueryTree {
    /// Adds the tables that are written through views, or read with the privileges of the caller.
    fn follow(&mut self, views: &UpdatableViews) {
        let mut at = 0;
        while let Some(entry) = self.tables.get(at) {
            at += 1;
            let Some(through) = views.get(&entry.table) else { continue };
            let is_invoker = through.is_invoker && entry.via.is_none_or(|via| via.is_invoker);
            let rights = if is_invoker { entry.rights } else { entry.rights & WRITES };
            if rights == 0 {
                continue;
            }
            let of_table = |column: &i32| through.columns.get(column).copied();
            let (view, table) = (entry.table, through.table);
            let columns = entry.columns.each_ref().map(|set| set.iter().filter_map(of_table).collect());
            let via = Some(ViewAccess { view: entry.via.map_or(view, |via| via.view), is_invoker });
            let own = self.values.iter().filter(|((of, _), _)| *of == view);
            let values: ColumnWrites =
                own.filter_map(|((_, column), value)| Some(((table, of_table(column)?), *value))).collect();
            self.tables.push(PermissionEntry { table, rights, columns, via });
            self.values.extend(values);
        }
    }
}

/// What each of these queries uses. For commands that are not queries (`CALL`, `SET`, `LISTEN`), this is not
/// known.
///
/// # Errors
///
/// [`ProofError`] when the server is gone.
pub(super) async fn reach(
    database: &Database,
    texts: &[(Arc<str>, Arc<PrepareAnswer>)],
) -> Result<Vec<Option<QueryDependencies>>, ProofError> {
    look(database, texts, false).await
}

/// The same, with the tables that are written through views.
///
/// # Errors
///
/// [`ProofError`] when the server is gone.
pub(super) async fn written(
    database: &Database,
    texts: &[(Arc<str>, Arc<PrepareAnswer>)],
) -> Result<Vec<Option<QueryDependencies>>, ProofError> {
    look(database, texts, true).await
}

async fn look(
    database: &Database,
    texts: &[(Arc<str>, Arc<PrepareAnswer>)],
    through_views: bool,
) -> Result<Vec<Option<QueryDependencies>>, ProofError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let mut asker = QueryInspector::open(database).await?;
    // The schema of temporary objects is created once, and dropped at the end.
    asker
        .send("BEGIN; CREATE FUNCTION pg_temp.roundtrip() RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT 1; END")
        .await?;
    let mut trees = Vec::with_capacity(texts.len());
    for (text, answer) in texts {
        trees.push(match &**answer {
            PrepareAnswer::Described(shape) => asker.tree(text, &shape.parameters).await?,
            PrepareAnswer::Refused(_) => None,
        });
    }
    if through_views {
        let entries = trees.iter().flatten().flat_map(|tree| &tree.tables);
        let views = asker.through(entries.map(|entry| entry.table).collect()).await?;
        trees.iter_mut().flatten().for_each(|tree| tree.follow(&views));
    }
    let names = asker.meaning(&trees).await?;
    asker.send("ROLLBACK").await?;
    asker.close().await;
    Ok(trees.iter().map(|tree| tree.as_ref().map(|tree| names.reach(tree))).collect())
}

impl QueryInspector {
    async fn tree(&mut self, query: &str, parameters: &[String]) -> Result<Option<QueryTree>, ProofError> {
        let query = asked_as(query);
        let query = query.trim().trim_end_matches(';');
        // A comment at the end of the query must not hide what follows.
        let message = format!(
            "SAVEPOINT query; CREATE FUNCTION pg_temp.roundtrip_query({}) RETURNS void LANGUAGE sql \
             BEGIN ATOMIC {query}\n; END; SELECT p.prosqlbody::text FROM pg_proc p \
             WHERE p.proname = 'roundtrip_query' AND p.pronamespace = pg_my_temp_schema(); \
             ROLLBACK TO query",
            parameters.join(", ")
        );
        match sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(&mut self.connection).await {
            Ok(rows) => Ok(rows
                .first()
                .map(|row| text(row, 0))
                .transpose()?
                .map(|body| QueryTree { values: values(&body), ..tree(&body) })),
            Err(error) => {
                refusal(error, query)?;
                self.send("ROLLBACK TO query").await?;
                Ok(None)
            }
        }
    }

    /// The meaning of the oids in trees.
    async fn meaning(&mut self, trees: &[Option<QueryTree>]) -> Result<TreeNames, ProofError> {
        let all = |of: fn(&QueryTree) -> BTreeSet<u32>| list(&trees.iter().flatten().flat_map(of).collect());
        let (tables, routines, operators) = (
            all(|tree| tree.tables.iter().map(|entry| entry.table).collect()),
            all(|tree| tree.routines.clone()),
            all(|tree| tree.operators.clone()),
        );
        let names = [("tables", tables), ("routines", routines), ("operators", operators)];
        let query = fill(include_str!("meaning.sql"), &names);
        let mut meaning = TreeNames::default();
        for row in self.rows(&query).await? {
            let (kind, oid, first, second) = (text(&row, 0)?, text(&row, 1)?, text(&row, 2)?, text(&row, 3)?);
            let oid: u32 = oid.parse().unwrap_or_default();
            match kind.as_str() {
                "t" => drop(meaning.tables.insert(oid, QualifiedName::new(first, second))),
                "c" => drop(meaning.columns.entry(oid).or_default().insert(second.parse().unwrap_or(0), first)),
                "f" => drop(meaning.routines.insert(oid, (first, second))),
                _ => drop(meaning.operators.insert(oid, (first, second))),
            }
        }
        Ok(meaning)
    }
}

#[derive(Default)]
struct TreeNames {
    tables: HashMap<u32, QualifiedName>,
    columns: HashMap<u32, BTreeMap<i32, String>>,
    routines: HashMap<u32, (String, String)>,
    operators: HashMap<u32, (String, String)>,
}

impl TreeNames {
    fn reach(&self, tree: &QueryTree) -> QueryDependencies {
        let named = |all: &BTreeSet<u32>, names: &HashMap<u32, (String, String)>| {
            let name =
                |oid: &u32| names.get(oid).map(|(name, full)| (name.clone(), full.clone(), *oid < FIRST_OF_USERS));
            all.iter().filter_map(name).collect()
        };
        QueryDependencies {
            tables: tree.tables.iter().filter_map(|entry| self.touch(entry, &tree.values)).collect(),
            routines: named(&tree.routines, &self.routines),
            operators: named(&tree.operators, &self.operators),
        }
    }

    fn touch(&self, entry: &PermissionEntry, values: &ColumnWrites) -> Option<TableAccess> {
        let table = self.tables.get(&entry.table)?.clone();
        let known = self.columns.get(&entry.table);
        let names = |set: &BTreeSet<i32>| {
            let all = known.into_iter().flatten().filter(|(number, _)| **number > 0);
            // Number 0 is the whole row.
            let meant = all.filter(|(number, _)| set.contains(number) || set.contains(&0));
            meant.map(|(_, name)| name.clone()).collect()
        };
        let rights = RIGHTS.iter().filter(|(bit, _)| entry.rights & bit != 0).map(|(_, right)| *right).collect();
        let [reads, inserts, updates] = entry.columns.each_ref().map(names);
        let name = |number: &i32| known?.get(number).cloned();
        let own = values.iter().filter(|((table, _), _)| *table == entry.table);
        let values = own.filter_map(|((_, column), value)| Some((name(column)?, *value))).collect();
        let via = entry.via.and_then(|via| self.tables.get(&via.view).cloned());
        let as_caller = entry.via.is_none_or(|via| via.is_invoker);
        Some(TableAccess { table, reads, inserts, updates, values, rights, via, as_caller })
    }
}

/// Parses the text form of a tree. The fields of a range table entry, and since PostgreSQL 16 those of its
/// permission entry, come in the same order: the table, the privileges, three sets of columns.
fn tree(body: &str) -> QueryTree {
    let mut tree = QueryTree::default();
    let mut table = 0;
    let mut words = body.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let mut number = || words.peek().and_then(|word| word.trim_end_matches(['}', ')']).parse::<u32>().ok());
        match word {
            ":relid" => table = number().unwrap_or(0),
            ":requiredPerms" => {
                let rights = number().unwrap_or(0);
                tree.tables.extend((rights != 0 && table != 0).then(|| PermissionEntry {
                    table,
                    rights,
                    ..PermissionEntry::default()
                }));
                // A subquery needs no privileges, and then the columns that follow do not belong to a table
                // either.
                table = if rights == 0 { 0 } else { table };
            }
            ":selectedCols" | ":insertedCols" | ":updatedCols" => {
                let at = [":selectedCols", ":insertedCols", ":updatedCols"].iter().position(|name| *name == word);
                let mut set = BTreeSet::new();
                for member in words.by_ref() {
                    set.extend(member.trim_end_matches(['}', ')']).parse::<i32>().ok().map(|n| n + BEFORE_FIRST));
                    if member.ends_with(')') {
                        break;
                    }
                }
                let entry = tree.tables.last_mut().filter(|entry| entry.table == table);
                if let (Some(entry), Some(at)) = (entry, at) {
                    entry.columns[at] = set;
                }
            }
            ":funcid" | ":aggfnoid" | ":winfnoid" => tree.routines.extend(number()),
            ":opno" => tree.operators.extend(number()),
            _ => {}
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_as_both_generations_write_it() {
        let fifteen = "({QUERY :rtable ({RTE :rtekind 0 :relid 20 :relkind r :requiredPerms 3 :checkAsUser 0 \
                       :selectedCols (b 8) :insertedCols (b 8 9) :updatedCols (b)}) :x {OPEXPR :opno 96 :opfuncid 65} \
                       {FUNCEXPR :funcid 870}})";
        let eighteen = "({QUERY :rtable ({RTE :relid 20 :inh true}) \
                        :rteperminfos ({RTEPERMISSIONINFO :relid 20 :inh true :requiredPerms 3 :checkAsUser 0 \
                        :selectedCols (b 8) :insertedCols (b 8 9) :updatedCols (b)}) \
                        :x {OPEXPR :opno 96 :opfuncid 65} {FUNCEXPR :funcid 870}})";
        let columns = [[1].into(), [1, 2].into(), [].into()];
        let tables = vec![PermissionEntry { table: 20, rights: 3, columns, via: None }];
        let (routines, operators) = ([870].into(), [96].into());
        let expected = QueryTree { tables, routines, operators, values: ColumnWrites::new() };
        assert_eq!(tree(fifteen), expected);
        assert_eq!(tree(eighteen), expected);
    }
}
