-- Tables and materialized views with the statistics about their rows. Partitions count for their parents. A table that
-- somebody has locked, or waits to lock, exclusively is not opened: its size is the last one recorded. A materialized
-- view that is not populated cannot be read.
SELECT n.nspname, c.relname,
       CASE WHEN locked.yes AND c.reltuples < 0 THEN pg_catalog.pg_stat_get_live_tuples(c.oid) ELSE c.reltuples END::bigint,
       CASE WHEN locked.yes THEN c.relpages * 8192::bigint ELSE pg_catalog.pg_relation_size(c.oid) END,
       CASE WHEN locked.yes THEN c.relpages * 8192::bigint ELSE pg_catalog.pg_total_relation_size(c.oid) END,
       NOT locked.yes AND c.relispopulated AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
           AND NOT pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
LATERAL (SELECT c.oid IN (SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) AS yes) locked
WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%' AND c.relpersistence <> 't'
ORDER BY 1, 2
