-- Comments, security labels, and the extensions that an object depends on, by object.
SELECT d.classoid, d.objoid, d.objsubid, 'comment', d.description FROM pg_description d
WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass) AND {d.objoid}
UNION ALL
SELECT l.classoid, l.objoid, l.objsubid, 'security label of ' || l.provider, l.label FROM pg_seclabel l WHERE {l.objoid}
UNION ALL
-- The index of a constraint is a part of the constraint.
SELECT DISTINCT CASE WHEN k.oid IS NULL THEN d.classid ELSE 'pg_constraint'::regclass END, coalesce(k.oid, d.objid), d.objsubid,
       CASE WHEN k.oid IS NULL THEN '' ELSE 'its index ' END || 'depends on extension ' || e.extname, 'yes'
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
LEFT JOIN pg_constraint k ON d.classid = 'pg_class'::regclass AND k.conindid = d.objid AND k.contype IN ('p', 'u', 'x')
WHERE d.deptype = 'x' AND d.refclassid = 'pg_extension'::regclass AND {d.objid}
