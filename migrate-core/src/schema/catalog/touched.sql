-- For each catalog: how many rows it has, the sum of their identifiers, and the rows that came or
-- changed since transaction $1, each with its unit. Count and sum tell whether a row is gone.
SELECT 'pg_class' AS catalog, count(*), sum(c.oid::bigint),
       string_agg(c.oid || ':' || coalesce(i.indrelid, c.oid), ',') FILTER (WHERE age(c.xmin) <= age({since})) AS touched
FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE c.oid >= 16384 AND c.relkind <> 't'
UNION ALL
SELECT 'pg_attribute', 0, 0, string_agg(DISTINCT '0:' || coalesce(i.indrelid, a.attrelid), ',')
FROM pg_attribute a LEFT JOIN pg_index i ON i.indexrelid = a.attrelid
WHERE a.attrelid >= 16384 AND age(a.xmin) <= age({since})
UNION ALL
SELECT 'pg_index', 0, 0, string_agg('0:' || i.indrelid, ',') FROM pg_index i WHERE i.indexrelid >= 16384 AND age(i.xmin) <= age({since})
UNION ALL
SELECT 'pg_inherits', 0, 0, string_agg('0:' || coalesce(x.indrelid, i.inhrelid), ',')
FROM pg_inherits i LEFT JOIN pg_index x ON x.indexrelid = i.inhrelid WHERE age(i.xmin) <= age({since})
UNION ALL
SELECT 'pg_sequence', 0, 0, string_agg('0:' || q.seqrelid, ',') FROM pg_sequence q WHERE age(q.xmin) <= age({since})
UNION ALL
SELECT 'pg_attrdef', count(*), sum(d.oid::bigint), string_agg(d.oid || ':' || d.adrelid, ',') FILTER (WHERE age(d.xmin) <= age({since}))
FROM pg_attrdef d
UNION ALL
SELECT 'pg_constraint', count(*), sum(k.oid::bigint),
       string_agg(k.oid || ':' || CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END, ',') FILTER (WHERE age(k.xmin) <= age({since}))
FROM pg_constraint k WHERE k.oid >= 16384
UNION ALL
SELECT 'pg_trigger', count(*), sum(g.oid::bigint), string_agg(g.oid || ':' || g.tgrelid, ',') FILTER (WHERE age(g.xmin) <= age({since}))
FROM pg_trigger g WHERE NOT g.tgisinternal
UNION ALL
SELECT 'pg_rewrite', count(*), sum(w.oid::bigint), string_agg(w.oid || ':' || w.ev_class, ',') FILTER (WHERE age(w.xmin) <= age({since}))
FROM pg_rewrite w WHERE w.oid >= 16384
UNION ALL
SELECT 'pg_policy', count(*), sum(p.oid::bigint), string_agg(p.oid || ':' || p.polrelid, ',') FILTER (WHERE age(p.xmin) <= age({since}))
FROM pg_policy p
UNION ALL
SELECT 'pg_statistic_ext', count(*), sum(x.oid::bigint), string_agg(x.oid || ':' || x.stxrelid, ',') FILTER (WHERE age(x.xmin) <= age({since}))
FROM pg_statistic_ext x
UNION ALL
SELECT 'pg_foreign_table', 0, 0, string_agg('0:' || f.ftrelid, ',') FROM pg_foreign_table f WHERE age(f.xmin) <= age({since})
UNION ALL
SELECT 'pg_proc', count(*), sum(p.oid::bigint), string_agg(p.oid || ':' || p.oid, ',') FILTER (WHERE age(p.xmin) <= age({since}))
FROM pg_proc p WHERE p.oid >= 16384
UNION ALL
SELECT 'pg_type', count(*), sum(t.oid::bigint), string_agg(t.oid || ':' || CASE WHEN t.typtype = 'c' THEN t.typrelid ELSE t.oid END, ',') FILTER (WHERE age(t.xmin) <= age({since}))
FROM pg_type t WHERE t.oid >= 16384
UNION ALL
SELECT 'pg_enum', 0, 0, string_agg('0:' || e.enumtypid, ',') FROM pg_enum e WHERE age(e.xmin) <= age({since})
UNION ALL
SELECT 'pg_description', count(*), sum(d.objoid::bigint * 2048 + d.objsubid),
       string_agg((d.objoid::bigint * 2048 + d.objsubid) || ':' || d.objoid, ',') FILTER (WHERE age(d.xmin) <= age({since}))
FROM pg_description d WHERE d.objoid >= 16384
UNION ALL
SELECT 'pg_seclabel', count(*), sum(l.objoid::bigint * 2048 + l.objsubid),
       string_agg((l.objoid::bigint * 2048 + l.objsubid) || ':' || l.objoid, ',') FILTER (WHERE age(l.xmin) <= age({since}))
FROM pg_seclabel l WHERE l.objoid >= 16384
