-- Before an up script is applied again: finds the rows that are not as the rollback left them. If
-- somebody has changed or removed a row since (~), that was on purpose, and the row gets what the
-- up script makes of it. Or somebody has written a row again that the rollback removed (!).
DECLARE
    {session}
    one      record;
    table_   text;
    target   regclass;
    live     text;
    names_   jsonb;
    -- The condition that a row of the copy and a row of the table have the same key, if a unique
    -- index provides it.
    is_same  text;
    is_exact boolean;
    same     text;
    top      jsonb;
BEGIN
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
    FOR one IN SELECT * FROM {registry} WHERE {chosen} AND shape ? 'left' ORDER BY id LOOP
        table_ := format('%I.%I', {schema}, one.store);
        target := to_regclass(one.shape #>> '{left,table}');
        EXECUTE format('UPDATE %s SET roundtrip_mark = NULL '
            'WHERE roundtrip_mark IS NOT NULL', table_);
        UPDATE {registry} SET shape = shape - 'looked' WHERE id = one.id;
        CONTINUE WHEN EXISTS (
            SELECT FROM jsonb_array_elements_text(one.shape #> '{left,key}' || (
                SELECT jsonb_agg(c -> 'name')
                FROM jsonb_array_elements(one.shape #> '{left,columns}') AS c)) AS e (name)
            WHERE NOT EXISTS (
                SELECT FROM pg_attribute a
                WHERE a.attrelid = target AND a.attname = e.name AND NOT a.attisdropped));
        IF (one.shape ->> 'whole')::boolean THEN
            -- Until the rows are restored, nobody else can write: rows that conflict with them are
            -- from before, or from the up script.
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', target);
        END IF;
        names_ := one.shape #> '{left,key}';
        is_same := NULL;
        IF one.shape ? 'form' AND (one.shape ->> 'unique')::boolean THEN
            is_same := {same};
            EXECUTE format('UPDATE %s AS s SET roundtrip_mark = ''~'' '
                'WHERE s.roundtrip_left IS NOT NULL AND NOT EXISTS ('
                'SELECT FROM ONLY %s AS t WHERE %s AND s.roundtrip_left = %s)',
                table_, target, is_same, {image});
            EXECUTE format('UPDATE %s AS s SET roundtrip_mark = ''!'' '
                'FROM ONLY %s AS t WHERE s.roundtrip_left IS NULL AND %s', table_, target, is_same);
        ELSE
            live := {live};
            EXECUTE format('UPDATE %s AS s SET roundtrip_mark = ''~'' '
                'WHERE s.roundtrip_left IS NOT NULL AND NOT EXISTS ('
                'SELECT FROM (%s) AS l WHERE s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth '
                'AND s.roundtrip_left = l.image)', table_, live);
            EXECUTE format('UPDATE %s AS s SET roundtrip_mark = ''!'' FROM (%s) AS l '
                'WHERE s.roundtrip_left IS NULL AND s.roundtrip_key = l.key '
                'AND s.roundtrip_nth = l.nth', table_, live);
        END IF;
        UPDATE {registry} SET shape = shape || '{"looked": true}' WHERE id = one.id;
        IF (one.shape ->> 'whole')::boolean THEN
            FOR same IN
                SELECT string_agg(
                    CASE WHEN s.atttypid = t.atttypid
                         THEN format('t.%I = s.%I', t.attname, s.attname)
                         ELSE format('{text} = ', t.attname) || format('{stored}', s.attname) END,
                    ' AND ')
                FROM pg_index i
                CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, position)
                LEFT JOIN jsonb_array_elements(one.shape #> '{left,columns}') AS c
                          ON (c ->> 'n')::int2 = k.n
                LEFT JOIN pg_attribute t ON t.attrelid = target AND t.attnum = k.n
                LEFT JOIN pg_attribute s ON s.attrelid = to_regclass(table_)
                          AND s.attname = c ->> 'was'
                WHERE i.indrelid = target AND i.indisunique
                  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.position <= i.indnkeyatts
                GROUP BY i.indexrelid HAVING bool_and(c IS NOT NULL)
                -- Rows with the same key were found before.
                AND (is_same IS NULL OR jsonb_agg(t.attname ORDER BY k.position) <> names_)
            LOOP
                EXECUTE format('UPDATE %s AS s SET roundtrip_mark = ''!'' '
                    'FROM ONLY %s AS t WHERE s.roundtrip_left IS NULL AND %s',
                    table_, target, same);
            END LOOP;
            -- Numbers above the present maximum will belong to rows of the up script only.
            top := NULL;
            same := (
                SELECT a.attname FROM pg_attribute a
                WHERE a.attrelid = target AND a.atttypid IN (20, 21, 23)
                  AND (one.shape ->> 'unique')::boolean
                  AND one.shape #> '{left,key}' = jsonb_build_array(a.attname));
            IF same IS NOT NULL THEN
                EXECUTE format(
                    'SELECT to_jsonb(coalesce(max(%I), -9223372036854775808)) FROM ONLY %s',
                    same, target) INTO top;
            END IF;
            UPDATE {registry} SET shape = shape || jsonb_build_object('top', top, 'marked',
                CASE WHEN current_setting('track_counts') = 'on' THEN
                    jsonb_build_array(pg_current_xact_id()::text, target::oid::bigint,
                        pg_stat_get_xact_tuples_updated(target)) END)
            WHERE id = one.id;
        END IF;
        IF NOT (one.shape ->> 'unique')::boolean THEN
            -- Checks whether every row still exists unchanged, and there are no others.
            EXECUTE format('SELECT (SELECT count(*) FROM (%2$s) AS l) = count(*) '
                'AND coalesce(bool_and(roundtrip_mark IS NULL), true) FROM %1$s '
                'WHERE roundtrip_left IS NOT NULL', table_, live) INTO is_exact;
            UPDATE {registry} SET shape = shape || jsonb_build_object('exact', is_exact)
            WHERE id = one.id;
        END IF;
    END LOOP;
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
END
