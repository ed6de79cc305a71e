-- Before a down script: tries it in a subtransaction, observes in the catalogs and the statistics
-- which tables lose data, tries the up script that would be applied again after it, rolls both
-- back, and copies those tables.
DECLARE
    {session}
    -- The columns that the up script sets, if its text shows all of them; and the tables that it
    -- names.
    sets     CONSTANT text[] := {columns};
    named    oid[]           := ARRAY(SELECT to_regclass(t)::oid FROM unnest({tables}) AS t);
    there    jsonb;
    wanted   jsonb;
    moved    oid[]           := '{}';
    thinned  oid[]           := '{}';
    is_plain boolean;
    why      text;
    unsure   text            := {untried};
    one      jsonb;
    number   bigint;
    cols     jsonb;
    keys     jsonb;
    many     bigint;
    digest   boolean;
    is_whole boolean;
BEGIN
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
    there := (
        SELECT jsonb_agg(
            jsonb_build_object(
                'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
                'node', pg_relation_filenode(c.oid),
                'count', pg_stat_get_xact_tuples_updated(c.oid)
                    + pg_stat_get_xact_tuples_deleted(c.oid),
                'columns', (
                    SELECT coalesce(jsonb_agg(
                        jsonb_build_object(
                            'n', a.attnum, 'name', a.attname,
                            'type', format('%s %s', a.atttypid, a.atttypmod),
                            'generated', a.attgenerated <> '')
                        ORDER BY a.attnum), '[]')
                    FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                      AND c.relkind = 'r'))
            ORDER BY c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT (n.nspname = {schema} AND c.relname ~ {ours}));
    BEGIN
        PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
        EXECUTE {script};
        named := named || ARRAY(SELECT to_regclass(t)::oid FROM unnest({tables}) AS t);
        PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
        there := (
            SELECT jsonb_agg(was || jsonb_build_object(
                'gone', c.oid IS NULL, 'lost', now.lost, 'then', pg_relation_filenode(c.oid),
                'touched', now.is_touched OR (c.oid IS NOT NULL
                    AND (was ->> 'node') IS DISTINCT FROM pg_relation_filenode(c.oid)::text),
                'inserted', pg_stat_get_xact_tuples_inserted(c.oid),
                'updated', pg_stat_get_xact_tuples_updated(c.oid),
                'deleted', pg_stat_get_xact_tuples_deleted(c.oid)))
            FROM jsonb_array_elements(there) AS was
            LEFT JOIN pg_class c ON c.oid = (was ->> 'oid')::oid
            CROSS JOIN LATERAL (
                SELECT coalesce(jsonb_agg(column_ -> 'n')
                           FILTER (WHERE a.attisdropped IS NOT FALSE), '[]') AS lost,
                       coalesce(bool_or(NOT a.attisdropped
                           AND format('%s %s', a.atttypid, a.atttypmod) <> column_ ->> 'type'),
                           false)
                       OR pg_stat_get_xact_tuples_updated(c.oid)
                           + pg_stat_get_xact_tuples_deleted(c.oid)
                           > (was ->> 'count')::bigint AS is_touched
                FROM jsonb_array_elements(was -> 'columns') AS column_
                LEFT JOIN pg_attribute a ON a.attrelid = c.oid
                          AND a.attnum = (column_ ->> 'n')::int2) AS now);
        {reapply}
        RAISE EXCEPTION USING ERRCODE = 'RT001';
    EXCEPTION
        WHEN SQLSTATE 'RT001' THEN NULL;
        WHEN lock_not_available OR deadlock_detected THEN RAISE;
        WHEN OTHERS THEN why := SQLERRM;
    END;
    IF current_setting('track_counts') <> 'on' THEN
        why := 'the server does not count rows (track_counts is off)';
    END IF;
    {over}
    IF (why IS NOT NULL OR unsure IS NOT NULL OR wanted IS NOT NULL)
            AND to_regclass({registry_name}) IS NULL THEN
        EXECUTE {create};
    END IF;
    number := 0;
    IF why IS NOT NULL OR unsure IS NOT NULL OR wanted IS NOT NULL THEN
        number := (SELECT coalesce(max(id), 0) FROM {registry});
    END IF;
    IF why IS NOT NULL OR unsure IS NOT NULL THEN
        number := number + 1;
        -- If the script succeeds although it could not be tried, it is refused at its end: see
        -- judge.sql.
        INSERT INTO {registry} (id, version, name, relation, what, shape)
        VALUES (number, {version}, {name}, '',
            CASE WHEN why IS NULL THEN 'not known is what its up writes over: ' || unsure
                 ELSE 'nothing' END,
            jsonb_build_object(CASE WHEN why IS NULL THEN 'unsure' ELSE 'why' END, why));
    END IF;
    FOR one IN SELECT jsonb_array_elements(coalesce(wanted, '[]')) LOOP
        number := number + 1;
        {copy}
    END LOOP;
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
END
