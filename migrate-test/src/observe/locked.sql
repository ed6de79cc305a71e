-- What this session has locked, and the same about it as in relations.sql. A relation that is dropped
-- already is locked all the same.
SELECT l.relation, string_agg(l.mode, ','),
    l.relation::regclass, pg_relation_filenode(l.relation), pg_relation_size(l.relation),
    pg_stat_get_tuples_returned(l.relation) + pg_stat_get_xact_tuples_returned(l.relation)
FROM pg_locks l
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY l.relation
