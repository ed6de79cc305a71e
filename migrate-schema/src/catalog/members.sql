-- What belongs to an extension: it is covered by the extension and its version. An index or a sequence of a member is
-- included.
SELECT d.classid, d.objid FROM pg_depend d
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
UNION ALL
-- The attributes of a composite type are those of a relation, which is dropped with the type.
SELECT 'pg_class'::regclass, t.typrelid
FROM pg_depend d JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND t.typrelid <> 0
