SELECT 'index', c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname),
    pg_catalog.format('%I.%I', tn.nspname, t.relname)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
WHERE c.relkind = 'i'
    AND NOT (i.indisvalid AND i.indisready AND i.indislive){of_index}
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_locks l
        JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted
            AND l.mode = 'ShareUpdateExclusiveLock'
            AND l.database = (
                SELECT d.oid FROM pg_catalog.pg_database d
                WHERE d.datname = pg_catalog.current_database()
            )
            AND l.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL
    )
UNION ALL
SELECT 'partition', h.inhrelid, pg_catalog.format('%I.%I', n.nspname, c.relname),
    pg_catalog.format('%I.%I', tn.nspname, t.relname)
FROM pg_catalog.pg_inherits h
JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = h.inhparent
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
WHERE h.inhdetachpending{of_partition};
