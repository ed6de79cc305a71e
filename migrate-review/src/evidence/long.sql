-- Transactions that have been open for a long time: a migration would wait for what they hold. Only the first word of a
-- query is reported, because queries contain values.
SELECT a.pid, coalesce(a.usename, '?'), coalesce(nullif(a.application_name, ''), 'no name'),
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint, coalesce(a.state, '?'),
       coalesce(pg_catalog.upper(pg_catalog.substring(a.query, '^\s*([[:alpha:]]+)')), '')
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.xact_start < pg_catalog.clock_timestamp() - {long} * interval '1 second'
ORDER BY a.xact_start
