-- Tables and materialized views with what the server believes of their rows. Partitions stand for their parents.
SELECT n.nspname, c.relname, c.reltuples::bigint, pg_catalog.pg_relation_size(c.oid), pg_catalog.pg_total_relation_size(c.oid),
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%' AND c.relpersistence <> 't'
ORDER BY 1, 2
