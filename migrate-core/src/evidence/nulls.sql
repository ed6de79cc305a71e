-- Which part of the rows has no value in a column, as the statistics say.
SELECT w.at, w.n, s.null_frac
FROM (VALUES {wanted}) AS w (at, n, nspname, relname, attname)
JOIN pg_catalog.pg_stats s ON s.schemaname = w.nspname AND s.tablename = w.relname AND s.attname = w.attname
