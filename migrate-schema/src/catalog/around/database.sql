-- What belongs to a database but is not an object of a schema. Nothing here contains the name of the database.
WITH here AS MATERIALIZED (SELECT d.* , d.oid AS id FROM pg_database d WHERE d.datname = current_database()),
lo AS (
    SELECT pg_get_userbyid(m.lomowner) AS owner,
           NULLIF((SELECT string_agg(a::text, ', ' ORDER BY a::text COLLATE "C") FROM unnest(m.lomacl) a),
                  (SELECT string_agg(a::text, ', ' ORDER BY a::text COLLATE "C") FROM unnest(acldefault('L', m.lomowner)) a)) AS grants,
           obj_description(m.oid, 'pg_largeobject') AS comment,
           coalesce((SELECT md5(string_agg(p.data, ''::bytea ORDER BY p.pageno)) FROM pg_largeobject p WHERE p.loid = m.oid), 'empty') AS contents
    FROM pg_largeobject_metadata m
)
SELECT 0::oid AS unit, 'pg_database'::regclass::oid AS class, here.id AS oid, 0 AS sub, 'database' AS kind,
       NULL::name AS schema, NULL::name AS parent, NULL::text AS name, NULL AS position, NULL::text AS signature,
       jsonb_build_object('owner', pg_get_userbyid(datdba), 'connection limit', NULLIF(datconnlimit, -1),
           'tablespace', (SELECT NULLIF(t.spcname, 'pg_default') FROM pg_tablespace t WHERE t.oid = dattablespace),
           'template', NULLIF(datistemplate, false), 'connections', NULLIF(datallowconn, true),
           'comment', shobj_description(here.id, 'pg_database'),
           'labels', (SELECT string_agg(l.provider || ' ' || l.label, ', ' ORDER BY l.provider) FROM pg_shseclabel l
                      WHERE l.classoid = 'pg_database'::regclass AND l.objoid = here.id),
           'grants', CASE WHEN datacl IS NOT NULL THEN datacl::text || chr(10) || acldefault('d', datdba)::text END)
       || coalesce((SELECT jsonb_object_agg('settings' || coalesce(' of ' || NULLIF(s.setrole, 0)::regrole::text, ''),
                               (SELECT string_agg(one, ', ' ORDER BY one COLLATE "C") FROM unnest(s.setconfig) one))
                    FROM pg_db_role_setting s WHERE s.setdatabase = here.id), '{}') AS facts
FROM here
UNION ALL
SELECT 0, 'pg_language'::regclass, l.oid, 0, 'built-in', NULL, NULL, 'language ' || l.lanname, NULL, NULL,
       jsonb_build_object('owner', NULLIF(l.lanowner, 10)::regrole, 'comment', obj_description(l.oid, 'pg_language'),
           'trusted', CASE WHEN l.lanpltrusted <> (l.lanname IN ('sql', 'plpgsql')) THEN l.lanpltrusted END)
FROM pg_language l WHERE l.oid < 16384
UNION ALL
-- The other privileges on built-in objects belong to the schema; those of the information schema are not recorded
-- anywhere.
SELECT 0, 'pg_namespace'::regclass, n.oid, 0, 'built-in', NULL, NULL, 'schema ' || n.nspname, NULL, NULL,
       jsonb_build_object('owner', NULLIF(n.nspowner, 10)::regrole)
FROM pg_namespace n WHERE n.oid < 16384 AND n.nspname <> 'public' AND n.nspowner <> 10
UNION ALL
SELECT 0, 'pg_class'::regclass, c.oid, 0, 'built-in', NULL, NULL, 'table ' || c.oid::regclass::text, NULL, NULL,
       jsonb_build_object('grants', c.relacl::text || chr(10) || acldefault('r', c.relowner)::text)
FROM pg_class c WHERE c.oid < 16384 AND c.relkind IN ('r', 'v') AND c.relacl IS NOT NULL
    AND c.relnamespace = to_regnamespace('information_schema')
UNION ALL
-- There are thousands of these, and they are hardly ever changed: one digest covers all of them, without building their
-- text. Comments on languages and on the schema public are listed with these.
SELECT 0, 'pg_description'::regclass, 0, 0, 'built-in', NULL, NULL, 'comments', NULL, NULL,
       jsonb_build_object('digest', sum(hash_record_extended(ROW(c.classoid, c.objoid, c.objsubid, c.description), 0)))
FROM pg_description c
WHERE c.objoid < 16384 AND c.classoid NOT IN ('pg_language'::regclass, 'pg_largeobject'::regclass)
    AND (c.classoid, c.objoid) NOT IN (SELECT 'pg_namespace'::regclass::oid, n.oid FROM pg_namespace n WHERE n.nspname = 'public')
UNION ALL
SELECT 0, 'pg_proc'::regclass, 0, 0, 'built-in', NULL, NULL, 'functions', NULL, NULL,
       jsonb_build_object('digest', sum(hash_record_extended(
           ROW(p.oid, p.proname, p.pronamespace, p.proowner, p.procost, p.prorows, p.prosupport::oid, p.prosecdef, p.proleakproof,
               p.proisstrict, p.provolatile, p.proparallel, p.proconfig, p.prosrc, p.prosqlbody::text), 0)))
FROM pg_proc p WHERE p.oid < 16384
UNION ALL
SELECT 0, 'pg_operator'::regclass, 0, 0, 'built-in', NULL, NULL, 'operators', NULL, NULL,
       jsonb_build_object('digest', sum(hash_record_extended(ROW(o.*), 0)))
FROM pg_operator o WHERE o.oid < 16384
UNION ALL
-- The facts about subscriptions that a schema does not include, because not every role may read them. A connection may
-- contain a password, so only its digest is read.
SELECT 0, 'pg_subscription'::regclass, s.oid, 0, 'subscription', NULL, NULL, s.subname, NULL, 'options',
       (to_jsonb(s) - '{oid,subname,subdbid,subowner,subenabled,subpublications,subslotname,subsynccommit,subbinary,substream,subtwophasestate,subdisableonerr,subskiplsn,subconninfo}'::text[])
       || jsonb_build_object('connection', left(encode(sha256(convert_to(s.subconninfo, 'UTF8')), 'hex'), 12))
FROM pg_subscription s WHERE s.subdbid = (SELECT here.id FROM here)
UNION ALL
-- A large object has a number, which differs each time it is created.
SELECT 0, 'pg_largeobject'::regclass, 0, 0, 'large object', NULL, NULL, left(lo.contents, 12), NULL,
       concat_ws(', ', 'of ' || lo.owner::text, lo.grants, lo.comment), jsonb_build_object('count', count(*))
FROM lo GROUP BY lo.owner, lo.grants, lo.comment, lo.contents
UNION ALL
SELECT 0, 'pg_class'::regclass, c.oid, 1, 'unpopulated materialized view', n.nspname, NULL, c.relname, NULL, NULL, '{}'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND NOT c.relispopulated
UNION ALL
-- A member of an extension belongs to the owner of the extension, unless somebody gave it to another role.
SELECT 0, 'pg_depend'::regclass, m.objid, 0, 'member of extension', NULL, NULL, m.extname, NULL,
       pg_describe_object(m.classid, m.objid, 0), jsonb_build_object('owner', m.owner::regrole)
FROM
