-- Comments and security labels, by the object that they are on.
SELECT d.classoid, d.objoid, d.objsubid, 'comment', d.description FROM pg_description d
WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass) AND {d.objoid}
UNION ALL
SELECT l.classoid, l.objoid, l.objsubid, 'security label of ' || l.provider, l.label FROM pg_seclabel l WHERE {l.objoid}
