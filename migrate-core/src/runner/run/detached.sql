-- Whether a partition is still one, or half detached; and the names of both tables.
SELECT CASE WHEN p.parent IS NOT NULL THEN p.there END, h.inhdetachpending,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
    pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.relname)
FROM (
    SELECT pg_catalog.to_regclass({parent}) AS parent,
        pg_catalog.to_regclass({partition}) AS there) AS p
LEFT JOIN pg_catalog.pg_inherits h ON h.inhparent = p.parent AND h.inhrelid = p.there
LEFT JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class t ON t.oid = h.inhparent
LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
