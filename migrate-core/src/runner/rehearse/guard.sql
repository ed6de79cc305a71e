SELECT ('roundtrip-server: ' || NULLIF(pg_catalog.concat_ws(', ',
    (SELECT pg_catalog.string_agg(v.what, ', ')
     FROM (VALUES (1260, 'roles'), (1261, 'memberships'), (1213, 'tablespaces'),
        (6243, 'privileges on parameters'), (6000, 'replication origins')) AS v (catalog, what)
     WHERE pg_catalog.pg_stat_get_xact_tuples_inserted(v.catalog)
        + pg_catalog.pg_stat_get_xact_tuples_updated(v.catalog)
        + pg_catalog.pg_stat_get_xact_tuples_deleted(v.catalog) > 0),
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_db_role_setting r
        WHERE r.setdatabase = 0 AND pg_catalog.age(r.xmin) <= 0) THEN 'settings of roles' END,
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_shdescription d
        WHERE d.classoid <> 1262 AND pg_catalog.age(d.xmin) <= 0) THEN 'comments on roles' END),
    ''))::pg_catalog.int4
