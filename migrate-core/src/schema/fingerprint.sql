-- One digest of the whole schema that does not depend on object identifiers: a line for each
-- object, sorted, hashed. {schema} stands for the literal of the ledger's schema, which is left
-- out, as are PostgreSQL's own schemas and what belongs to an extension.
-- Names come out qualified because the search_path is pg_catalog alone while this runs.
-- What a constraint implies (its index, its triggers) is told by the constraint.
WITH spaces AS MATERIALIZED (
    SELECT oid, nspname, nspacl FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', {schema})
), owned AS MATERIALIZED (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), comments AS MATERIALIZED (
    SELECT classoid, objoid, objsubid, description FROM pg_description WHERE objoid >= 16384
), relations AS MATERIALIZED (
    SELECT c.oid, c.relkind, quote_ident(s.nspname) || '.' || quote_ident(c.relname) AS name, c.relpersistence,
           c.reloptions, c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relpartbound
    FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
    WHERE c.relkind NOT IN ('i', 'I', 't')
      AND NOT EXISTS (SELECT FROM owned o WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid)
), lines (line) AS (
    SELECT concat_ws('|', 'schema', s.nspname, s.nspacl) FROM spaces s
  UNION ALL
    SELECT concat_ws('|', 'extension', e.extname, e.extversion) FROM pg_extension e
  UNION ALL
    SELECT concat_ws('|', 'comment', c.classoid::regclass, o.type, o.identity, c.description)
    FROM comments c, pg_identify_object(c.classoid, c.objoid, c.objsubid) o
    WHERE o.schema IS DISTINCT FROM {schema}
  UNION ALL
    SELECT concat_ws('|', 'relation', r.relkind, r.name, r.relpersistence, r.reloptions, r.relacl, r.relrowsecurity,
                     r.relforcerowsecurity, r.relreplident,
                     CASE WHEN r.relpartbound IS NOT NULL THEN pg_get_expr(r.relpartbound, r.oid) END,
                     CASE WHEN r.relkind = 'p' THEN pg_get_partkeydef(r.oid) END,
                     CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END)
    FROM relations r
  UNION ALL
    SELECT concat_ws('|', 'inherits', r.name, i.inhparent::regclass) FROM pg_inherits i JOIN relations r ON r.oid = i.inhrelid
  UNION ALL
    SELECT concat_ws('|', 'column', r.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                     a.attgenerated, CASE WHEN a.attcollation NOT IN (0, 100) THEN a.attcollation::regcollation END,
                     a.attacl, CASE WHEN d.oid IS NOT NULL THEN pg_get_expr(d.adbin, d.adrelid) END)
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f', 'c')
  UNION ALL
    SELECT concat_ws('|', 'index', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident)
    FROM relations r JOIN pg_index i ON i.indrelid = r.oid
    LEFT JOIN pg_constraint c ON c.conrelid = i.indrelid AND c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')
    WHERE c.oid IS NULL
  UNION ALL
    SELECT concat_ws('|', 'constraint', r.name, CASE WHEN c.contypid <> 0 THEN c.contypid::regtype END, c.conname,
                     pg_get_constraintdef(c.oid))
    FROM pg_constraint c JOIN spaces s ON s.oid = c.connamespace LEFT JOIN relations r ON r.oid = c.conrelid
    -- From 18 on a NOT NULL is a constraint too; the column tells it on every version.
    WHERE c.contype <> 'n'
  UNION ALL
    SELECT concat_ws('|', 'sequence', r.name, q.seqtypid, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle)
    FROM pg_sequence q JOIN relations r ON r.oid = q.seqrelid
  UNION ALL
    SELECT concat_ws('|', 'type', t.typtype, t.oid::regtype, t.typacl, format_type(NULLIF(t.typbasetype, 0), t.typtypmod),
                     t.typnotnull, t.typdefault,
                     (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                      FROM pg_enum e WHERE e.enumtypid = t.oid),
                     (SELECT concat_ws(',', g.rngsubtype::regtype, g.rngsubdiff::regproc, g.rngcanonical::regproc)
                      FROM pg_range g WHERE g.rngtypid = t.oid))
    FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace
    WHERE t.typtype IN ('d', 'e', 'r')
      AND NOT EXISTS (SELECT FROM owned o WHERE o.classid = 'pg_type'::regclass AND o.objid = t.oid)
  UNION ALL
    SELECT concat_ws('|', 'routine', p.prokind, p.oid::regprocedure,
                     CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE pg_get_function_result(p.oid) END, p.proacl)
    FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM owned o WHERE o.classid = 'pg_proc'::regclass AND o.objid = p.oid)
  UNION ALL
    SELECT concat_ws('|', 'trigger', pg_get_triggerdef(g.oid), g.tgenabled)
    FROM pg_trigger g JOIN relations r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
  UNION ALL
    SELECT concat_ws('|', 'rule', r.name, pg_get_ruledef(w.oid), w.ev_enabled)
    FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
  UNION ALL
    SELECT concat_ws('|', 'policy', r.name, p.polname, p.polcmd, p.polpermissive,
                     (SELECT string_agg(rolname, ',' ORDER BY rolname COLLATE "C")
                      FROM pg_roles WHERE pg_roles.oid = ANY (p.polroles)),
                     pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
  UNION ALL
    SELECT concat_ws('|', 'statistics', pg_get_statisticsobjdef(x.oid), x.stxstattarget)
    FROM pg_statistic_ext x JOIN spaces s ON s.oid = x.stxnamespace
)
SELECT 'v1:sha256:' || encode(sha256(convert_to(coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), ''), 'UTF8')), 'hex')
FROM lines
