-- Triggers, rules, policies and extended statistics: what is attached to a relation and is not part of it.
SELECT g.tgrelid AS unit, 'pg_trigger'::regclass::oid AS class, g.oid, 0 AS sub, 'trigger' AS kind,
       n.nspname AS schema, c.relname AS parent, g.tgname AS name, NULL AS position,
       pg_get_triggerdef(g.oid) AS definition,
       CASE g.tgenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END AS enabled,
       NULL AS command, NULL AS permissive, NULL AS roles, NULL AS "using", NULL AS "check", NULL AS owner, NULL::text AS statistics,
       CASE WHEN g.tgparentid <> 0 THEN 'only' END AS inherited
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND n.nspname NOT LIKE 'pg\_%' AND {g.tgrelid}
UNION ALL
SELECT w.ev_class, 'pg_rewrite'::regclass, w.oid, 0, 'rule', n.nspname, c.relname, w.rulename, NULL,
       pg_get_ruledef(w.oid), CASE w.ev_enabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE w.rulename <> '_RETURN' AND w.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%' AND {w.ev_class}
UNION ALL
SELECT p.polrelid, 'pg_policy'::regclass, p.oid, 0, 'policy', n.nspname, c.relname, p.polname, NULL, NULL, NULL,
       CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END,
       CASE WHEN p.polpermissive THEN 'yes' ELSE 'no' END,
       (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(r)) END, ', '
                          ORDER BY pg_get_userbyid(r)::text COLLATE "C")
        FROM unnest(p.polroles) r),
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), NULL, NULL, NULL
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\_%' AND {p.polrelid}
UNION ALL
SELECT x.stxrelid, 'pg_statistic_ext'::regclass, x.oid, 0, 'statistics', n.nspname,
       -- They can be in another schema than their relation, and that schema can contain another relation of the same
       -- name.
       CASE WHEN x.stxnamespace = c.relnamespace THEN c.relname END, x.stxname, NULL,
       pg_get_statisticsobjdef(x.oid), NULL, NULL, NULL, NULL, NULL, NULL, pg_get_userbyid(x.stxowner),
       CASE WHEN x.stxstattarget >= 0 THEN x.stxstattarget::text END, NULL
FROM pg_statistic_ext x JOIN pg_class c ON c.oid = x.stxrelid JOIN pg_namespace n ON n.oid = x.stxnamespace
WHERE n.nspname NOT LIKE 'pg\_%' AND {x.stxrelid}
