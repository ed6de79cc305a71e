//! The migration tools that Roundtrip knows: how to recognise the ledger of each, and how to read it.
//!
//! The columns are those that each tool creates on PostgreSQL, from its source code or manual.

use super::ForeignTool;
use KeyForm::{Diesel, Digest, File, Name, Version};

/// What the first column of [`ForeignTool::rows`] is, and so how a row of the old ledger is matched with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// A version.
    Version,
    /// A version of diesel: the date and the time without dashes, and what follows them.
    Diesel,
    /// A file name, with or without its folder and its extension.
    File,
    /// The SHA-256 of a file, in the column for the checksum.
    Digest,
    /// Something else, which only the tool can match with a file.
    Name,
}

/// A tool that records only the newest version: every older migration is applied as well.
const ONLY_NEWEST: bool = true;
const EACH: bool = false;

/// Every tool, the more specific before those whose columns they have as well.
///
/// `rows` selects from `{t}`, in the order of application: key, name, checksum, state (`applied`, `failed` or
/// `reverted`), when and by whom.
pub(super) const TOOLS: &[ForeignTool] = &[
    ForeignTool {
        name: "diesel",
        table: "__diesel_schema_migrations",
        columns: &["version", "run_on"],
        key: Diesel,
        rows: "SELECT version, NULL, NULL, 'applied', run_on, NULL FROM {t} ORDER BY version",
        ..SIMPLE
    },
    ForeignTool {
        name: "refinery",
        table: "refinery_schema_history",
        columns: &["version", "name", "applied_on", "checksum"],
        rows: "SELECT version, name, checksum, 'applied', applied_on, NULL FROM {t} ORDER BY version",
        ..SIMPLE
    },
    ForeignTool {
        name: "sea-orm",
        table: "seaql_migrations",
        columns: &["version", "applied_at"],
        key: File,
        rows: "SELECT version, NULL, NULL, 'applied', to_timestamp(applied_at), NULL FROM {t} ORDER BY version",
        ..SIMPLE
    },
    ForeignTool {
        name: "flyway",
        table: "flyway_schema_history",
        columns: &["installed_rank", "version", "description", "type", "script", "checksum", "installed_by", "success"],
        mark: Some("installed_rank"),
        // A repeatable migration has no version, and a row for each time that it ran.
        rows: "SELECT coalesce(version, 'R__' || replace(description, ' ', '_')), description, checksum, CASE WHEN \
               version IS NULL AND installed_rank < newest THEN 'reverted' WHEN NOT success THEN 'failed' WHEN \
               installed_rank < undone THEN 'reverted' WHEN type = 'BASELINE' THEN 'baseline' ELSE 'applied' END, \
               installed_on, installed_by FROM (SELECT *, max(installed_rank) FILTER (WHERE success AND (type LIKE \
               'UNDO%' OR type = 'DELETE')) OVER w AS undone, max(installed_rank) OVER w AS newest FROM {t} WHERE \
               version IS NOT NULL OR type NOT LIKE '%SCHEMA%' WINDOW w AS (PARTITION BY version, CASE WHEN version IS \
               NULL THEN description END)) r WHERE type NOT LIKE 'UNDO%' AND type <> 'DELETE' ORDER BY installed_rank",
        repair: "flyway repair",
        ..SIMPLE
    },
    ForeignTool {
        name: "sqlx",
        table: "_sqlx_migrations",
        columns: &["version", "description", "installed_on", "success", "checksum", "execution_time"],
        mark: Some("installed_on"),
        rows: "SELECT version, description, encode(checksum, 'hex'), CASE WHEN success THEN 'applied' ELSE 'failed' \
               END, installed_on, NULL FROM {t} ORDER BY version",
        ..SIMPLE
    },
    ForeignTool {
        name: "liquibase",
        table: "databasechangelog",
        columns: &["id", "author", "filename", "dateexecuted", "orderexecuted", "exectype", "md5sum"],
        mark: Some("orderexecuted"),
        key: Name,
        // Where the file lies depends on how Liquibase was called.
        rows: "SELECT regexp_replace(filename, '^.*/', '') || '::' || id || '::' || author, description, md5sum, CASE \
               WHEN exectype = 'FAILED' THEN 'failed' ELSE 'applied' END, dateexecuted, NULL FROM {t} ORDER BY \
               orderexecuted",
        also: &["databasechangeloglock", "databasechangeloghistory"],
        lock: Some(("databasechangeloglock", "SELECT lockedby FROM {t} WHERE locked")),
        repair: "liquibase release-locks",
        ..SIMPLE
    },
    ForeignTool {
        name: "knex",
        table: "knex_migrations",
        columns: &["id", "name", "batch", "migration_time"],
        mark: Some("migration_time"),
        key: File,
        rows: "SELECT name, NULL, NULL, 'applied', migration_time, NULL FROM {t} ORDER BY id",
        also: &["knex_migrations_lock"],
        lock: Some(("knex_migrations_lock", "SELECT NULL FROM {t} WHERE is_locked = 1")),
        repair: "knex migrate:unlock",
        ..SIMPLE
    },
    ForeignTool {
        name: "node-pg-migrate",
        table: "pgmigrations",
        columns: &["id", "name", "run_on"],
        key: File,
        rows: "SELECT name, NULL, NULL, 'applied', run_on, NULL FROM {t} ORDER BY id",
        ..SIMPLE
    },
    ForeignTool {
        name: "prisma",
        table: "_prisma_migrations",
        columns: &["id", "checksum", "finished_at", "migration_name", "rolled_back_at", "applied_steps_count"],
        mark: Some("applied_steps_count"),
        key: File,
        rows: "SELECT migration_name, NULL, checksum, CASE WHEN rolled_back_at IS NOT NULL THEN 'reverted' WHEN \
               finished_at IS NULL THEN 'failed' ELSE 'applied' END, coalesce(finished_at, started_at), NULL FROM {t} \
               ORDER BY started_at",
        repair: "prisma migrate resolve",
        ..SIMPLE
    },
    ForeignTool {
        name: "drizzle",
        table: "__drizzle_migrations",
        columns: &["id", "hash", "created_at"],
        key: Digest,
        rows: "SELECT created_at, NULL, hash, 'applied', to_timestamp(created_at / 1000.0), NULL FROM {t} ORDER BY id",
        schema: Some("drizzle"),
        ..SIMPLE
    },
    ForeignTool {
        name: "typeorm",
        table: "migrations",
        columns: &["id", "timestamp", "name"],
        is_exact: true,
        rows: "SELECT timestamp, name, NULL, 'applied', NULL, NULL FROM {t} ORDER BY id",
        ..SIMPLE
    },
    ForeignTool {
        name: "laravel",
        table: "migrations",
        columns: &["id", "migration", "batch"],
        is_exact: true,
        key: File,
        rows: "SELECT migration, NULL, NULL, 'applied', NULL, NULL FROM {t} ORDER BY id",
        ..SIMPLE
    },
    ForeignTool {
        name: "sequelize",
        table: "SequelizeMeta",
        columns: &["name"],
        key: File,
        rows: "SELECT name, NULL, NULL, 'applied', NULL, NULL FROM {t} ORDER BY name",
        ..SIMPLE
    },
    ForeignTool {
        name: "graphile-migrate",
        table: "migrations",
        schema: Some("graphile_migrate"),
        columns: &["hash", "previous_hash", "filename", "date"],
        key: File,
        rows: "SELECT filename, NULL, hash, 'applied', date, NULL FROM {t} ORDER BY filename",
        owns_schema: true,
        ..SIMPLE
    },
    ForeignTool {
        name: "supabase",
        table: "schema_migrations",
        schema: Some("supabase_migrations"),
        columns: &["version", "statements", "name"],
        rows: "SELECT version, name, NULL, 'applied', NULL, NULL FROM {t} ORDER BY version",
        owns_schema: true,
        ..SIMPLE
    },
    ForeignTool {
        name: "alembic",
        table: "alembic_version",
        columns: &["version_num"],
        key: Name,
        rows: "SELECT version_num, NULL, NULL, 'applied', NULL, NULL FROM {t}",
        only_newest: ONLY_NEWEST,
        ..SIMPLE
    },
    ForeignTool {
        name: "django",
        table: "django_migrations",
        columns: &["id", "app", "name", "applied"],
        key: Name,
        rows: "SELECT app || '.' || name, NULL, NULL, 'applied', applied, NULL FROM {t} ORDER BY id",
        // After each run, for the models of all applications: contrib/contenttypes, auth and sites.
        fills: &["django_content_type", "auth_permission", "django_site"],
        ..SIMPLE
    },
    ForeignTool {
        name: "yoyo",
        table: "_yoyo_migration",
        columns: &["migration_hash", "migration_id", "applied_at_utc"],
        key: File,
        rows: "SELECT migration_id, NULL, migration_hash, 'applied', applied_at_utc, NULL FROM {t} ORDER BY \
               applied_at_utc",
        also: &["_yoyo_log", "_yoyo_version", "yoyo_lock"],
        lock: Some(("yoyo_lock", "SELECT 'pid ' || pid FROM {t} WHERE locked = 1")),
        repair: "yoyo break-lock",
        ..SIMPLE
    },
    ForeignTool {
        name: "sqitch",
        table: "changes",
        schema: Some("sqitch"),
        columns: &["change_id", "script_hash", "change", "project", "committed_at", "planned_at"],
        mark: Some("script_hash"),
        rows: "SELECT to_char(planned_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS'), change, script_hash, 'applied', \
               committed_at, committer_name FROM {t} ORDER BY committed_at",
        owns_schema: true,
        ..SIMPLE
    },
    ForeignTool {
        name: "atlas",
        table: "atlas_schema_revisions",
        schema: Some("atlas_schema_revisions"),
        columns: &["version", "description", "applied", "total", "executed_at", "hash", "partial_hashes"],
        mark: Some("partial_hashes"),
        rows: "SELECT version, description, hash, CASE WHEN coalesce(error, '') <> '' OR applied < total THEN 'failed' \
               WHEN type = 1 THEN 'baseline' ELSE 'applied' END, executed_at, NULL FROM {t} WHERE version NOT LIKE \
               '.%' ORDER BY version",
        repair: "atlas migrate status",
        ..SIMPLE
    },
    ForeignTool {
        name: "pgroll",
        table: "migrations",
        schema: Some("pgroll"),
        columns: &["schema", "name", "migration", "created_at", "parent", "done"],
        key: File,
        rows: "SELECT name, schema, NULL, CASE WHEN done THEN 'applied' ELSE 'failed' END, created_at, NULL FROM {t} \
               ORDER BY created_at",
        owns_schema: true,
        repair: "pgroll complete",
        ..SIMPLE
    },
    ForeignTool {
        name: "entity-framework",
        table: "__EFMigrationsHistory",
        columns: &["MigrationId", "ProductVersion"],
        key: File,
        rows: r#"SELECT "MigrationId", NULL, NULL, 'applied', NULL, NULL FROM {t} ORDER BY "MigrationId""#,
        ..SIMPLE
    },
    ForeignTool {
        // With the naming conventions for PostgreSQL.
        name: "entity-framework-snake-case",
        table: "__EFMigrationsHistory",
        columns: &["migration_id", "product_version"],
        mark: Some("product_version"),
        key: File,
        rows: "SELECT migration_id, NULL, NULL, 'applied', NULL, NULL FROM {t} ORDER BY migration_id",
        ..SIMPLE
    },
    ForeignTool {
        name: "kysely",
        table: "kysely_migration",
        columns: &["name", "timestamp"],
        key: File,
        rows: "SELECT name, NULL, NULL, 'applied', timestamp, NULL FROM {t} ORDER BY timestamp, name",
        also: &["kysely_migration_lock"],
        lock: Some(("kysely_migration_lock", "SELECT NULL FROM {t} WHERE is_locked = 1")),
        repair: "UPDATE kysely_migration_lock SET is_locked = 0",
        ..SIMPLE
    },
    ForeignTool {
        name: "mikro-orm",
        table: "mikro_orm_migrations",
        columns: &["id", "name", "executed_at"],
        key: File,
        rows: "SELECT name, NULL, NULL, 'applied', executed_at, NULL FROM {t} ORDER BY id",
        ..SIMPLE
    },
    ForeignTool {
        name: "db-migrate",
        table: "migrations",
        columns: &["id", "name", "run_on"],
        is_exact: true,
        key: File,
        rows: "SELECT name, NULL, NULL, 'applied', run_on, NULL FROM {t} ORDER BY id",
        ..SIMPLE
    },
    ForeignTool {
        name: "doctrine",
        table: "doctrine_migration_versions",
        columns: &["version", "executed_at", "execution_time"],
        key: Name,
        rows: "SELECT version, NULL, NULL, 'applied', executed_at, NULL FROM {t} ORDER BY executed_at, version",
        ..SIMPLE
    },
    ForeignTool {
        name: "phinx",
        table: "phinxlog",
        columns: &["version", "migration_name", "start_time", "end_time"],
        rows: "SELECT version, migration_name, NULL, 'applied', end_time, NULL FROM {t} ORDER BY version",
        ..SIMPLE
    },
    ForeignTool {
        name: "goose",
        table: "goose_db_version",
        columns: &["id", "version_id", "is_applied", "tstamp"],
        mark: Some("is_applied"),
        // Older versions of goose add a row for each rollback, newer ones delete the row.
        rows: "SELECT version_id, NULL, NULL, CASE WHEN is_applied THEN 'applied' ELSE 'reverted' END, tstamp, NULL \
               FROM (SELECT DISTINCT ON (version_id) * FROM {t} ORDER BY version_id, id DESC) newest WHERE version_id \
               > 0 ORDER BY id",
        ..SIMPLE
    },
    ForeignTool {
        name: "sql-migrate",
        table: "gorp_migrations",
        columns: &["id", "applied_at"],
        key: File,
        rows: "SELECT id, NULL, NULL, 'applied', applied_at, NULL FROM {t} ORDER BY applied_at, id",
        also: &["gorp_lock"],
        ..SIMPLE
    },
    ForeignTool {
        name: "golang-migrate",
        table: "schema_migrations",
        columns: &["version", "dirty"],
        mark: Some("dirty"),
        is_exact: true,
        rows: "SELECT version, NULL, NULL, CASE WHEN dirty THEN 'failed' ELSE 'applied' END, NULL, NULL FROM {t}",
        only_newest: ONLY_NEWEST,
        repair: "migrate force VERSION",
        ..SIMPLE
    },
    ForeignTool {
        name: "ecto",
        table: "schema_migrations",
        columns: &["version", "inserted_at"],
        is_exact: true,
        rows: "SELECT version, NULL, NULL, 'applied', inserted_at, NULL FROM {t} ORDER BY version",
        ..SIMPLE
    },
    ForeignTool {
        name: "rails",
        table: "schema_migrations",
        columns: &["version"],
        is_exact: true,
        rows: "SELECT version, NULL, NULL, 'applied', NULL, NULL FROM {t} ORDER BY version",
        also: &["ar_internal_metadata"],
        beside: Some("ar_internal_metadata"),
        ..SIMPLE
    },
    ForeignTool {
        name: "dbmate",
        table: "schema_migrations",
        columns: &["version"],
        is_exact: true,
        rows: "SELECT version, NULL, NULL, 'applied', NULL, NULL FROM {t} ORDER BY version",
        ..SIMPLE
    },
    ForeignTool {
        name: "tern",
        table: "schema_version",
        columns: &["version"],
        is_exact: true,
        rows: "SELECT version, NULL, NULL, 'applied', NULL, NULL FROM {t} WHERE version > 0",
        only_newest: ONLY_NEWEST,
        ..SIMPLE
    },
    ForeignTool {
        name: "postgrator",
        table: "schemaversion",
        columns: &["version", "name", "md5", "run_at"],
        is_exact: true,
        rows: "SELECT version, name, md5, 'applied', run_at, NULL FROM {t} WHERE version > 0 ORDER BY version",
        ..SIMPLE
    },
];

/// A tool with a row for each version, a table in any schema, and nothing else.
const SIMPLE: ForeignTool = ForeignTool {
    name: "",
    table: "",
    schema: None,
    columns: &[],
    mark: None,
    is_exact: false,
    beside: None,
    key: Version,
    rows: "",
    only_newest: EACH,
    also: &[],
    fills: &[],
    owns_schema: false,
    lock: None,
    repair: "",
};
