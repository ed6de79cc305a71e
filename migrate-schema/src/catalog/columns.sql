-- Columns of relations, and attributes of composite types.
SELECT a.attrelid AS unit, 'pg_class'::regclass::oid AS class, a.attrelid AS oid, a.attnum AS sub,
       CASE c.relkind WHEN 'c' THEN 'attribute' ELSE 'column' END AS kind,
       n.nspname AS schema, c.relname AS parent, a.attname AS name, a.attnum AS position,
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
       CASE WHEN a.attnotnull THEN 'yes' END AS "not null",
       k.conname || CASE WHEN k.connoinherit THEN ' no inherit' ELSE '' END
                 || CASE WHEN k.convalidated THEN '' ELSE ' not valid' END AS "not null constraint",
       CASE WHEN k.coninhcount > 0 AND a.attinhcount > 0 THEN CASE WHEN k.conislocal THEN 'and local' ELSE 'only' END END AS "not null inherited",
       CASE WHEN k.oid IS NOT NULL THEN (SELECT obj_description(k.oid, 'pg_constraint')) END AS "comment on its not null constraint",
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "default",
       CASE a.attgenerated WHEN 's' THEN 'stored ' WHEN 'v' THEN 'virtual ' END || pg_get_expr(d.adbin, d.adrelid) AS generated,
       CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
       CASE WHEN a.attstorage <> t.typstorage
            THEN CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END AS storage,
       CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
       CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END AS statistics,
       CASE WHEN a.attoptions IS NOT NULL
            -- The server counts the changes of a column in an option of its own (`pg_attver`, since November 2026).
            THEN (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(a.attoptions) o
                  WHERE o NOT LIKE 'pg\_%') END AS options,
       CASE WHEN a.attfdwoptions IS NOT NULL
            THEN (SELECT json_agg(o ORDER BY o COLLATE "C")::text FROM unnest(a.attfdwoptions) o) END AS "foreign options",
       CASE WHEN a.attinhcount > 0 THEN CASE WHEN a.attislocal THEN 'and local' ELSE 'only' END END AS inherited,
       CASE WHEN a.attacl IS NOT NULL THEN a.attacl::text || chr(10) || '{}' END AS grants
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_constraint k ON a.attnotnull AND k.contype = 'n' AND k.conrelid = a.attrelid AND k.conkey[1] = a.attnum
LEFT JOIN pg_attrdef d ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%'
  AND {a.attrelid}
