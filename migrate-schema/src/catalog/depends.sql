-- Dependencies. The first part names the entries that are not objects themselves and represent another object.
SELECT 'alias', d.classid, d.objid, d.refclassid, d.refobjid, 0, NULL::int
FROM pg_depend d WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
UNION ALL
SELECT 'alias', 'pg_rewrite'::regclass, w.oid, 'pg_class'::regclass, w.ev_class, 0, NULL
FROM pg_rewrite w WHERE w.rulename = '_RETURN' AND w.oid >= 16384
UNION ALL
SELECT 'alias', 'pg_attrdef'::regclass, d.oid, 'pg_class'::regclass, d.adrelid, d.adnum, NULL FROM pg_attrdef d
UNION ALL
SELECT 'alias', 'pg_type'::regclass, t.oid, 'pg_class'::regclass, t.typrelid, 0, NULL
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind <> 'c' AND t.oid >= 16384
UNION ALL
SELECT 'alias', 'pg_class'::regclass, c.oid, 'pg_type'::regclass, c.reltype, 0, NULL
FROM pg_class c WHERE c.relkind = 'c' AND c.oid >= 16384
UNION ALL
SELECT 'alias', 'pg_type'::regclass, t.typarray, 'pg_type'::regclass, t.oid, 0, NULL
FROM pg_type t WHERE t.typarray <> 0 AND t.oid >= 16384
UNION ALL
SELECT 'alias', 'pg_type'::regclass, r.rngmultitypid, 'pg_type'::regclass, r.rngtypid, 0, NULL
FROM pg_range r WHERE r.rngtypid >= 16384
UNION ALL
SELECT 'alias', 'pg_class'::regclass, k.conindid, 'pg_constraint'::regclass, k.oid, 0, NULL
FROM pg_constraint k WHERE k.contype IN ('p', 'u', 'x') AND k.oid >= 16384
UNION ALL
SELECT 'alias', d.classid, d.objid, d.refclassid, d.refobjid, 0, NULL
FROM pg_depend d
WHERE d.objid >= 16384 AND (d.deptype = 'i' AND d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass
   OR d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass) AND d.refclassid = 'pg_opclass'::regclass AND d.deptype = 'i'
   OR d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass) AND d.refclassid = 'pg_opfamily'::regclass AND d.deptype = 'a')
UNION ALL
SELECT 'alias', 'pg_publication_rel'::regclass, r.oid, 'pg_publication'::regclass, r.prpubid, 0, NULL FROM pg_publication_rel r
UNION ALL
SELECT 'alias', 'pg_constraint'::regclass, k.oid, 'pg_constraint'::regclass, up.oid, 0, NULL
FROM pg_constraint k JOIN pg_constraint up ON up.oid = k.conparentid AND up.conrelid = k.conrelid
UNION ALL
-- The privileges on members of an extension exist together with it.
SELECT 'edge', 'pg_init_privs'::regclass, d.objid, d.refclassid, d.refobjid, d.classid::int * 2048 + s.sub, 0
FROM pg_depend d CROSS JOIN LATERAL (
    SELECT 0 AS sub
    UNION ALL
    SELECT a.attnum FROM pg_attribute a WHERE d.classid = 'pg_class'::regclass AND a.attrelid = d.objid AND a.attacl IS NOT NULL) s
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
UNION ALL
SELECT 'edge', d.classid, d.objid, d.refclassid, d.refobjid, d.objsubid, d.refobjsubid
FROM pg_depend d LEFT JOIN pg_sequence q ON d.classid = 'pg_class'::regclass AND q.seqrelid = d.objid
WHERE d.objid >= 16384 AND d.deptype <> 'e' AND (d.refobjid >= 16384 OR d.refclassid = 'pg_namespace'::regclass)
  -- The triggers of foreign keys are not listed. The row type of a table represents the table, and an array represents
  -- its element.
  AND NOT (d.deptype = 'i' AND (d.classid = 'pg_trigger'::regclass
           OR d.classid = 'pg_type'::regclass AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)))
  -- A column depends on the sequence of its default, and the sequence belongs to the column.
  AND NOT (q.seqrelid IS NOT NULL AND d.refclassid = 'pg_class'::regclass)
UNION ALL
SELECT 'edge', 'pg_init_privs'::regclass, a.attrelid, 'pg_class'::regclass, a.attrelid, 'pg_class'::regclass::int * 2048 + a.attnum, 0
FROM pg_attribute a WHERE a.attnum < 0 AND a.attacl IS NOT NULL AND a.attrelid >= 16384
UNION ALL
-- Creating a function makes it depend on the existing transforms for its types.
SELECT 'edge', 'pg_proc'::regclass, p.oid, 'pg_transform'::regclass, t.oid, 0, 0
FROM pg_transform t JOIN pg_proc p ON p.prolang = t.trflang AND p.oid NOT IN (t.trffromsql, t.trftosql)
WHERE t.oid >= 16384 AND p.oid >= 16384
  AND t.trftype = ANY (p.prorettype || coalesce(p.proallargtypes, p.proargtypes::oid[]))
