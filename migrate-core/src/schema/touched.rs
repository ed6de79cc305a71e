//! Which rows of which catalogs a transaction touched, as queries.

/// A catalog, how its rows are identified, and the unit that each is a part of.
pub(super) struct Watched {
    pub(super) name: &'static str,
    from: &'static str,
    /// A number that no other row has; none where rows only go together with a row of another catalog.
    key: Option<&'static str>,
    unit: &'static str,
}

const fn watched(name: &'static str, from: &'static str, key: Option<&'static str>, unit: &'static str) -> Watched {
    Watched { name, from, key, unit }
}

/// The unit of a row that may belong to an index.
const OF_INDEX: &str = "coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = r.attrelid), r.attrelid)";

pub(super) const CATALOGS: [Watched; 18] = [
    watched(
        "pg_class",
        "pg_class r WHERE r.oid >= 16384 AND r.relkind <> 't'",
        Some("r.oid::bigint"),
        "coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = r.oid), r.oid)",
    ),
    watched("pg_attribute", "pg_attribute r WHERE r.attrelid >= 16384", None, OF_INDEX),
    watched("pg_index", "pg_index r WHERE r.indexrelid >= 16384", None, "r.indrelid"),
    watched(
        "pg_inherits",
        "pg_inherits r WHERE true",
        Some("(r.inhrelid::bigint << 31) # r.inhparent::bigint"),
        "coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = r.inhrelid), r.inhrelid)",
    ),
    watched("pg_sequence", "pg_sequence r WHERE true", None, "r.seqrelid"),
    watched("pg_foreign_table", "pg_foreign_table r WHERE true", None, "r.ftrelid"),
    // Scripts delete labels from the catalog, for there is no statement that drops one.
    watched("pg_enum", "pg_enum r WHERE r.oid >= 16384", Some("r.oid::bigint"), "r.enumtypid"),
    watched("pg_attrdef", "pg_attrdef r WHERE r.oid >= 16384", Some("r.oid::bigint"), "r.adrelid"),
    watched(
        "pg_constraint",
        "pg_constraint r WHERE r.oid >= 16384",
        Some("r.oid::bigint"),
        "CASE WHEN r.conrelid <> 0 THEN r.conrelid ELSE r.contypid END",
    ),
    // Those of a foreign key are on both of its tables, and say how it is checked.
    watched(
        "pg_trigger",
        "pg_trigger r WHERE true",
        Some("r.oid::bigint"),
        "coalesce((SELECT NULLIF(k.conrelid, 0) FROM pg_constraint k WHERE k.oid = r.tgconstraint), r.tgrelid)",
    ),
    watched("pg_rewrite", "pg_rewrite r WHERE r.oid >= 16384", Some("r.oid::bigint"), "r.ev_class"),
    watched("pg_policy", "pg_policy r WHERE true", Some("r.oid::bigint"), "r.polrelid"),
    watched("pg_statistic_ext", "pg_statistic_ext r WHERE true", Some("r.oid::bigint"), "r.stxrelid"),
    watched("pg_proc", "pg_proc r WHERE r.oid >= 16384", Some("r.oid::bigint"), "r.oid"),
    watched(
        "pg_type",
        "pg_type r WHERE r.oid >= 16384",
        Some("r.oid::bigint"),
        "CASE WHEN r.typtype = 'c' THEN r.typrelid ELSE r.oid END",
    ),
    watched(
        "pg_description",
        "pg_description r WHERE r.objoid >= 16384",
        Some("r.objoid::bigint * 2048 + r.objsubid"),
        "r.objoid",
    ),
    watched(
        "pg_seclabel",
        "pg_seclabel r WHERE r.objoid >= 16384",
        Some("r.objoid::bigint * 2048 + r.objsubid"),
        "r.objoid",
    ),
    // Only what goes with an extension: nothing else says so.
    watched(
        "pg_depend",
        "pg_depend r WHERE r.deptype = 'x' AND r.objid >= 16384",
        Some("(r.objid::bigint << 31) # r.refobjid::bigint"),
        "r.objid",
    ),
];

/// For each catalog: how many rows it has, the sum of their keys, and key and unit of the rows
/// that came or changed since transaction `since`. Count and sum tell whether a row is gone.
pub(super) fn query(since: &str) -> String {
    let part = |catalog: &Watched| {
        let Watched { name, from, key, unit } = catalog;
        let recent = format!("age(r.xmin) <= (SELECT age({since}))");
        match key {
            Some(key) => format!(
                "SELECT '{name}', count(*), sum({key}), \
                 string_agg(CASE WHEN {recent} THEN {key} || ':' || {unit} END, ',') FROM {from}"
            ),
            None => format!("SELECT '{name}', 0, 0, string_agg(DISTINCT '0:' || {unit}, ',') FROM {from} AND {recent}"),
        }
    };
    CATALOGS.iter().map(part).collect::<Vec<_>>().join(" UNION ALL ")
}

/// The keys of all rows of a catalog.
pub(super) fn keys(catalog: &str) -> Option<String> {
    let Watched { from, key, .. } = CATALOGS.iter().find(|one| one.name == catalog)?;
    Some(format!("SELECT string_agg(({})::text, ',') FROM {from};", (*key)?))
}
