-- Reads the copy and the table once, and writes what is to be kept: with a digest of what remains
-- of each row, and without unchanged rows.
EXECUTE (
    SELECT format('CREATE TABLE %1$I.%2$I AS SELECT %3$s, '
            'CASE WHEN t.ctid IS NOT NULL THEN %4$s END AS roundtrip_left, '
            'NULL::text AS roundtrip_mark '
            'FROM %1$I.%5$I AS s LEFT JOIN ONLY %6$s AS t ON %7$s%8$s',
        {schema}, 'roundtrip_' || pg_current_xact_id(),
        (SELECT string_agg(format('s.%I', k.attname), ', ' ORDER BY k.attnum) FROM pg_attribute k
         WHERE k.attrelid = to_regclass(table_) AND k.attnum > 0 AND NOT k.attisdropped
           AND k.attname NOT IN ('roundtrip_left', 'roundtrip_mark')),
        {image}, one.store, target, {same},
        CASE WHEN is_plain
             THEN ' WHERE t.ctid IS NULL' || coalesce(d.images, '') || coalesce(d.texts, '') END)
    FROM (
        -- Values of the same type are compared in their stored form, because equal values may be
        -- written differently.
        SELECT format(' OR ROW(%s)::record *<> ROW(%s)::record',
                string_agg(format('s.%I', k.attname), ', ' ORDER BY k.attnum)
                    FILTER (WHERE k.atttypid = a.atttypid),
                string_agg(format('t.%I', a.attname), ', ' ORDER BY k.attnum)
                    FILTER (WHERE k.atttypid = a.atttypid)) AS images,
            string_agg(
                format(' OR {stored} IS DISTINCT FROM ', k.attname)
                    || format('{text}', a.attname), '')
                FILTER (WHERE k.atttypid <> a.atttypid) AS texts
        FROM jsonb_array_elements(one.shape #> '{left,columns}') AS c
        JOIN pg_attribute k ON k.attrelid = to_regclass(table_) AND k.attname = c ->> 'was'
        JOIN pg_attribute a ON a.attrelid = target AND a.attnum = (c ->> 'n')::int2) AS d);
GET DIAGNOSTICS number = ROW_COUNT;
EXECUTE format('DROP TABLE %s', table_);
EXECUTE format('ALTER TABLE %I.%I RENAME TO %I',
    {schema}, 'roundtrip_' || pg_current_xact_id(), one.store);
