(
    -- The query for the rows of a table that stayed, by the names of now: their keys, and digests of what is in the columns left_.
    -- Rows that no key tells apart are numbered by their digests, so that the same rows have the same numbers.
    SELECT format('SELECT k.key, k.image, row_number() OVER (PARTITION BY k.key ORDER BY k.image) AS nth '
               'FROM (SELECT ROW(%s)::text AS key, %s AS image FROM ONLY %s AS t) AS k',
               (SELECT coalesce(string_agg(format('t.%I', e.name), ', ' ORDER BY e.position), '')
                FROM jsonb_array_elements_text(one.shape #> '{left,key}') WITH ORDINALITY AS e (name, position)),
               {image}, one.shape #>> '{left,table}')
)
