-- What belongs to no relation, routine or type: few of each kind, with different facts for each.
WITH own AS MATERIALIZED (
    SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
), member AS MATERIALIZED (
    -- What belongs to an extension is not listed: nothing is built from the members of an extension.
    SELECT d.classid, d.objid FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), item AS MATERIALIZED (
    -- The operators and functions of operator classes, and those that only their family has, with what they belong to:
    -- one index lookup for each, whatever the estimates are, because a scan of the whole of pg_depend for each takes
    -- seconds.
    SELECT i.class, i.oid, d.refclassid, d.refobjid
    FROM (SELECT 'pg_amop'::regclass AS class, o.oid FROM pg_amop o WHERE o.oid >= 16384
          UNION ALL SELECT 'pg_amproc'::regclass, p.oid FROM pg_amproc p WHERE p.oid >= 16384) i
    CROSS JOIN LATERAL (
        SELECT d.refclassid, d.refobjid FROM pg_depend d WHERE d.classid = i.class AND d.objid = i.oid
            AND (d.refclassid = 'pg_opclass'::regclass AND d.deptype = 'i' OR d.refclassid = 'pg_opfamily'::regclass AND d.deptype = 'a')
        OFFSET 0) d
    WHERE (d.refclassid, d.refobjid) NOT IN (SELECT m.classid, m.objid FROM member m)
), said AS (
    SELECT i.refclassid, i.refobjid, 1 AS part, o.amopstrategy AS n,
           'OPERATOR ' || o.amopstrategy::text || ' ' || o.amopopr::regoperator::text || coalesce(' FOR ORDER BY '
               || (SELECT quote_ident(n.nspname) || '.' || quote_ident(s.opfname)
                   FROM pg_opfamily s JOIN pg_namespace n ON n.oid = s.opfnamespace WHERE s.oid = o.amopsortfamily), '') AS text
    FROM item i JOIN pg_amop o ON o.oid = i.oid WHERE i.class = 'pg_amop'::regclass
    UNION ALL
    SELECT i.refclassid, i.refobjid, 2, p.amprocnum,
           'FUNCTION ' || p.amprocnum::text || ' (' || p.amproclefttype::regtype::text || ', ' || p.amprocrighttype::regtype::text
               || ') ' || p.amproc::regprocedure::text
    FROM item i JOIN pg_amproc p ON p.oid = i.oid WHERE i.class = 'pg_amproc'::regclass
), lists AS (
    -- All privileges of objects that have any. A column without any may have started with some.
    SELECT 'pg_class'::regclass::oid AS class, c.oid, 0 AS sub, c.relnamespace AS space, c.relowner AS owner, c.relacl AS list,
           CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS letter, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS word,
           c.relname AS name, NULL::text AS signature, NULL::name AS part
    FROM pg_class c WHERE c.relacl IS NOT NULL
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, a.attnum, c.relnamespace, c.relowner, coalesce(a.attacl, '{}'), NULL, 'table', c.relname, NULL, a.attname
    FROM (SELECT attrelid, attnum FROM pg_attribute WHERE attacl IS NOT NULL
          UNION SELECT i.objoid, i.objsubid FROM pg_init_privs i WHERE i.objsubid > 0) one
    CROSS JOIN LATERAL (SELECT * FROM pg_attribute WHERE attrelid = one.attrelid AND attnum = one.attnum OFFSET 0) a
    JOIN pg_class c ON c.oid = a.attrelid
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 0, p.pronamespace, p.proowner, p.proacl, 'f', CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END,
           p.proname, '(' || oidvectortypes(p.proargtypes) || ')', NULL
    FROM pg_proc p WHERE p.proacl IS NOT NULL
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 0, t.typnamespace, t.typowner, t.typacl, 'T', 'type', t.typname, NULL, NULL
    FROM pg_type t WHERE t.typacl IS NOT NULL
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, 0, NULL, n.nspowner, n.nspacl, 'n', 'schema', n.nspname, NULL, NULL
    FROM pg_namespace n WHERE n.nspacl IS NOT NULL AND n.nspname NOT LIKE 'pg\_temp\_%' AND n.nspname NOT LIKE 'pg\_toast\_temp\_%'
        AND (n.oid NOT IN (SELECT own.oid FROM own) OR EXISTS (SELECT FROM pg_depend d
             WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e'))
    UNION ALL
    SELECT 'pg_language'::regclass, l.oid, 0, NULL, l.lanowner, l.lanacl, 'l', 'language', l.lanname, NULL, NULL
    FROM pg_language l WHERE l.lanacl IS NOT NULL
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, NULL, w.fdwowner, w.fdwacl, 'F', 'foreign data wrapper', w.fdwname, NULL, NULL
    FROM pg_foreign_data_wrapper w WHERE w.fdwacl IS NOT NULL
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, s.oid, 0, NULL, s.srvowner, s.srvacl, 'S', 'foreign server', s.srvname, NULL, NULL
    FROM pg_foreign_server s WHERE s.srvacl IS NOT NULL
), items AS (
    SELECT said.refclassid, said.refobjid, string_agg(said.text, ', ' ORDER BY said.part, said.n, said.text COLLATE "C") AS list
    FROM said GROUP BY 1, 2
)
SELECT 0::oid AS unit, 'pg_namespace'::regclass::oid AS class, n.oid, 0 AS sub, 'schema' AS kind,
       NULL::name AS schema, NULL::name AS parent, n.nspname::text AS name, NULL AS position, NULL::text AS signature,
       jsonb_build_object('owner', pg_get_userbyid(n.nspowner),
           'grants', CASE WHEN n.nspacl IS NOT NULL THEN n.nspacl::text || chr(10) || acldefault('n', n.nspowner)::text END) AS facts
FROM pg_namespace n JOIN own USING (oid)
UNION ALL
SELECT 0, 'pg_extension'::regclass, e.oid, 0, 'extension', NULL, NULL, e.extname, NULL, NULL,
       jsonb_build_object('version', e.extversion, 'schema', e.extnamespace::regnamespace)
FROM pg_extension e
UNION ALL
SELECT 0, 'pg_language'::regclass, l.oid, 0, 'language', NULL, NULL, l.lanname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(l.lanowner), 'trusted', l.lanpltrusted,
           'handler', NULLIF(l.lanplcallfoid, 0)::regproc, 'inline', NULLIF(l.laninline, 0)::regproc,
           'validator', NULLIF(l.lanvalidator, 0)::regproc,
           'grants', CASE WHEN l.lanacl IS NOT NULL THEN l.lanacl::text || chr(10) || acldefault('l', l.lanowner)::text END)
FROM pg_language l WHERE l.oid >= 16384
UNION ALL
SELECT 0, 'pg_am'::regclass, a.oid, 0, 'access method', NULL, NULL, a.amname, NULL, NULL,
       jsonb_build_object('type', a.amtype, 'handler', a.amhandler)
FROM pg_am a WHERE a.oid >= 16384
UNION ALL
-- A copy of a system collation is for any encoding, as it is; a new collation is for the encoding of its database.
SELECT 0, 'pg_collation'::regclass, c.oid, 0, 'collation', own.nspname, NULL, c.collname, NULL, NULL,
       (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion,collencoding}'::text[])
           || jsonb_build_object('owner', pg_get_userbyid(c.collowner))
FROM pg_collation c JOIN own ON own.oid = c.collnamespace
UNION ALL
SELECT 0, 'pg_conversion'::regclass, c.oid, 0, 'conversion', own.nspname, NULL, c.conname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(c.conowner), 'default', c.condefault, 'function', c.conproc,
           'from', pg_encoding_to_char(c.conforencoding), 'to', pg_encoding_to_char(c.contoencoding))
