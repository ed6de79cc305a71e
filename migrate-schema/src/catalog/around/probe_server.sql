-- The same for what exists once per server.
SELECT concat_ws('|',
    (SELECT count(*)::text || ' ' || max(r.xmin::text::bigint)::text FROM pg_authid r),
    (SELECT count(*)::text || ' ' || coalesce(max(m.xmin::text::bigint), 0)::text FROM pg_auth_members m),
    (SELECT count(*)::text || ' ' || coalesce(max(s.xmin::text::bigint), 0)::text FROM pg_db_role_setting s),
    (SELECT count(*)::text || ' ' || max(d.xmin::text::bigint)::text FROM pg_database d),
    (SELECT count(*)::text || ' ' || max(t.xmin::text::bigint)::text FROM pg_tablespace t),
    (SELECT count(*)::text || ' ' || coalesce(max(c.xmin::text::bigint), 0)::text FROM pg_shdescription c),
    (SELECT count(*)::text || ' ' || coalesce(max(c.xmin::text::bigint), 0)::text FROM pg_shseclabel c),
    (SELECT count(*)::text || ' ' || coalesce(max(p.xmin::text::bigint), 0)::text FROM pg_parameter_acl p),
    (SELECT string_agg(o.roname, ' ' ORDER BY o.roname COLLATE "C") FROM pg_replication_origin o
     WHERE o.roname !~ '^pg_[0-9]+(_[0-9]+)?$'),
    (SELECT string_agg(s.slot_name, ' ' ORDER BY s.slot_name COLLATE "C") FROM pg_replication_slots s WHERE NOT s.temporary),
    -- The view of the file settings would read all the files again.
    md5(pg_read_binary_file('postgresql.auto.conf', 0, 1 << 20, true)))
