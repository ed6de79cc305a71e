-- The relations of users: what they are, the table that an index or a counted column's sequence
-- belongs to, and what tells that the rows were rewritten or read.
SELECT c.oid, c.relkind, n.nspname, c.relname, coalesce(i.indrelid, d.refobjid),
    c.oid::regclass, pg_relation_filenode(c.oid), pg_relation_size(c.oid),
    pg_stat_get_tuples_returned(c.oid) + pg_stat_get_xact_tuples_returned(c.oid)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_depend d ON c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'i', 'I', 'S')
    AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'
