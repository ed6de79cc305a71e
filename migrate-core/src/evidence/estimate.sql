-- What the statistics say of the rows of tables, and whether they can be counted. A partitioned table has no rows of its own; where
-- nobody looked yet, its files say how many there can be. What somebody has locked for himself is not opened.
SELECT known.at, known.rows, known.countable
FROM (SELECT t.at,
             CASE WHEN sum(c.reltuples) > 0 AND min(c.reltuples) >= 0 THEN sum(c.reltuples)
                  -- Both arms of a CASE around an aggregate are evaluated, those inside one are not.
                  ELSE sum(CASE WHEN t.locked THEN greatest(c.relpages, 0) * 8192::bigint
                                ELSE pg_catalog.pg_relation_size(c.oid) END) / 64 END::bigint AS rows,
             NOT bool_or(t.locked) AND pg_catalog.has_table_privilege(min(t.oid::bigint)::oid, 'SELECT')
                 AND NOT pg_catalog.row_security_active(min(t.oid::bigint)::oid) AS countable
      FROM (SELECT w.at, r.oid, r.oid IN (SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
                   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) AS locked
            FROM (VALUES {wanted}) AS w (at, nspname, relname)
            JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
            JOIN pg_catalog.pg_class r ON r.relnamespace = n.oid AND r.relname = w.relname
            WHERE r.relkind IN ('r', 'p') OFFSET 0) t,
      LATERAL (SELECT t.oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(CASE WHEN NOT t.locked THEN t.oid END) p WHERE p.isleaf) AS part
      JOIN pg_catalog.pg_class c ON c.oid = part.oid
      GROUP BY t.at) AS known
WHERE known.rows IS NOT NULL
