(
    -- A digest of the remaining columns of the row t. Copies older than form 2 have the digest of
    -- an array of texts.
    SELECT CASE WHEN one.shape ? 'form' THEN
               format('md5(ROW(%s)::text)',
                   coalesce(string_agg(format('t.%I', c ->> 'name'), ', ' ORDER BY c -> 'n'), ''))
           ELSE
               format('md5(ARRAY[%s]::text[]::text)',
                   coalesce(string_agg(format('{text}', c ->> 'name'), ', ' ORDER BY c -> 'n'), ''))
           END
    FROM jsonb_array_elements(one.shape #> '{left,columns}') AS c
)
