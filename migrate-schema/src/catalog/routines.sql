-- Functions, procedures and aggregates; the constructors of a range come with the range.
SELECT p.oid AS unit, 'pg_proc'::regclass::oid AS class, p.oid, 0 AS sub,
       CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
       n.nspname AS schema, NULL AS parent, p.proname AS name, NULL AS position,
       pg_get_function_identity_arguments(p.oid) AS signature,
       CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END AS definition,
       pg_get_userbyid(p.proowner) AS owner,
       CASE WHEN p.proacl IS NOT NULL THEN p.proacl::text || chr(10) || acldefault('f', p.proowner)::text END AS grants,
       CASE WHEN p.prokind = 'a' THEN pg_get_function_result(p.oid) END AS result,
       CASE WHEN p.prokind = 'a' THEN p.proparallel::text END AS parallel,
       g.aggkind AS form, g.aggtransfn::regprocedure::text AS "state function", g.aggtranstype::regtype::text AS "state type",
       NULLIF(g.aggtransspace, 0) AS "state size", g.agginitval AS "initial state",
       NULLIF(g.aggfinalfn, 0)::regprocedure::text AS "final function",
       CASE WHEN g.aggfinalextra THEN 'yes' END AS "final extra", g.aggfinalmodify AS "final modify",
       NULLIF(g.aggmtransspace, 0) AS "moving state size", CASE WHEN g.aggmfinalextra THEN 'yes' END AS "moving final extra",
       NULLIF(g.aggmfinalmodify, CASE g.aggkind WHEN 'n' THEN 'r'::"char" ELSE 'w' END) AS "moving final modify",
       NULLIF(g.aggcombinefn, 0)::regprocedure::text AS "combine function",
       NULLIF(g.aggserialfn, 0)::regprocedure::text AS "serial function",
       NULLIF(g.aggdeserialfn, 0)::regprocedure::text AS "deserial function",
       NULLIF(g.aggmtransfn, 0)::regprocedure::text AS "moving state function",
       NULLIF(g.aggminvtransfn, 0)::regprocedure::text AS "moving inverse function",
       NULLIF(g.aggmfinalfn, 0)::regprocedure::text AS "moving final function",
       NULLIF(g.aggmtranstype, 0)::regtype::text AS "moving state type", g.aggminitval AS "moving initial state",
       NULLIF(g.aggsortop, 0)::regoperator::text AS "sort operator"
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
WHERE p.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
  AND {p.oid}
