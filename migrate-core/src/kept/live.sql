(
    -- The query for the rows of a table that stayed: their keys, and digests of what is in the columns left_.
    SELECT format('SELECT k.key, k.image, %s AS nth FROM (SELECT ROW(%s)::text AS key, md5(ARRAY[%s]::text[]::text) AS image FROM ONLY %s AS t) AS k',
               CASE WHEN (one.shape ->> 'unique')::boolean THEN '1::bigint' ELSE 'row_number() OVER (PARTITION BY k.key)' END,
               (SELECT coalesce(string_agg(format('t.%I', a.attname), ', ' ORDER BY e.position), '')
                FROM jsonb_array_elements_text(one.shape -> 'key') WITH ORDINALITY AS e (name, position)
                JOIN jsonb_array_elements(one.shape -> 'all') AS c ON c ->> 'name' = e.name
                JOIN pg_attribute a ON a.attrelid = (one.shape ->> 'oid')::oid AND a.attnum = (c ->> 'n')::int2),
               (SELECT coalesce(string_agg(format('CASE WHEN t.%1$I IS DISTINCT FROM NULL THEN pg_catalog.format(''%%s'', t.%1$I) END', c ->> 'name'), ', ' ORDER BY c -> 'n'), '')
                FROM jsonb_array_elements(left_) AS c),
               (one.shape ->> 'oid')::oid::regclass)
)
