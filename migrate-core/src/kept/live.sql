(
    -- The query for the remaining rows of a table, with the present names: their keys, and digests
    -- of the remaining columns. Rows without a distinguishing key are numbered by their digests, so
    -- that the same rows have the same numbers.
    SELECT format('SELECT k.key, k.image, '
               'row_number() OVER (PARTITION BY k.key ORDER BY k.image) AS nth '
               'FROM (SELECT ROW(%s)::text AS key, %s AS image FROM ONLY %s AS t) AS k',
               (SELECT coalesce(string_agg(format('t.%I', e.name), ', ' ORDER BY e.position), '')
                FROM jsonb_array_elements_text(one.shape #> '{left,key}')
                     WITH ORDINALITY AS e (name, position)),
               {image}, one.shape #>> '{left,table}')
)
