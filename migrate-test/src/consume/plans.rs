//! Plans of queries: errors that preparing does not find, and the indexes that queries use.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::Database;
use migrate_review::consumer::{PrepareAnswer, PrepareRefusal};
use sqlx::AssertSqlSafe;

use super::copied::asked_as;
use super::describe::{QueryInspector, refusal, text};
use crate::error::ProofError;

/// The planner's result for a query: the indexes that it uses, or why there is no plan.
pub(super) type QueryPlanResult = Result<BTreeSet<String>, PrepareRefusal>;

/// Plans each of these queries for unknown parameter values, with a preference for indexes: a shadow database
/// has no rows, and an empty table would be read sequentially.
///
/// # Errors
///
/// [`ProofError`] when the server is gone.
pub(super) async fn plans(
    database: &Database,
    texts: &[(Arc<str>, Arc<PrepareAnswer>)],
) -> Result<Vec<Option<QueryPlanResult>>, ProofError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let mut asker = QueryInspector::open(database).await?;
    asker.send("SET plan_cache_mode TO force_generic_plan; SET enable_seqscan TO off").await?;
    let mut all = Vec::with_capacity(texts.len());
    for (text, answer) in texts {
        all.push(match &**answer {
            PrepareAnswer::Described(shape) => Some(asker.plan(text, shape.parameters.len()).await?),
            PrepareAnswer::Refused(_) => None,
        });
    }
    asker.close().await;
    Ok(all)
}

impl QueryInspector {
    async fn plan(&mut self, query: &str, parameters: usize) -> Result<QueryPlanResult, ProofError> {
        let (head, nulls) = ("PREPARE roundtrip AS ", vec!["NULL"; parameters].join(", "));
        let query = &*asked_as(query);
        let values = if parameters == 0 { String::new() } else { format!("({nulls})") };
        let message = format!(
            "{head}{}\n; EXPLAIN (FORMAT JSON) EXECUTE roundtrip{values}; DEALLOCATE roundtrip",
            query.trim().trim_end_matches(';')
        );
        match sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(&mut self.connection).await {
            Ok(rows) => {
                Ok(Ok(rows.first().map(|row| text(row, 0)).transpose()?.map(|plan| indexes(&plan)).unwrap_or_default()))
            }
            Err(error) => {
                let refusal = refusal(error, query)?;
                self.send("DEALLOCATE ALL").await?;
                Ok(Err(PrepareRefusal { at: None, ..refusal }))
            }
        }
    }
}

/// The names of the indexes in a plan.
fn indexes(plan: &str) -> BTreeSet<String> {
    fn walk(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => {
                found.extend(map.get("Index Name").and_then(|name| name.as_str()).map(str::to_owned));
                found.extend(map.get("Conflict Arbiter Indexes").into_iter().flat_map(names));
                map.values().for_each(|value| walk(value, found));
            }
            serde_json::Value::Array(all) => all.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    if let Ok(plan) = serde_json::from_str(plan) {
        walk(&plan, &mut found);
    }
    found
}

fn names(value: &serde_json::Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