FROM pg_conversion c JOIN own ON own.oid = c.connamespace
UNION ALL
SELECT 0, 'pg_operator'::regclass, o.oid, 0, 'operator', own.nspname, NULL, o.oprname, NULL,
       concat_ws(', ', NULLIF(o.oprleft, 0)::regtype, NULLIF(o.oprright, 0)::regtype),
       jsonb_build_object('owner', pg_get_userbyid(o.oprowner), 'function', o.oprcode,
           'commutator', NULLIF(o.oprcom, 0)::regoperator, 'negator', NULLIF(o.oprnegate, 0)::regoperator,
           'restrict', NULLIF(o.oprrest::oid, 0)::regproc, 'join', NULLIF(o.oprjoin::oid, 0)::regproc,
           'hashes', o.oprcanhash, 'merges', o.oprcanmerge)
FROM pg_operator o JOIN own ON own.oid = o.oprnamespace WHERE o.oprcode <> 0
    AND o.oid NOT IN (SELECT m.objid FROM member m WHERE m.classid = 'pg_operator'::regclass)
UNION ALL
SELECT 0, 'pg_opfamily'::regclass, f.oid, 0, 'operator family', own.nspname, NULL, f.opfname, NULL, m.amname,
       jsonb_build_object('owner', pg_get_userbyid(f.opfowner), 'members', items.list)
