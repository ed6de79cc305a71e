//! Queries that find the catalog rows that transactions touched.
//!
//! Each catalog is read once and without a join, so that no look depends on the planner's estimates for catalogs that
//! grow and were never analysed. A catalog is read as a whole or, if most of its rows are PostgreSQL's own, only the
//! other rows, through an index. The caller looks up which row belongs to which object.

/// A catalog, how its rows are identified, and the object that each row is a part of.
struct WatchedCatalog {
    name: &'static str,
    /// Which rows are watched. A cast keeps the planner from using the index on identifiers if most rows belong to
    /// users.
    rows: &'static str,
    /// A number that identifies a row. `None` if rows only disappear together with a row of another catalog.
    key: Option<&'static str>,
    /// The relation, routine or type that a row is a part of; for an index, its table.
    unit: &'static str,
    /// The constraint whose table is used instead, if there is one.
    via: Option<&'static str>,
}

const fn watched(
    name: &'static str,
    rows: &'static str,
    key: Option<&'static str>,
    unit: &'static str,
) -> WatchedCatalog {
    WatchedCatalog { name, rows, key, unit, via: None }
}

/// Indexes and constraints come first because the others are looked up in them.
const CATALOGS: [WatchedCatalog; 18] = [
    watched(INDEXES, "r.indexrelid::bigint >= 16384", Some("r.indexrelid::bigint"), "r.indrelid"),
    watched(
        CONSTRAINTS,
        "r.oid::bigint >= 16384",
        Some("r.oid::bigint"),
        "CASE WHEN r.conrelid <> 0 THEN r.conrelid ELSE r.contypid END",
    ),
    watched("pg_class", "r.oid::bigint >= 16384 AND r.relkind <> 't'", Some("r.oid::bigint"), "r.oid"),
    watched("pg_attribute", "r.attrelid::bigint >= 16384", None, "r.attrelid"),
    watched("pg_inherits", "true", Some("(r.inhrelid::bigint << 31) # r.inhparent::bigint"), "r.inhrelid"),
    watched("pg_sequence", "true", None, "r.seqrelid"),
    watched("pg_foreign_table", "true", None, "r.ftrelid"),
    // Scripts delete labels from the catalog, because no statement drops one.
    watched("pg_enum", "r.oid::bigint >= 16384", Some("r.oid::bigint"), "r.enumtypid"),
    watched("pg_attrdef", "r.oid::bigint >= 16384", Some("r.oid::bigint"), "r.adrelid"),
    // The triggers of a foreign key are on both of its tables, and say how it is checked.
    WatchedCatalog { via: Some("r.tgconstraint"), ..watched("pg_trigger", "true", Some("r.oid::bigint"), "r.tgrelid") },
    watched("pg_rewrite", "r.oid::bigint >= 16384", Some("r.oid::bigint"), "r.ev_class"),
    watched("pg_policy", "true", Some("r.oid::bigint"), "r.polrelid"),
    watched("pg_statistic_ext", "true", Some("r.oid::bigint"), "r.stxrelid"),
    watched("pg_proc", "r.oid >= 16384", Some("r.oid::bigint"), "r.oid"),
    watched(
        "pg_type",
        "r.oid::bigint >= 16384",
        Some("r.oid::bigint"),
        "CASE WHEN r.typtype = 'c' THEN r.typrelid ELSE r.oid END",
    ),
    watched(COMMENTED[0], "r.objoid >= 16384", Some("r.objoid::bigint * 2048 + r.objsubid"), "r.objoid"),
    watched(COMMENTED[1], "r.objoid::bigint >= 16384", Some("r.objoid::bigint * 2048 + r.objsubid"), "r.objoid"),
    // Only the dependencies on an extension, because no other catalog records them.
    watched(
        COMMENTED[2],
        "r.deptype = 'x' AND r.objid::bigint >= 16384",
        Some("(r.objid::bigint << 31) # r.refobjid::bigint"),
        "r.objid",
    ),
];

pub(super) const INDEXES: &str = "pg_index";
pub(super) const CONSTRAINTS: &str = "pg_constraint";
/// The catalogs whose rows describe an object that they name; they are read in the same way as its comments.
pub(super) const COMMENTED: [&str; 3] = ["pg_description", "pg_seclabel", "pg_depend"];

