-- Rows that the up script has just inserted and that conflict with kept rows. If such a row is the
-- same as a kept row but has another number, it is deleted, unless other rows would be deleted with
-- it. A different row that merely has the same sequence number gets a new number.
others := NULL;
drawn := NULL;
belongs := false;
FOR twin IN
    SELECT string_agg(same, ' AND ') AS same, bool_or(is_drawn) AS is_drawn,
        jsonb_agg(attname ORDER BY position) = one.shape -> 'key' AS is_key,
        EXISTS (
            SELECT FROM pg_constraint f
            WHERE f.conrelid = target AND f.contype = 'f' AND f.conkey && array_agg(attnum))
            AS belongs,
        min(attname) AS first
    FROM (
        SELECT i.indexrelid, a.attname, a.attnum, k.position,
            CASE WHEN c.atttypid = a.atttypid THEN format('t.%1$I = s.%1$I', a.attname)
                 ELSE format('{text} = ', a.attname) || format('{stored}', a.attname) END AS same,
            a.attidentity <> ''
                OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false) AS is_drawn,
            EXISTS (SELECT FROM jsonb_array_elements(one.shape -> 'columns') AS c
                    WHERE c ->> 'name' = a.attname) AS is_kept
        FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, position)
        JOIN pg_attribute a ON a.attrelid = target AND a.attnum = k.n
        LEFT JOIN pg_attribute c ON c.attrelid = to_regclass(format('%I.%I', {schema}, one.store))
                  AND c.attname = a.attname
        LEFT JOIN pg_attrdef d ON d.adrelid = target AND d.adnum = k.n
        WHERE i.indrelid = target AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
          AND k.position <= i.indnkeyatts) AS u
    GROUP BY indexrelid HAVING bool_and(is_kept)
LOOP
    -- No two rows have the same key.
    IF NOT (by_key AND twin.is_key) THEN
        EXECUTE format('DELETE FROM %s AS t USING %I.%I AS s WHERE %s AND %s AND NOT (%s)',
            target, {schema}, one.store, rows_, twin.same, is_same)
        || (
            SELECT coalesce(string_agg(
                format(' AND NOT EXISTS (SELECT FROM %s AS o WHERE %s)', f.conrelid::regclass, (
                    SELECT string_agg(
                        format(
                            'pg_catalog.format(''%%s'', o.%I) = pg_catalog.format(''%%s'', t.%I)',
                            o.attname, t.attname),
                        ' AND ')
                    FROM unnest(f.conkey, f.confkey) AS k (theirs, ours)
                    JOIN pg_attribute o ON o.attrelid = f.conrelid AND o.attnum = k.theirs
                    JOIN pg_attribute t ON t.attrelid = f.confrelid AND t.attnum = k.ours)),
                ''), '')
            FROM pg_constraint f
            WHERE f.confrelid = target AND f.contype = 'f' AND f.confdeltype IN ('c', 'n', 'd'));
    END IF;
    IF twin.is_key THEN
        drawn := CASE WHEN twin.is_drawn AND jsonb_array_length(one.shape -> 'key') = 1
                      THEN twin.first END;
    ELSE
        others := concat_ws(' AND ', others, format('NOT (%s)', twin.same));
        belongs := belongs OR twin.belongs;
    END IF;
END LOOP;
WHILE (one.shape ->> 'gone')::boolean AND drawn IS NOT NULL AND belongs LOOP
    EXECUTE format('UPDATE %s AS t SET %I = DEFAULT FROM %I.%I AS s WHERE %s AND %s',
        target, drawn, {schema}, one.store, is_same, others);
    GET DIAGNOSTICS updated = ROW_COUNT;
    EXIT WHEN updated = 0;
END LOOP;
-- If only a sequence number distinguishes rows, rows that are equal in all other columns count as
-- the same, one to one.
IF drawn IS NOT NULL AND others IS NULL
        AND ((one.shape ->> 'gone')::boolean OR one.shape -> 'top' <> 'null') THEN
    EXECUTE (
        SELECT format('WITH made AS MATERIALIZED ('
                'SELECT t.ctid AS at, t.tableoid AS part, ROW(%2$s)::text AS image, '
                'row_number() OVER (PARTITION BY ROW(%2$s)::text) AS nth '
                'FROM %1$s AS t WHERE %3$s AND NOT EXISTS (SELECT FROM %4$I.%5$I AS s WHERE %6$s)) '
                'DELETE FROM %1$s AS t USING made JOIN ('
                'SELECT k.image, row_number() OVER (PARTITION BY k.image) AS nth '
                'FROM (SELECT ROW(%7$s)::text AS image FROM %4$I.%5$I AS s '
                'WHERE EXISTS (SELECT FROM made) AND %8$s AND %9$s) AS k '
                'WHERE k.image IN (SELECT made.image FROM made)) AS back '
                'USING (image, nth) WHERE t.ctid = made.at AND t.tableoid = made.part',
            target, string_agg(format('t.%I', c ->> 'name'), ', '),
            CASE WHEN (one.shape ->> 'gone')::boolean THEN 'true'
                 ELSE format('t.%I > %s', drawn, one.shape -> 'top') END,
            {schema}, one.store, is_same, string_agg(format('s.%I', c ->> 'name'), ', '), rows_,
            CASE WHEN by_key THEN absent
                 ELSE format('NOT EXISTS ('
                     'SELECT FROM (%s) AS l WHERE l.key = s.roundtrip_key)', live) END)
        FROM jsonb_array_elements(one.shape -> 'columns') AS c
        JOIN pg_attribute a ON a.attrelid = target AND a.attname = c ->> 'name'
             AND NOT a.attisdropped
        WHERE c ->> 'name' <> drawn);
END IF;
