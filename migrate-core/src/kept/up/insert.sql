-- Restores the rows that are missing. Rows that refer to rows that somebody has removed since stay
-- in the copy.
parents := (
    SELECT string_agg(
        format(' AND (%s OR EXISTS (SELECT FROM %s AS p WHERE %s))',
            key.is_null, f.confrelid::regclass, key.same), '')
    FROM pg_constraint f CROSS JOIN LATERAL (
        SELECT string_agg(format('s.%I IS NULL', c.attname), ' OR ') AS is_null,
            string_agg(
                format('p.%I OPERATOR(%s.%s) s.%I::%s', p.attname, o.oprnamespace::regnamespace,
                    o.oprname, c.attname, format_type(c.atttypid, -1)), ' AND ') AS same,
            bool_and(one.shape -> 'columns'
                @> jsonb_build_array(jsonb_build_object('name', c.attname))) AS is_kept
        FROM unnest(f.conkey, f.confkey, f.conpfeqop) AS k (ours, theirs, operator)
        JOIN pg_operator o ON o.oid = k.operator
        JOIN pg_attribute c ON c.attrelid = target AND c.attnum = k.ours
        JOIN pg_attribute p ON p.attrelid = f.confrelid AND p.attnum = k.theirs) AS key
    WHERE f.conrelid = target AND f.contype = 'f' AND key.is_kept
      AND pg_get_constraintdef(f.oid) NOT LIKE '%, PERIOD %'
      AND NOT EXISTS (
          SELECT FROM {registry} r
          WHERE r.id = ANY (open_) AND r.id <> ALL (thinned)
            AND f.confrelid IN (
                to_regclass(nullif(r.relation, '')), to_regclass(r.shape ->> 'root'))));
put := (
    SELECT format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE '
            'SELECT %s FROM %I.%I AS s WHERE %s AND %s',
        target,
        string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
        string_agg(
            CASE WHEN one.id = thin AND NOT a.attnotnull AND EXISTS (
                     SELECT FROM pg_constraint f
                     WHERE f.conrelid = target AND f.contype = 'f' AND a.attnum = ANY (f.conkey))
                 THEN 'NULL'
                 WHEN k.atttypid = a.atttypid THEN format('s.%I', k.attname)
                 ELSE format('({stored})::%2$s', k.attname, format_type(a.atttypid, -1)) END,
            ', ' ORDER BY a.attnum),
        {schema}, one.store, rows_ || coalesce(parents, ''),
        CASE WHEN is_empty THEN 'true' ELSE absent END)
    FROM jsonb_array_elements(one.shape -> 'columns') AS c
    JOIN pg_attribute k ON k.attrelid = to_regclass(format('%I.%I', {schema}, one.store))
         AND k.attname = c ->> 'name'
    JOIN pg_attribute a ON a.attrelid = target AND a.attname = c ->> 'name'
         AND NOT a.attisdropped AND a.attgenerated = '');
-- Checking for a conflict before each row takes time, and usually there is none.
BEGIN
    EXECUTE put;
    GET DIAGNOSTICS inserted = ROW_COUNT;
EXCEPTION WHEN unique_violation OR exclusion_violation THEN
    EXECUTE put || ' ON CONFLICT DO NOTHING';
    GET DIAGNOSTICS inserted = ROW_COUNT;
END;
