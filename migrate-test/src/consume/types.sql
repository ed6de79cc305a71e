-- The objects that use each type: from a type to its array type, to everything of that type, and
-- from a table to its row type.
WITH RECURSIVE uses (root, class, oid) AS (
    SELECT t.oid, t.tableoid, t.oid FROM pg_type t WHERE t.oid >= 16384 AND t.typelem = 0
    UNION
    SELECT u.root, d.classid, d.objid
    FROM uses u
    JOIN pg_depend d ON d.refclassid = u.class AND d.refobjid = u.oid
        AND (u.class = 'pg_type'::regclass
            OR u.class = 'pg_class'::regclass AND d.classid = 'pg_type'::regclass))
SELECT DISTINCT t.typname, coalesce(c.relname, p.proname, o.typname, {unnamed})
FROM uses u
JOIN pg_type t ON t.oid = u.root
LEFT JOIN pg_class c ON u.class = 'pg_class'::regclass AND c.oid = u.oid
LEFT JOIN pg_proc p ON u.class = 'pg_proc'::regclass AND p.oid = u.oid
LEFT JOIN pg_type o ON u.class = 'pg_type'::regclass AND o.oid = u.oid
WHERE u.class IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass,
    'pg_cast'::regclass, 'pg_operator'::regclass)
