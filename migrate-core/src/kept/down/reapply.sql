-- Inside the trial of a down script, after it: tries the up script that would be applied again, and
-- observes which rows it overwrites.
IF {up} IS NOT NULL THEN
    BEGIN
        SET CONSTRAINTS ALL IMMEDIATE;
        PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
        EXECUTE {up};
        PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
        SELECT coalesce(array_agg(c.oid) FILTER (WHERE is_moved), '{}'),
               coalesce(array_agg(c.oid) FILTER (
                   WHERE pg_stat_get_xact_tuples_deleted(c.oid) > (was ->> 'deleted')::bigint
                      OR is_moved AND {rows}), '{}'),
               -- A trigger may set columns that the script does not set.
               NOT coalesce(bool_or(
                   (is_moved
                    OR pg_stat_get_xact_tuples_inserted(c.oid) > (was ->> 'inserted')::bigint)
                   AND EXISTS (
                       SELECT FROM pg_trigger t
                       WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D')),
                   false)
        INTO moved, thinned, is_plain
        FROM jsonb_array_elements(there) AS was
        JOIN pg_class c ON c.oid = (was ->> 'oid')::oid AND c.relkind = 'r'
        CROSS JOIN LATERAL (
            SELECT (was ->> 'then') IS DISTINCT FROM pg_relation_filenode(c.oid)::text
                OR pg_stat_get_xact_tuples_updated(c.oid) > (was ->> 'updated')::bigint
                OR pg_stat_get_xact_tuples_deleted(c.oid) > (was ->> 'deleted')::bigint
                AS is_moved) AS now;
    EXCEPTION
        WHEN lock_not_available OR deadlock_detected THEN RAISE;
        WHEN OTHERS THEN unsure := SQLERRM;
    END;
END IF;
