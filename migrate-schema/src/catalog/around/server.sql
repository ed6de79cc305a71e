-- What exists once per server. Passwords are never read, only whether there is one.
SELECT 0::oid AS unit, 'pg_authid'::regclass::oid AS class, r.oid AS oid, 0 AS sub, 'role' AS kind,
       NULL::name AS schema, NULL::name AS parent, r.rolname::text AS name, NULL AS position, NULL::text AS signature,
       jsonb_build_object('superuser', NULLIF(r.rolsuper, false), 'inherit', NULLIF(r.rolinherit, true),
           'createrole', NULLIF(r.rolcreaterole, false), 'createdb', NULLIF(r.rolcreatedb, false),
           'login', NULLIF(r.rolcanlogin, false), 'replication', NULLIF(r.rolreplication, false),
           'bypassrls', NULLIF(r.rolbypassrls, false), 'connection limit', NULLIF(r.rolconnlimit, -1),
           -- No statement can remove the expiry time again; infinity counts as none.
           'valid until', NULLIF(r.rolvaliduntil, 'infinity'), 'password', CASE WHEN r.rolpassword IS NOT NULL THEN 'set' END,
           'comment', shobj_description(r.oid, 'pg_authid'),
           'labels', (SELECT string_agg(l.provider || ' ' || l.label, ', ' ORDER BY l.provider) FROM pg_shseclabel l
                      WHERE l.classoid = 'pg_authid'::regclass AND l.objoid = r.oid),
           'settings', (SELECT (SELECT string_agg(one, ', ' ORDER BY one COLLATE "C") FROM unnest(s.setconfig) one)
                        FROM pg_db_role_setting s WHERE s.setdatabase = 0 AND s.setrole = r.oid),
           'member of', (SELECT string_agg(m.roleid::regrole::text || ' ' || (to_jsonb(m) - '{oid,roleid,member,grantor}'::text[])::text
                                    || ' by ' || m.grantor::regrole::text, ', ' ORDER BY m.roleid::regrole::text COLLATE "C", m.grantor::regrole::text COLLATE "C")
                         FROM pg_auth_members m WHERE m.member = r.oid)) AS facts
FROM pg_authid r WHERE r.rolname NOT LIKE 'pg\_%' OR r.oid >= 16384
UNION ALL
SELECT 0, 0, 2, 0, 'parameter', NULL, NULL, split_part(one, '=', 1), NULL, 'of all roles',
       jsonb_build_object('value', substr(one, strpos(one, '=') + 1))
FROM pg_db_role_setting s, unnest(s.setconfig) one WHERE s.setdatabase = 0 AND s.setrole = 0
UNION ALL
SELECT 0, 'pg_database'::regclass, d.oid, 0, 'database', NULL, NULL, d.datname::text, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(d.datdba), 'connection limit', NULLIF(d.datconnlimit, -1),
           'template', NULLIF(d.datistemplate, false), 'connections', NULLIF(d.datallowconn, true),
           'tablespace', (SELECT NULLIF(t.spcname, 'pg_default') FROM pg_tablespace t WHERE t.oid = d.dattablespace),
           'comment', shobj_description(d.oid, 'pg_database'),
           'grants', CASE WHEN d.datacl IS NOT NULL THEN d.datacl::text || chr(10) || acldefault('d', d.datdba)::text END)
       || coalesce((SELECT jsonb_object_agg('settings' || coalesce(' of ' || NULLIF(s.setrole, 0)::regrole::text, ''),
                               (SELECT string_agg(one, ', ' ORDER BY one COLLATE "C") FROM unnest(s.setconfig) one))
                    FROM pg_db_role_setting s WHERE s.setdatabase = d.oid), '{}')
FROM pg_database d WHERE d.datname <> current_database()
UNION ALL
SELECT 0, 'pg_tablespace'::regclass, t.oid, 0, 'tablespace', NULL, NULL, t.spcname::text, NULL, NULL,
       jsonb_build_object('owner', pg_get_userbyid(t.spcowner), 'location', NULLIF(regexp_replace(pg_tablespace_location(t.oid), '^pg_tblspc/.*', ''), ''),
           'options', (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C") FROM unnest(t.spcoptions) o),
           'comment', shobj_description(t.oid, 'pg_tablespace'),
           'grants', CASE WHEN t.spcacl IS NOT NULL THEN t.spcacl::text || chr(10) || acldefault('t', t.spcowner)::text END)
FROM pg_tablespace t
UNION ALL
SELECT 0, 'pg_parameter_acl'::regclass, p.oid, 0, 'parameter', NULL, NULL, p.parname, NULL, NULL,
       jsonb_build_object('grants', p.paracl::text || chr(10) || '{}')
FROM pg_parameter_acl p
UNION ALL
SELECT 0, 'pg_replication_origin'::regclass, o.roident, 0, 'replication origin', NULL, NULL, o.roname, NULL, NULL, '{}'
-- The origin of a subscription is dropped with it, and is named by its number.
FROM pg_replication_origin o WHERE o.roname !~ '^pg_[0-9]+(_[0-9]+)?$'
UNION ALL
SELECT 0, 0, 0, 0, 'replication slot', NULL, NULL, s.slot_name::text, NULL, NULL,
       jsonb_build_object('type', s.slot_type, 'plugin', s.plugin, 'two phase', NULLIF(s.two_phase, false))
FROM pg_replication_slots s WHERE NOT s.temporary
UNION ALL
SELECT 0, 1, 0, 0, 'parameter', NULL, NULL, f.name, NULL, 'of the system', jsonb_build_object('value', max(f.setting))
FROM pg_file_settings f WHERE f.sourcefile LIKE '%postgresql.auto.conf' GROUP BY f.name
