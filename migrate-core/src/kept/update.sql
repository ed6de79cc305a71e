-- Brings back values into the rows that are there.
SELECT string_agg(format(CASE WHEN (one.shape ->> 'gone')::boolean OR one.shape -> 'lost' @> (c -> 'n') THEN '%1$I = s.%1$I::%2$s'
               ELSE '%1$I = CASE WHEN %3$s THEN s.%1$I::%2$s ELSE t.%1$I END' END, a.attname, format_type(a.atttypid, -1), left_), ', '),
    string_agg(format('{text} IS DISTINCT FROM s.%1$I', a.attname), ' OR ')
INTO set_, differs
FROM jsonb_array_elements(one.shape -> 'columns') AS c
JOIN pg_attribute a ON a.attrelid = target AND a.attname = c ->> 'name' AND NOT a.attisdropped AND a.attgenerated = '';
IF set_ IS NOT NULL AND one.id IS DISTINCT FROM thin THEN
    EXECUTE format('UPDATE %s AS t SET %s FROM %s %I.%I AS s WHERE %s AND %s', target, set_,
        CASE WHEN (one.shape ->> 'unique')::boolean THEN '' ELSE format('(%s) AS l,', live) END, {schema}, one.store,
        CASE WHEN (one.shape ->> 'unique')::boolean THEN 's.roundtrip_key = ' || key_
             ELSE 't.ctid = l.at AND t.tableoid = l.part AND s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth' END,
        CASE WHEN (one.shape ->> 'gone')::boolean THEN 'true'
             WHEN one.shape -> 'lost' <> '[]' THEN 's.roundtrip_mark IS DISTINCT FROM ''!'''
             WHEN one.shape -> 'over' <> '[]' THEN left_ || ' AND (' || differs || ')'
             ELSE left_ END);
    GET DIAGNOSTICS updated = ROW_COUNT;
    -- What has its value already was not written again, and is back all the same.
    IF one.shape -> 'over' <> '[]' AND one.shape -> 'lost' = '[]' THEN
        EXECUTE format('SELECT count(*) FROM %I.%I AS s JOIN (%s) AS l ON s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth AND %s',
            {schema}, one.store, live, left_) INTO updated;
    END IF;
END IF;
