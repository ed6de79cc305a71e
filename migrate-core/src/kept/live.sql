(
    -- The query for the rows of a table that stayed, by the names of now: their keys, and digests of what is in the columns left_.
    -- Rows that no key tells apart are numbered by their digests, so that the same rows have the same numbers.
    SELECT format('SELECT k.key, k.image, %s AS nth FROM (SELECT ROW(%s)::text AS key, md5(ARRAY[%s]::text[]::text) AS image FROM ONLY %s AS t) AS k',
               CASE WHEN (one.shape ->> 'unique')::boolean THEN '1::bigint' ELSE 'row_number() OVER (PARTITION BY k.key ORDER BY k.image)' END,
               (SELECT coalesce(string_agg(format('t.%I', e.name), ', ' ORDER BY e.position), '')
                FROM jsonb_array_elements_text(one.shape #> '{left,key}') WITH ORDINALITY AS e (name, position)),
               (SELECT coalesce(string_agg(format('{text}', c ->> 'name'), ', ' ORDER BY c -> 'n'), '')
                FROM jsonb_array_elements(one.shape #> '{left,columns}') AS c),
               one.shape #>> '{left,table}')
)
