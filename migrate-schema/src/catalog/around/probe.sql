-- Whether something in the surroundings of the schema of this database may have changed: who last wrote to which
-- catalog, and how many rows it has. For large catalogs the difference of ages shows that: converting each number to a
-- text and back takes longer than reading it. Rows written by initdb have no age; all others are counted from the first
-- transaction, with wraparound.
SELECT concat_ws('|',
    (SELECT d.xmin::text || ' ' || (SELECT count(*)::text || ' ' || coalesce(max(c.xmin::text::bigint), 0)::text FROM pg_shdescription c
                              WHERE c.classoid = 'pg_database'::regclass AND c.objoid = d.oid)
         || ' ' || (SELECT count(*)::text || ' ' || coalesce(max(c.xmin::text::bigint), 0)::text FROM pg_shseclabel c
                    WHERE c.classoid = 'pg_database'::regclass AND c.objoid = d.oid)
         || ' ' || (SELECT count(*)::text || ' ' || coalesce(max(s.xmin::text::bigint), 0)::text FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)
     FROM pg_database d WHERE d.datname = current_database()),
    (SELECT count(*)::text || ' ' || coalesce(max(m.xmin::text::bigint), 0)::text FROM pg_largeobject_metadata m),
    (SELECT count(*)::text || ' ' || coalesce(max(o.xmin::text::bigint), 0)::text FROM pg_largeobject o),
    (SELECT max(l.xmin::text::bigint) FROM pg_language l WHERE l.oid < 16384),
    (SELECT count(*)::text || ' ' || coalesce(((SELECT age('3'::xid))::bigint - nullif(min(age(c.xmin)), 2147483647) + 4294967296) % 4294967296, 0)::text FROM pg_description c
     WHERE c.objoid < 16384 OR c.classoid = 'pg_largeobject'::regclass),
    (SELECT count(*)::text || ' ' || coalesce(((SELECT age('3'::xid))::bigint - nullif(min(age(p.xmin)), 2147483647) + 4294967296) % 4294967296, 0)::text FROM pg_proc p WHERE p.oid < 16384),
    (SELECT count(*)::text || ' ' || coalesce(((SELECT age('3'::xid))::bigint - nullif(min(age(o.xmin)), 2147483647) + 4294967296) % 4294967296, 0)::text FROM pg_operator o WHERE o.oid < 16384),
    (SELECT count(*)::text || ' ' || coalesce(max(s.xmin::text::bigint), 0)::text FROM pg_subscription s),
    (SELECT max(n.xmin::text::bigint) FROM pg_namespace n WHERE n.oid < 16384 AND n.nspname <> 'public'),
    (SELECT coalesce(((SELECT age('3'::xid))::bigint - nullif(min(age(c.xmin)), 2147483647) + 4294967296) % 4294967296, 0) FROM pg_class c WHERE c.oid < 16384 AND c.relacl IS NOT NULL),
    (SELECT string_agg(c.oid::text, ' ' ORDER BY c.oid) FROM pg_class c WHERE c.relkind = 'm' AND NOT c.relispopulated),
    (SELECT string_agg(m.objid::text || ' ' || m.owner::text, ' ' ORDER BY m.objid)
     FROM
