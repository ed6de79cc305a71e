-- The other sessions in this database, by application name.
SELECT coalesce(nullif(a.application_name, ''), 'no name'), coalesce(a.usename, '?'), count(*)
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend'
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
