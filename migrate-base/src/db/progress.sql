-- The progress of a session: the newest row of the ledger, how long the present step has been running, and the server's
-- own report.
SET LOCAL lock_timeout TO '500ms';
SET LOCAL statement_timeout TO '2s';
SELECT n.id,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - GREATEST(a.query_start, n.at)),
       p.what,
       CASE WHEN p.relid <> 0 THEN p.relid::pg_catalog.regclass::text END,
       p.phase,
       CASE WHEN p.of > 0 THEN pg_catalog.floor(100.0 * p.done / p.of) END
FROM pg_catalog.pg_stat_activity a
LEFT JOIN {newest} n ON true
LEFT JOIN (
    SELECT pid, command AS what, relid, phase,
           CASE WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END AS done,
           CASE WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END AS of
    FROM pg_catalog.pg_stat_progress_create_index
    UNION ALL
    SELECT pid, command, relid, phase, heap_blks_scanned, heap_blks_total FROM pg_catalog.pg_stat_progress_cluster
    UNION ALL
    SELECT pid, 'VACUUM', relid, phase, heap_blks_scanned, heap_blks_total FROM pg_catalog.pg_stat_progress_vacuum
    UNION ALL
    SELECT pid, 'ANALYZE', relid, phase, sample_blks_scanned, sample_blks_total FROM pg_catalog.pg_stat_progress_analyze
    UNION ALL
    SELECT pid, command, relid, tuples_processed || ' rows', bytes_processed, bytes_total FROM pg_catalog.pg_stat_progress_copy
) p ON p.pid = a.pid
WHERE a.pid = {pid};