FROM pg_opfamily f JOIN own ON own.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
LEFT JOIN items ON items.refclassid = 'pg_opfamily'::regclass AND items.refobjid = f.oid
WHERE f.oid NOT IN (SELECT m.objid FROM member m WHERE m.classid = 'pg_opfamily'::regclass)
UNION ALL
SELECT 0, 'pg_opclass'::regclass, c.oid, 0, 'operator class', own.nspname, NULL, c.opcname, NULL, m.amname,
       jsonb_build_object('owner', pg_get_userbyid(c.opcowner), 'type', c.opcintype::regtype, 'default', c.opcdefault,
           'family', (SELECT quote_ident(n.nspname) || '.' || quote_ident(f.opfname)
                      FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE f.oid = c.opcfamily),
           'storage', NULLIF(c.opckeytype, 0)::regtype, 'members', items.list)
FROM pg_opclass c JOIN own ON own.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod
LEFT JOIN items ON items.refclassid = 'pg_opclass'::regclass AND items.refobjid = c.oid
WHERE c.oid NOT IN (SELECT m.objid FROM member m WHERE m.classid = 'pg_opclass'::regclass)
UNION ALL
SELECT 0, 'pg_cast'::regclass, c.oid, 0, 'cast', NULL, NULL, c.castsource::regtype::text || ' as ' || c.casttarget::regtype::text, NULL, NULL,
       jsonb_build_object('function', NULLIF(c.castfunc, 0)::regprocedure, 'context', c.castcontext, 'method', c.castmethod)
FROM pg_cast c
-- The cast of a range to its multirange comes with the range.
WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'i')
UNION ALL
SELECT 0, 'pg_transform'::regclass, t.oid, 0, 'transform', NULL, NULL, t.trftype::regtype::text, NULL,
       (SELECT l.lanname FROM pg_language l WHERE l.oid = t.trflang),
       jsonb_build_object('from', NULLIF(t.trffromsql::oid, 0)::regproc, 'to', NULLIF(t.trftosql::oid, 0)::regproc)
FROM pg_transform t WHERE t.oid >= 16384
UNION ALL
SELECT 0, 'pg_ts_config'::regclass, c.oid, 0, 'text search configuration', own.nspname, NULL, c.cfgname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(c.cfgowner),
           'parser', (SELECT quote_ident(n.nspname) || '.' || quote_ident(p.prsname)
                      FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.oid = c.cfgparser),
           'mappings', (SELECT string_agg(t.alias || ' ' || t.dictionaries, '; ' ORDER BY t.alias)
                        FROM (SELECT a.alias, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS dictionaries
                              FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) a ON a.tokid = m.maptokentype
                              WHERE m.mapcfg = c.oid GROUP BY a.alias) t))
