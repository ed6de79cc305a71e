-- Tables, views, sequences and composite types. A unit of the catalog is a relation with everything attached to it. The
-- comment on a composite type, and its privileges, are stored with its entry in pg_type.
SELECT c.oid AS unit, CASE c.relkind WHEN 'c' THEN 'pg_type'::regclass::oid ELSE 'pg_class'::regclass::oid END AS class,
       CASE c.relkind WHEN 'c' THEN c.reltype ELSE c.oid END AS oid, 0 AS sub,
       CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                      WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' END AS kind,
       n.nspname AS schema, NULL AS parent, c.relname AS name, NULL AS position,
       CASE WHEN c.relkind = 'c' THEN 'composite' END AS form,
       CASE c.relpersistence WHEN 'u' THEN 'unlogged' END AS persistence,
       pg_get_userbyid(c.relowner) AS owner,
       CASE WHEN c.relkind = 'c'
            THEN (SELECT t.typacl::text || chr(10) || acldefault('T', t.typowner)::text FROM pg_type t WHERE t.oid = c.reltype)
            WHEN c.relacl IS NOT NULL
            THEN c.relacl::text || chr(10) || acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner)::text
       END AS grants,
       CASE WHEN c.reloptions IS NOT NULL
            THEN (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(c.reloptions) o) END AS options,
       CASE WHEN t.reloptions IS NOT NULL
            THEN (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(t.reloptions) o) END AS "toast options",
       CASE WHEN c.relkind IN ('r', 'm', 'p') AND m.amname <> 'heap' THEN m.amname END AS "access method",
       CASE WHEN c.reltablespace <> 0 THEN (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace) END AS tablespace,
       CASE WHEN c.relforcerowsecurity AND c.relrowsecurity THEN 'forced'
            WHEN c.relforcerowsecurity THEN 'forced, but off'
            WHEN c.relrowsecurity THEN 'on' END AS "row security",
       CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'i' THEN 'index'
            WHEN 'n' THEN CASE WHEN c.relkind IN ('r', 'p', 'm') THEN 'nothing' END END AS "replica identity",
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partition key",
       CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS "partition bound",
       CASE WHEN c.relkind IN ('r', 'p', 'f')
                 -- Most databases have none at all, which this checks once.
                 AND EXISTS (SELECT FROM pg_inherits)
            THEN (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
                  FROM pg_inherits i WHERE i.inhrelid = c.oid) END AS parents,
       CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END AS "of type",
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
       q.seqtypid::regtype::text AS type, q.seqstart AS start, q.seqincrement AS increment,
       q.seqmin AS minimum, q.seqmax AS maximum, q.seqcache AS cache,
       CASE WHEN q.seqcycle THEN 'yes' END AS cycle,
       CASE WHEN c.relkind = 'S'
            THEN (SELECT CASE d.deptype WHEN 'i' THEN 'identity of ' ELSE '' END || d.refobjid::regclass::text || '.'
                         -- Not a join: without nested loops it would read all columns for each sequence.
                         || (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = d.refobjid AND a.attnum = d.refobjsubid)
                  FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) END AS "owned by",
       CASE WHEN c.relkind = 'f'
            THEN (SELECT s.srvname FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) END AS server,
       CASE WHEN c.relkind = 'f'
            THEN (SELECT json_agg(o ORDER BY o COLLATE "C")::text
                  FROM pg_foreign_table f, unnest(f.ftoptions) o WHERE f.ftrelid = c.oid) END AS "foreign options"
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_sequence q ON q.seqrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%'
  AND {c.oid}
