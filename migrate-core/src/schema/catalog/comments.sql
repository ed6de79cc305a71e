-- Comments, security labels, and extensions with which an object goes, by the object that they are on.
SELECT d.classoid, d.objoid, d.objsubid, 'comment', d.description FROM pg_description d
WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass) AND {d.objoid}
UNION ALL
SELECT l.classoid, l.objoid, l.objsubid, 'security label of ' || l.provider, l.label FROM pg_seclabel l WHERE {l.objoid}
UNION ALL
SELECT DISTINCT d.classid, d.objid, d.objsubid, 'depends on extension ' || e.extname, 'yes'
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.deptype = 'x' AND d.refclassid = 'pg_extension'::regclass AND {d.objid}
