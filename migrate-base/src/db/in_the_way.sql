-- The sessions that hold a lock on a relation because of which a read, or the insertion of a row,
-- waits.
SELECT {who}
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation'
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (
      SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
  {only}
GROUP BY a.pid, a.application_name, a.usename, a.client_addr, a.backend_start, a.query
ORDER BY bool_or(l.granted) DESC, min(a.xact_start)
LIMIT 3