FROM pg_ts_config c JOIN own ON own.oid = c.cfgnamespace
UNION ALL
SELECT 0, 'pg_ts_dict'::regclass, d.oid, 0, 'text search dictionary', own.nspname, NULL, d.dictname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(d.dictowner), 'options', d.dictinitoption,
           'template', (SELECT quote_ident(n.nspname) || '.' || quote_ident(t.tmplname)
                        FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate))
FROM pg_ts_dict d JOIN own ON own.oid = d.dictnamespace
UNION ALL
SELECT 0, 'pg_ts_parser'::regclass, p.oid, 0, 'text search parser', own.nspname, NULL, p.prsname, NULL, NULL,
       jsonb_build_object('start', p.prsstart, 'token', p.prstoken, 'end', p.prsend, 'headline', p.prsheadline, 'types', p.prslextype)
FROM pg_ts_parser p JOIN own ON own.oid = p.prsnamespace
UNION ALL
SELECT 0, 'pg_ts_template'::regclass, t.oid, 0, 'text search template', own.nspname, NULL, t.tmplname, NULL, NULL,
       jsonb_build_object('init', t.tmplinit, 'lexize', t.tmpllexize)
FROM pg_ts_template t JOIN own ON own.oid = t.tmplnamespace
UNION ALL
SELECT 0, 'pg_foreign_data_wrapper'::regclass, w.oid, 0, 'foreign-data wrapper', NULL, NULL, w.fdwname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(w.fdwowner), 'options', w.fdwoptions,
           'handler', NULLIF(w.fdwhandler, 0)::regproc, 'validator', NULLIF(w.fdwvalidator, 0)::regproc,
           'grants', CASE WHEN w.fdwacl IS NOT NULL THEN w.fdwacl::text || chr(10) || acldefault('F', w.fdwowner)::text END)
FROM pg_foreign_data_wrapper w
UNION ALL
SELECT 0, 'pg_foreign_server'::regclass, s.oid, 0, 'server', NULL, NULL, s.srvname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(s.srvowner), 'options', s.srvoptions, 'type', s.srvtype, 'version', s.srvversion,
           'wrapper', (SELECT w.fdwname FROM pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw),
           'grants', CASE WHEN s.srvacl IS NOT NULL THEN s.srvacl::text || chr(10) || acldefault('S', s.srvowner)::text END)
FROM pg_foreign_server s
UNION ALL
-- The options of a mapping may contain passwords: for all but these, only a digest is ever read.
SELECT 0, 0, m.umid, 0, 'user mapping', NULL, m.srvname, CASE m.umuser WHEN 0 THEN 'public' ELSE m.usename END, NULL, NULL,
       jsonb_build_object('options', CASE
           WHEN m.umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
                AND NOT (m.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE') OR m.usename = current_user
                         AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')))
           THEN 'hidden'
           WHEN NOT EXISTS (SELECT FROM unnest(m.umoptions) o
                            WHERE split_part(o, '=', 1) NOT IN ('user', 'username', 'password_required', 'use_scram_passthrough'))
           THEN m.umoptions::text
           ELSE encode(sha256(convert_to(m.umoptions::text, 'UTF8')), 'hex') END)
FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
UNION ALL
SELECT 0, 'pg_publication'::regclass, p.oid, 0, 'publication', NULL, NULL, p.pubname, NULL, NULL,
       (to_jsonb(p) - '{oid,pubname,pubowner}'::text[]) || jsonb_build_object('owner', pg_get_userbyid(p.pubowner),
           'schemas', (SELECT string_agg(s.pnnspid::regnamespace::text, ', ' ORDER BY s.pnnspid::regnamespace::text COLLATE "C")
                       FROM pg_publication_namespace s WHERE s.pnpubid = p.oid),
           'tables', (SELECT string_agg(concat_ws(' ', r.prrelid::regclass,
                                 (SELECT '(' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C") || ')'
                                  FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)),
                                 'where ' || pg_get_expr(r.prqual, r.prrelid)), ', ' ORDER BY r.prrelid::regclass::text COLLATE "C")
                      FROM pg_publication_rel r WHERE r.prpubid = p.oid))
