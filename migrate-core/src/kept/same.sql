(
    -- The condition that a row s of a copy and a row t of the table have the same key in a unique
    -- index.
    SELECT string_agg(
        CASE WHEN k.atttypid = a.atttypid THEN format('s.%I = t.%I', k.attname, a.attname)
             ELSE format('format(''%%s'', s.%I) = format(''%%s'', t.%I)', k.attname, a.attname) END,
        ' AND ' ORDER BY was.n)
    FROM jsonb_array_elements_text(one.shape -> 'key') WITH ORDINALITY AS was (name, n)
    JOIN jsonb_array_elements_text(coalesce(names_, one.shape -> 'key'))
         WITH ORDINALITY AS now (name, n) USING (n)
    JOIN pg_attribute k ON k.attrelid = to_regclass(format('%I.%I', {schema}, one.store))
         AND k.attname = was.name
    JOIN pg_attribute a ON a.attrelid = target AND a.attname = now.name
)
