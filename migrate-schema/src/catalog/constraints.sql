-- Constraints of tables and domains. NOT NULL is listed with its column, a constraint trigger as a trigger.
SELECT CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END AS unit,
       'pg_constraint'::regclass::oid AS class, k.oid, 0 AS sub, 'constraint' AS kind,
       n.nspname AS schema, coalesce(c.relname, t.typname) AS parent, k.conname AS name, NULL AS position,
       pg_get_constraintdef(k.oid) AS definition,
       CASE WHEN k.coninhcount > 0 THEN CASE WHEN k.conislocal THEN 'and local' ELSE 'only' END END AS inherited,
       CASE WHEN i.indisclustered THEN 'yes' END AS clustered,
       CASE WHEN i.indisreplident THEN 'yes' END AS "replica identity",
       CASE WHEN NOT i.indisvalid THEN 'no' END AS valid,
       CASE WHEN x.reltablespace <> 0 THEN (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace) END AS tablespace,
       CASE WHEN x.relispartition THEN (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = x.oid) END AS "attached to",
       d.description AS "comment on its index",
       CASE WHEN x.reloptions IS NOT NULL
            THEN (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(x.reloptions) o) END AS options,
       -- The triggers that check it: `DISABLE TRIGGER ALL` switches them off. A key has a trigger if it is deferrable.
       CASE WHEN k.contype = 'f' OR k.condeferrable
            THEN (SELECT string_agg(concat(p.proname, ' ', g.tgenabled), ', ' ORDER BY p.proname COLLATE "C", g.tgenabled)
                  FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
                  WHERE g.tgconstraint = k.oid AND g.tgisinternal AND g.tgenabled <> 'O') END AS triggers
FROM pg_constraint k
JOIN pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_class c ON c.oid = k.conrelid
LEFT JOIN pg_type t ON t.oid = k.contypid
LEFT JOIN pg_index i ON k.contype IN ('p', 'u', 'x') AND i.indexrelid = k.conindid
LEFT JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = i.indexrelid AND d.objsubid = 0
LEFT JOIN pg_constraint up ON up.oid = k.conparentid
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.oid >= 16384
  -- A foreign key to a partitioned table has one more constraint for each partition, under a name that the server
  -- chooses.
  AND (up.conrelid IS NULL OR up.conrelid <> k.conrelid) AND n.nspname NOT LIKE 'pg\_%'
  AND ({k.conrelid} OR {k.contypid})
