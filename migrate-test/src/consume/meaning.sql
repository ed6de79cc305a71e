-- The names of tables, columns, routines and operators.
SELECT 't', c.oid, n.nspname, c.relname, '', ''
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN ({tables})
UNION ALL
SELECT 'c', a.attrelid, a.attname, a.attnum::text, '', ''
FROM pg_attribute a
WHERE a.attrelid IN ({tables}) AND NOT a.attisdropped
UNION ALL
SELECT 'f', p.oid, p.proname, p.oid::regprocedure::text, '', ''
FROM pg_proc p
WHERE p.oid IN ({routines})
UNION ALL
SELECT 'o', o.oid, o.oprname, o.oid::regoperator::text, '', ''
FROM pg_operator o
WHERE o.oid IN ({operators})