FROM pg_publication p
UNION ALL
SELECT 0, 'pg_subscription'::regclass, s.oid, 0, 'subscription', NULL, NULL, s.subname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(s.subowner), 'enabled', s.subenabled, 'publications', s.subpublications,
           'slot', s.subslotname, 'synchronous commit', s.subsynccommit, 'binary', s.subbinary,
           -- A boolean in PostgreSQL 15, a letter since then.
           'streaming', CASE s.substream::text WHEN 'true' THEN 't' WHEN 'false' THEN 'f' ELSE s.substream::text END,
           'two phase', NULLIF(s.subtwophasestate <> 'd', false), 'disable on error', NULLIF(s.subdisableonerr, false))
FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()
UNION ALL
SELECT 0, 'pg_event_trigger'::regclass, e.oid, 0, 'event trigger', NULL, NULL, e.evtname, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(e.evtowner), 'event', e.evtevent, 'function', e.evtfoid::regprocedure,
           'enabled', e.evtenabled, 'tags', e.evttags)
FROM pg_event_trigger e
UNION ALL
SELECT 0, 'pg_default_acl'::regclass, d.oid, 0, 'default privileges', NULL, NULL,
       quote_ident(pg_get_userbyid(d.defaclrole)) || coalesce(' in ' || NULLIF(d.defaclnamespace, 0)::regnamespace::text, '')
           || CASE d.defaclobjtype WHEN 'r' THEN ' on tables' WHEN 'S' THEN ' on sequences' WHEN 'f' THEN ' on functions'
              WHEN 'T' THEN ' on types' WHEN 'n' THEN ' on schemas'
              WHEN 'L' THEN ' on large objects' ELSE ' on ' || d.defaclobjtype::text END, NULL, NULL,
       -- An entry that leaves nothing is significant too.
       jsonb_build_object('grants', d.defaclacl::text || chr(10) || '{-}')
FROM pg_default_acl d
UNION ALL
-- The catalog and the number of the object make a unique number.
SELECT 0, 'pg_init_privs'::regclass, l.oid, l.class::int * 2048 + l.sub, 'privileges', NULL, NULL,
       l.word || ' ' || coalesce(quote_ident(n.nspname) || '.', '') || quote_ident(l.name) || coalesce(l.signature, ''), NULL,
       quote_ident(l.part),
       jsonb_build_object('owner', pg_get_userbyid(l.owner), 'extension', e.extname,
           'grants', l.list::text || chr(10) || first.list::text, 'first grants', first.list::text)
FROM lists l
LEFT JOIN pg_namespace n ON n.oid = l.space
LEFT JOIN pg_depend d ON d.classid = l.class AND d.objid = l.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
LEFT JOIN pg_extension e ON e.oid = d.refobjid
LEFT JOIN pg_init_privs i ON i.classoid = l.class AND i.objoid = l.oid AND i.objsubid = l.sub
CROSS JOIN LATERAL (SELECT coalesce(i.initprivs, CASE WHEN l.sub = 0 THEN acldefault(l.letter, l.owner) ELSE '{}' END) AS list) first
WHERE (e.oid IS NOT NULL OR l.oid < 16384 AND (l.class <> 'pg_namespace'::regclass OR l.oid NOT IN (SELECT own.oid FROM own))
       -- The system columns of every table.
       OR l.sub < 0 AND n.nspname NOT LIKE 'pg\_%')
  -- The initial privileges of the information schema are not recorded.
  AND coalesce(n.nspname, l.name) <> 'information_schema'
  AND l.list IS DISTINCT FROM first.list
