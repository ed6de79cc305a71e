-- Indexes that do not belong to a constraint.
SELECT i.indrelid AS unit, 'pg_class'::regclass::oid AS class, i.indexrelid AS oid, 0 AS sub, 'index' AS kind,
       n.nspname AS schema, c.relname AS parent, x.relname AS name, NULL AS position,
       pg_get_indexdef(i.indexrelid) AS definition,
       CASE WHEN NOT i.indisvalid THEN 'no' END AS valid,
       CASE WHEN i.indisclustered THEN 'yes' END AS clustered,
       CASE WHEN i.indisreplident THEN 'yes' END AS "replica identity",
       CASE WHEN x.reltablespace <> 0 THEN (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace) END AS tablespace,
       CASE WHEN x.relispartition THEN (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = x.oid) END AS "attached to",
       CASE WHEN i.indexprs IS NOT NULL
            THEN (SELECT string_agg(a.attnum::text || ' ' || a.attstattarget::text, ', ' ORDER BY a.attnum)
                  FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0) END AS statistics
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = x.relnamespace
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE k.oid IS NULL AND i.indexrelid >= 16384 AND n.nspname NOT LIKE 'pg\_%'
  AND {i.indrelid}
