-- After a down script: compares the copies with what remains, discards what still exists, and
-- records what happened to the rest.
DECLARE
    {session}
    one      record;
    table_   text;
    target   regclass;
    names_   jsonb;
    live     text;
    number   bigint;
    -- Whether only removed rows and changed values count, so that unchanged rows are not kept.
    is_plain boolean;
BEGIN
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
    IF to_regclass({registry_name}) IS NOT NULL THEN
        FOR one IN
            SELECT * FROM {registry}
            WHERE transaction = pg_current_xact_id_if_assigned() AND version = {version} ORDER BY id
        LOOP
            IF one.what = 'nothing' THEN
                RAISE EXCEPTION USING ERRCODE = 'RT002', MESSAGE =
                    'what this rollback takes away could not be found out: '
                    || (one.shape ->> 'why');
            END IF;
            CONTINUE WHEN one.store IS NULL OR (one.shape ->> 'gone')::boolean
                OR NOT (one.shape ->> 'whole')::boolean AND one.shape -> 'over' = '[]';
            table_ := format('%I.%I', {schema}, one.store);
            target := (one.shape ->> 'oid')::oid::regclass;
            is_plain := one.shape -> 'lost' = '[]' AND one.shape -> 'over' = '[]';
            number := one.rows;
            -- The table, its key and the remaining columns, with their present names.
            one.shape := one.shape || (
                SELECT jsonb_build_object('left', jsonb_build_object(
                    'table', target::text,
                    'key', (
                        SELECT coalesce(jsonb_agg(a.attname ORDER BY e.position), '[]')
                        FROM jsonb_array_elements_text(one.shape -> 'key')
                             WITH ORDINALITY AS e (name, position)
                        JOIN jsonb_array_elements(one.shape -> 'all') AS c ON c ->> 'name' = e.name
                        JOIN pg_attribute a ON a.attrelid = target
                             AND a.attnum = (c ->> 'n')::int2),
                    'columns', (
                        SELECT jsonb_agg(
                            jsonb_build_object('n', a.attnum, 'was', c -> 'name', 'name', a.attname)
                            ORDER BY a.attnum)
                        FROM jsonb_array_elements(one.shape -> 'columns') AS c
                        JOIN pg_attribute a ON a.attrelid = target AND a.attnum = (c ->> 'n')::int2
                             AND NOT a.attisdropped))));
            names_ := one.shape #> '{left,key}';
            IF (one.shape ->> 'unique')::boolean THEN
                IF one.shape -> 'still' IS DISTINCT FROM jsonb_build_array(
                        pg_relation_filenode(target),
                        pg_stat_get_xact_tuples_updated(target)
                            + pg_stat_get_xact_tuples_deleted(target)) THEN
                    {sift}
                END IF;
            ELSE
                live := {live};
                EXECUTE format('UPDATE %s AS s SET roundtrip_left = l.image FROM (%s) AS l '
                    'WHERE s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth', table_, live);
                IF is_plain THEN
                    EXECUTE (
                        SELECT format('DELETE FROM %s AS s '
                            'WHERE roundtrip_left = md5(ROW(%s)::text)',
                            table_,
                            string_agg(format('s.%I', c ->> 'was'), ', ' ORDER BY c -> 'n'))
                        FROM jsonb_array_elements(one.shape #> '{left,columns}') AS c);
                END IF;
                -- Rows without a distinguishing key: the counts tell whether rows were removed or
                -- changed.
                EXECUTE format('SELECT %s - count(*) '
                    '- (SELECT count(*) FROM %s WHERE roundtrip_left IS NULL) FROM (%s) AS l',
                    one.rows, table_, live) INTO number;
                IF number <> 0 THEN
                    EXECUTE format(
                        'UPDATE %s SET roundtrip_left = ''?'' WHERE roundtrip_left IS NULL',
                        table_);
                END IF;
                EXECUTE format('SELECT count(*) FROM %s', table_) INTO number;
            END IF;
            UPDATE {registry} SET rows = number, shape = one.shape WHERE id = one.id;
            IF number = 0 THEN
                EXECUTE format('DROP TABLE %s', table_);
                DELETE FROM {registry} WHERE id = one.id;
            END IF;
        END LOOP;
    END IF;
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
END
