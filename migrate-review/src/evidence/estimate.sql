-- What the statistics say about the rows of tables, and whether the rows can be counted. A table includes its
-- partitions and the tables that inherit from it; a partitioned table has no rows of its own. Without statistics, the
-- file sizes give an upper limit. A table that somebody has locked exclusively is not opened.
WITH RECURSIVE part (at, root, oid) AS (
    SELECT w.at, r.oid, r.oid
    FROM (VALUES {wanted}) AS w (at, nspname, relname)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
    JOIN pg_catalog.pg_class r ON r.relnamespace = n.oid AND r.relname = w.relname
    WHERE r.relkind IN ('r', 'p')
    UNION
    SELECT part.at, part.root, i.inhrelid FROM part JOIN pg_catalog.pg_inherits i ON i.inhparent = part.oid
), held AS MATERIALIZED (
    SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
)
SELECT t.at,
       CASE WHEN sum(t.tuples) > 0 AND min(t.tuples) >= 0 THEN sum(t.tuples)
            -- Both arms of a CASE around an aggregate are evaluated, but those of a CASE inside an aggregate are not.
            ELSE coalesce(sum(CASE WHEN t.locked THEN greatest(t.relpages * 8192::bigint / 64, pg_catalog.pg_stat_get_live_tuples(t.oid))
                                   WHEN t.has_rows THEN pg_catalog.pg_relation_size(t.oid) / 64 END), 0) END::bigint,
       NOT bool_or(t.locked) AND pg_catalog.has_table_privilege(t.root, 'SELECT') AND NOT pg_catalog.row_security_active(t.root)
FROM (SELECT part.at, part.root, c.oid, greatest(c.relpages, 0) AS relpages, c.relkind <> 'p' AS has_rows,
             CASE WHEN c.relkind <> 'p' THEN c.reltuples END AS tuples, c.oid IN (SELECT held.relation FROM held) AS locked
      FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid) AS t
GROUP BY t.at, t.root
