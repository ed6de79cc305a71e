//! The known rows of the watched catalogs, and what each row is a part of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use migrate_base::db::TextRow;

use super::row::Oid;
use super::touched::{COMMENTED, CONSTRAINTS, INDEXES};

/// The unit of objects that belong to no relation, routine or type.
pub(super) const NO_UNIT: Oid = 0;

/// The rows of all watched catalogs.
#[derive(Debug, Default)]
pub(super) struct Catalogs(BTreeMap<String, Catalog>);

/// The rows of one catalog: their keys and the units they are a part of.
#[derive(Debug, Default)]
struct Catalog {
    rows: HashMap<i64, Oid>,
    sum: i128,
}

/// The result of a look.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// The units of the rows that were added, changed or removed.
    pub(super) units: BTreeSet<Oid>,
    /// The objects whose comments, or what is read in the same way, changed.
    pub(super) commented: BTreeSet<Oid>,
    /// The catalogs that have fewer rows than are known, or different ones.
    pub(super) losers: Vec<String>,
}

/// What the server returned about one catalog.
struct CatalogAnswer {
    catalog: String,
    count: usize,
    sum: i128,
    rows: Vec<RowTrace>,
}

/// A row: its key, what it is a part of, and the constraint whose table is used instead.
struct RowTrace {
    key: i64,
    unit: Oid,
    via: Option<Oid>,
}

impl Catalogs {
    /// Takes the answer to the query of [`touched`](super::touched).
    pub(super) fn take(&mut self, rows: Vec<TextRow>) -> Traces {
        let mut traces = Traces::default();
        for told in rows.into_iter().filter_map(told) {
            let parts = told.rows.iter().map(|part| (part.key, self.unit(part))).collect();
            traces.note(&told.catalog, self.0.entry(told.catalog.clone()).or_default().add(parts));
            if self.0.get(&told.catalog).is_some_and(|catalog| catalog.differs(told.count, told.sum)) {
                traces.losers.push(told.catalog);
            }
        }
        traces
    }

    /// Keeps only these rows of a catalog.
    pub(super) fn keep(&mut self, name: &str, keys: &HashSet<i64>, traces: &mut Traces) {
        if let Some(catalog) = self.0.get_mut(name) {
            traces.note(name, catalog.keep(keys));
        }
    }

    /// The units that an object is a part of.
    pub(super) fn units_of(&self, object: Oid) -> impl Iterator<Item = Oid> {
        self.0.values().filter_map(move |catalog| catalog.rows.get(&i64::from(object)).copied())
    }

    /// Whether any object has a comment, or something else that is read in the same way.
    pub(super) fn have_comments(&self) -> bool {
        COMMENTED.iter().any(|name| self.0.get(*name).is_some_and(|catalog| !catalog.rows.is_empty()))
    }

    fn unit(&self, part: &RowTrace) -> Oid {
        let of = |catalog: &str, object: Oid| self.0.get(catalog)?.rows.get(&i64::from(object)).copied();
        let table = part.via.and_then(|constraint| of(CONSTRAINTS, constraint)).filter(|unit| *unit != NO_UNIT);
        let unit = table.unwrap_or(part.unit);
        of(INDEXES, unit).unwrap_or(unit)
    }
}

impl Traces {
    fn note(&mut self, catalog: &str, units: Vec<Oid>) {
        match COMMENTED.contains(&catalog) {
            true => self.commented.extend(units),
            false => self.units.extend(units),
        }
    }
}

impl Catalog {
    /// Adds rows; known rows among them may have changed. Returns the units of all.
    fn add(&mut self, rows: Vec<(i64, Oid)>) -> Vec<Oid> {
        for (key, unit) in rows.iter().filter(|(key, _)| *key != 0) {
            if self.rows.insert(*key, *unit).is_none() {
                self.sum += i128::from(*key);
            }
        }
        rows.into_iter().map(|(_, unit)| unit).collect()
    }

    fn differs(&self, count: usize, sum: i128) -> bool {
        self.rows.len() != count || self.sum != sum
    }

    /// Keeps only these rows; returns the units of the rows that are gone.
    fn keep(&mut self, keys: &HashSet<i64>) -> Vec<Oid> {
        let gone: Vec<i64> = self.rows.keys().copied().filter(|key| !keys.contains(key)).collect();
        self.sum -= gone.iter().map(|key| i128::from(*key)).sum::<i128>();
        gone.iter().filter_map(|key| self.rows.remove(key)).collect()
    }
}

fn told(row: TextRow) -> Option<CatalogAnswer> {
    let mut cells = row.into_iter();
    let catalog = cells.next()??;
    let count = cells.next()??.parse().ok()?;
    let sum = cells.next()?.and_then(|sum| sum.parse().ok()).unwrap_or(0);
    let rows = cells.next()?.unwrap_or_default();
    let part = |text: &str| {
        let mut parts = text.split(':');
        let (key, unit) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(RowTrace { key, unit, via: parts.next().and_then(|via| via.parse().ok()) })
    };
    Some(CatalogAnswer { catalog, count, sum, rows: rows.split(',').filter_map(part).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(catalog: &str, count: usize, sum: i64, rows: &str) -> TextRow {
        [catalog, &count.to_string(), &sum.to_string(), rows].map(|cell| Some(cell.to_owned())).to_vec()
    }

    #[test]
    fn an_index_stands_for_its_table_and_a_trigger_for_that_of_its_constraint() {
        let mut catalogs = Catalogs::default();
        let traces = catalogs.take(vec![
            row(INDEXES, 1, 30, "30:20"),
            row(CONSTRAINTS, 1, 40, "40:21"),
            row("pg_attribute", 0, 0, "0:30"),
            row("pg_trigger", 2, 103, "50:22:40,53:23:0"),
        ]);
        assert_eq!(traces.units, BTreeSet::from([20, 21, 23]));
        assert_eq!(catalogs.units_of(50).collect::<Vec<_>>(), [21]);
    }

    #[test]
    fn what_is_gone_is_noticed_by_count_and_sum() {
        let mut catalogs = Catalogs::default();
        assert!(catalogs.take(vec![row("pg_class", 2, 41, "20:20,21:21")]).losers.is_empty());
        let mut traces = catalogs.take(vec![row("pg_class", 1, 21, "")]);
        assert_eq!((traces.losers.as_slice(), traces.units.len()), (&["pg_class".to_owned()][..], 0));
        catalogs.keep("pg_class", &HashSet::from([21]), &mut traces);
        assert_eq!(traces.units, BTreeSet::from([20]));
        assert!(catalogs.take(vec![row("pg_class", 1, 21, "")]).losers.is_empty());
    }
}
