-- The views and functions that depend on a table or a column, directly or indirectly; and whether
-- the server tracks that, or the names occur in the text of a function.
WITH RECURSIVE meant AS (
    SELECT c.oid, a.attnum
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = {schema} AND c.relname = {table} AND {which}),
stands (class, oid) AS (
    SELECT d.classid, d.objid
    FROM pg_depend d
    JOIN meant m ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.oid
        AND d.refobjsubid IN (0, m.attnum) AND (d.refobjsubid = m.attnum OR {is_whole})
    WHERE d.deptype = 'n'
    UNION
    SELECT p.tableoid, p.oid FROM pg_proc p WHERE p.oid >= 16384 AND {words}
    UNION
    SELECT d.classid, d.objid
    FROM stands s
    LEFT JOIN pg_rewrite r ON s.class = 'pg_rewrite'::regclass AND r.oid = s.oid
    JOIN pg_depend d ON d.deptype = 'n' AND CASE WHEN r.oid IS NOT NULL
        THEN d.refclassid = 'pg_class'::regclass AND d.refobjid = r.ev_class
        ELSE d.refclassid = s.class AND d.refobjid = s.oid END)
SELECT DISTINCT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END,
    n.nspname, c.relname, 'yes'
FROM stands s
JOIN pg_rewrite r ON s.class = 'pg_rewrite'::regclass AND r.oid = s.oid
JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
JOIN pg_namespace n ON n.oid = c.relnamespace
UNION
SELECT DISTINCT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END,
    n.nspname, p.proname, CASE WHEN p.prosqlbody IS NOT NULL THEN 'yes' ELSE 'no' END
FROM stands s
JOIN pg_proc p ON s.class = 'pg_proc'::regclass AND p.oid = s.oid
JOIN pg_namespace n ON n.oid = p.pronamespace
ORDER BY 1, 2, 3
