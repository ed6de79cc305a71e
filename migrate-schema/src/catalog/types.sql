-- Enums, domains, ranges and base types; a composite type is a relation. Arrays and multiranges come with their
-- elements.
SELECT t.oid AS unit, 'pg_type'::regclass::oid AS class, t.oid, 0 AS sub,
       CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END AS kind,
       n.nspname AS schema, NULL AS parent, t.typname AS name, NULL AS position,
       CASE t.typtype WHEN 'p' THEN 'shell' WHEN 'e' THEN 'enum' WHEN 'r' THEN 'range' WHEN 'b' THEN 'base' END AS form,
       CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS type,
       CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END AS collation,
       CASE WHEN t.typnotnull THEN 'yes' END AS "not null",
       k.conname AS "not null constraint", obj_description(k.oid, 'pg_constraint') AS "comment on its not null constraint",
       -- The text stored next to the expression was written with the search path at that time.
       coalesce(pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), t.typdefault) AS "default",
       (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
       pg_get_userbyid(t.typowner) AS owner,
       CASE WHEN t.typacl IS NOT NULL THEN t.typacl::text || chr(10) || acldefault('T', t.typowner)::text END AS grants,
       g.rngsubtype::regtype::text AS subtype, g.rngmultitypid::regtype::text AS multirange,
       (SELECT o.opcname FROM pg_opclass o WHERE o.oid = g.rngsubopc) AS "operator class",
       CASE WHEN g.rngcollation <> s.typcollation THEN g.rngcollation::regcollation::text END AS "range collation",
       NULLIF(g.rngcanonical::oid, 0)::regprocedure::text AS canonical,
       NULLIF(g.rngsubdiff::oid, 0)::regprocedure::text AS difference,
       CASE WHEN t.typtype = 'b' THEN json_build_object(
            'input', t.typinput::text, 'output', t.typoutput::text,
            'receive', NULLIF(t.typreceive::text, '-'), 'send', NULLIF(t.typsend::text, '-'),
            'modifier input', NULLIF(t.typmodin::text, '-'), 'modifier output', NULLIF(t.typmodout::text, '-'),
            'analyze', NULLIF(t.typanalyze::text, '-'), 'subscript', NULLIF(t.typsubscript::text, '-'),
            'element', NULLIF(t.typelem, 0)::regtype::text,
            'length', CASE WHEN t.typlen = -1 THEN 'variable' ELSE t.typlen::text END,
            'by value', CASE WHEN t.typbyval THEN 'yes' END,
            'alignment', CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END,
            'storage', CASE t.typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END,
            'category', t.typcategory::text, 'delimiter', t.typdelim::text,
            'preferred', CASE WHEN t.typispreferred THEN 'yes' END,
            'collatable', CASE WHEN t.typcollation <> 0 THEN 'yes' END) END AS facts
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_constraint k ON t.typnotnull AND k.contypid = t.oid AND k.contype = 'n'
LEFT JOIN pg_range g ON g.rngtypid = t.oid
LEFT JOIN pg_type s ON s.oid = g.rngsubtype
WHERE (t.typtype IN ('d', 'e', 'r', 'b') AND t.typisdefined OR t.typtype = 'p' AND NOT t.typisdefined) AND t.oid >= 16384 AND n.nspname NOT LIKE 'pg\_%'
  AND NOT (t.typcategory = 'A' AND EXISTS (SELECT FROM pg_type x WHERE x.oid = t.typelem AND x.typarray = t.oid))
  AND {t.oid}
