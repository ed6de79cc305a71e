//! Reports how much of the data that rollbacks kept was restored, in sentences for the user who applied the migrations
//! again.

use migrate_base::ident::{QualifiedName, literal, plain};

use crate::kept::registry;

/// One copy, and how much of it was restored.
#[derive(Debug)]
struct RestoredCopy {
    version: String,
    relation: String,
    store: String,
    rows: u64,
    back: u64,
    /// How many rows the up script inserted again that were no longer in the table.
    resown: u64,
}

/// The query for the copies of the last rollbacks of these versions, for [`sentences`].
pub(crate) fn question(ledger: &QualifiedName, versions: &[&str]) -> String {
    let registry = registry(ledger);
    let versions: Vec<String> = versions.iter().map(|version| literal(version)).collect();
    format!(
        "SELECT k.version, k.relation, coalesce(k.store, ''), k.rows, coalesce(k.restored, 0), \
         coalesce(k.shape ->> 'resown', '0') FROM {registry} AS k \
         WHERE k.relation <> '' AND k.version IN ({}) AND k.transaction = (\
         SELECT last.transaction FROM {registry} AS last WHERE last.version = k.version \
         ORDER BY last.id DESC LIMIT 1) ORDER BY k.id",
        versions.join(", ")
    )
}

/// One sentence for each version that was restored completely, and one for each table that was not.
pub(crate) fn sentences(ledger: &QualifiedName, rows: Vec<Vec<Option<String>>>) -> Vec<String> {
    let copies: Vec<RestoredCopy> = rows.into_iter().filter_map(copy).collect();
    let mut sentences = Vec::new();
    for of_version in copies.chunk_by(|one, next| one.version == next.version) {
        let (whole, part): (Vec<&RestoredCopy>, Vec<&RestoredCopy>) =
            of_version.iter().partition(|copy| copy.back >= copy.rows);
        let version = of_version.first().map(|copy| &*copy.version).unwrap_or_default();
        if part.is_empty() {
            let rows: u64 = whole.iter().map(|copy| copy.rows).sum();
            sentences.push(format!("restored all data that the rollback of {version} kept: {}", counted(rows)));
        }
        let resown = of_version.iter().filter(|copy| copy.resown > 0);
        sentences.extend(resown.map(|copy| {
            let (rows, were) = (counted(copy.resown), if copy.resown == 1 { "was" } else { "were" });
            format!(
                "the up script of {version} inserted {rows} of {} again that {were} already gone when it was rolled \
                 back: remove those that you do not want",
                copy.relation
            )
        }));
        sentences.extend(part.iter().map(|copy| {
            format!(
                "of the {} that the rollback of {version} kept from {}, {} came back; the copy is {}: see \
                 `cargo xtask kept`",
                counted(copy.rows),
                copy.relation,
                copy.back,
                [ledger.schema(), &copy.store].map(plain).join(".")
            )
        }));
    }
    sentences
}

fn copy(row: Vec<Option<String>>) -> Option<RestoredCopy> {
    let mut cells = row.into_iter().flatten();
    let (version, relation, store) = (cells.next()?, cells.next()?, cells.next()?);
    let mut number = || cells.next()?.parse().ok();
    Some(RestoredCopy { version, relation, store, rows: number()?, back: number()?, resown: number()? })
}

fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_back_is_told_for_each_table() {
        let row = |cells: [&str; 6]| cells.iter().map(|cell| Some((*cell).to_owned())).collect::<Vec<_>>();
        let rows = vec![
            row(["1", "public.a", "ledger_kept_1", "1", "1", "2"]),
            row(["2", "public.b", "ledger_kept_2", "3", "3", "0"]),
            row(["2", "public.b_id_seq", "", "0", "0", "0"]),
            row(["3", "public.c", "ledger_kept_3", "5", "5", "0"]),
            row(["3", "public.d", "ledger_kept_4", "2", "0", "0"]),
        ];
        let told = sentences(&QualifiedName::new("roundtrip", "ledger"), rows);
        assert_eq!(
            told,
            [
                "restored all data that the rollback of 1 kept: 1 row",
                "the up script of 1 inserted 2 rows of public.a again that were already gone when it was rolled back: \
                 remove those that you do not want",
                "restored all data that the rollback of 2 kept: 3 rows",
                "of the 2 rows that the rollback of 3 kept from public.d, 0 came back; the copy is \
                 roundtrip.ledger_kept_4: see `cargo xtask kept`",
            ]
        );
    }
}
