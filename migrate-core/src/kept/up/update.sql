-- Restores values in existing rows.
SELECT string_agg(
        format(
            CASE WHEN (one.shape ->> 'gone')::boolean OR one.shape -> 'lost' @> (c -> 'n')
                 THEN '%1$I = %2$s'
                 ELSE '%1$I = CASE WHEN %3$s THEN %2$s ELSE t.%1$I END' END,
            a.attname,
            CASE WHEN k.atttypid = a.atttypid THEN format('s.%I', k.attname)
                 ELSE format('({stored})::%2$s', k.attname, format_type(a.atttypid, -1)) END,
            left_),
        ', '),
    -- Values of the same type are compared in their stored form, because equal values may be
    -- written differently.
    string_agg(
        CASE WHEN k.atttypid = a.atttypid
             THEN format('ROW(t.%1$I)::record *<> ROW(s.%1$I)::record', a.attname)
             ELSE format('{text} IS DISTINCT FROM ', a.attname)
                 || format('{stored}', k.attname) END,
        ' OR ')
INTO set_, differs
FROM jsonb_array_elements(one.shape -> 'columns') AS c
JOIN pg_attribute k ON k.attrelid = to_regclass(format('%I.%I', {schema}, one.store))
     AND k.attname = c ->> 'name'
JOIN pg_attribute a ON a.attrelid = target AND a.attname = c ->> 'name'
     AND NOT a.attisdropped AND a.attgenerated = '';
IF set_ IS NOT NULL AND one.id IS DISTINCT FROM thin THEN
    EXECUTE format('UPDATE %s AS t SET %s FROM %s %I.%I AS s WHERE %s AND %s', target, set_,
        CASE WHEN by_key THEN '' ELSE format('(%s) AS l,', live) END, {schema}, one.store,
        CASE WHEN by_key THEN is_same
             ELSE 't.ctid = l.at AND t.tableoid = l.part '
                 'AND s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth' END,
        CASE WHEN (one.shape ->> 'gone')::boolean THEN 'true'
             WHEN one.shape -> 'lost' <> '[]' THEN 's.roundtrip_mark IS DISTINCT FROM ''!'''
             WHEN one.shape -> 'over' <> '[]' THEN left_ || ' AND (' || differs || ')'
             ELSE left_ END);
    GET DIAGNOSTICS updated = ROW_COUNT;
    -- A row that already has its value was not written again, but counts as restored.
    IF one.shape -> 'over' <> '[]' AND one.shape -> 'lost' = '[]' THEN
        EXECUTE format('SELECT count(*) FROM %I.%I AS s WHERE %s AND NOT (%s)',
            {schema}, one.store, left_, absent) INTO updated;
    END IF;
END IF;