/// For each catalog: the number of its rows, the sum of their keys, and the key and unit of each row that is new or has
/// changed since the transaction `since`. Count and sum show whether a row is gone.
pub(super) fn query(since: &str) -> String {
    let part = |catalog: &WatchedCatalog| {
        let WatchedCatalog { name, rows, key, unit, via } = catalog;
        let recent = format!("age(r.xmin) <= (SELECT age({since}))");
        let unit = via.map_or_else(|| (*unit).to_owned(), |via| format!("{unit} || ':' || {via}"));
        match key {
            Some(key) => format!(
                "SELECT '{name}', count(*), sum({key}), \
                 string_agg(CASE WHEN {recent} THEN {key} || ':' || {unit} END, ',') FROM {name} r WHERE {rows}"
            ),
            None => format!(
                "SELECT '{name}', 0, 0, string_agg(DISTINCT '0:' || {unit}, ',') FROM {name} r \
                 WHERE {rows} AND {recent}"
            ),
        }
    };
    CATALOGS.iter().map(part).collect::<Vec<_>>().join(" UNION ALL ")
}

/// The keys of all rows of a catalog.
pub(super) fn keys(catalog: &str) -> Option<String> {
    let WatchedCatalog { name, rows, key, .. } = CATALOGS.iter().find(|one| one.name == catalog)?;
    Some(format!("SELECT string_agg(({})::text, ',') FROM {name} r WHERE {rows};", (*key)?))
}

/// The catalogs of objects that belong to no relation, routine or type, and which of their rows count.
const OTHERS: [(&str, &str); 30] = [
    ("pg_namespace", "true"),
    ("pg_extension", "true"),
    ("pg_language", "true"),
    ("pg_am", "true"),
    ("pg_collation", "r.oid >= 16384"),
    ("pg_conversion", "r.oid >= 16384"),
    ("pg_operator", "r.oid >= 16384"),
    ("pg_opfamily", "r.oid >= 16384"),
    ("pg_opclass", "r.oid >= 16384"),
    ("pg_amop", "r.oid >= 16384"),
    ("pg_amproc", "r.oid >= 16384"),
    ("pg_cast", "r.oid >= 16384"),
    ("pg_transform", "true"),
    ("pg_ts_config", "true"),
    ("pg_ts_config_map", "true"),
    ("pg_ts_dict", "true"),
    ("pg_ts_parser", "true"),
    ("pg_ts_template", "true"),
    ("pg_foreign_data_wrapper", "true"),
    ("pg_foreign_server", "true"),
    ("pg_publication", "true"),
    ("pg_publication_namespace", "true"),
    ("pg_publication_rel", "true"),
    ("pg_event_trigger", "true"),
    ("pg_default_acl", "true"),
    ("pg_init_privs", "true"),
    // Privileges on the system's own objects.
    ("pg_class", "r.oid::bigint < 16384 AND r.relacl IS NOT NULL"),
    ("pg_attribute", "r.attacl IS NOT NULL AND (r.attrelid::bigint < 16384 OR r.attnum < 0)"),
    ("pg_proc", "r.oid::bigint < 16384 AND r.proacl IS NOT NULL"),
    ("pg_type", "r.oid::bigint < 16384 AND r.typacl IS NOT NULL"),
];

/// Sources for the same purpose without a transaction id: views, and catalogs that not every role may read completely.
const TEXTS: [&str; 5] = [
    "FROM pg_user_mappings r",
    "FROM (SELECT s.oid, s.subname, s.subowner, s.subenabled, s.subpublications, s.subslotname, s.subsynccommit, \
     s.subbinary, s.substream, s.subtwophasestate, s.subdisableonerr FROM pg_subscription s) r",
    // The roles whose names appear in the descriptions of objects of this database.
    "FROM (SELECT u.oid, u.rolname FROM pg_roles u WHERE u.oid = 10 OR u.oid IN (SELECT d.refobjid FROM pg_shdepend d \
     WHERE d.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database()) \
     AND d.refclassid = 'pg_authid'::regclass)) r",
    "FROM (SELECT c.objoid, c.description FROM pg_description c WHERE c.classoid = 'pg_namespace'::regclass \
     AND c.objoid IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'public')) r",
    "FROM (SELECT d.classid, d.objid FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass \
     AND d.deptype = 'e') r",
];

/// One text that changes whenever something changes that belongs to no relation, routine or type. The names of
/// relations, routines and types that it refers to, and comments, are not covered.
pub(super) fn probe() -> String {
    // Rows that `initdb` wrote have no age. All other ages are counted from the first transaction, with wraparound.
    let newest = "coalesce(((SELECT age('3'::xid))::bigint - nullif(min(age(r.xmin)), 2147483647) \
                  + 4294967296) % 4294967296, 0)";
    let rows = OTHERS
        .map(|(name, rows)| format!("(SELECT count(*)::text || ' ' || {newest}::text FROM {name} r WHERE {rows})"));
    let texts =
        TEXTS.map(|from| format!("(SELECT count(*)::text || ' ' || sum(hashtextextended(r::text, 0))::text {from})"));
    format!("SELECT concat_ws('|', {})", [&rows[..], &texts[..]].concat().join(", "))
}
