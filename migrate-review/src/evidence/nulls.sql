-- Which columns exist, and which fraction of the rows is NULL in each, by the statistics.
SELECT w.at, w.n, s.null_frac
FROM (VALUES {wanted}) AS w (at, n, nspname, relname, attname)
JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = w.attname AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = w.nspname AND s.tablename = w.relname AND s.attname = w.attname
