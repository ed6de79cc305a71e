-- After the trial: decides what is copied, and why. If the up script could not be tried, its text
-- decides, as far as possible.
IF unsure IS NOT NULL THEN
    moved := array_remove(named, NULL)
        || ARRAY(SELECT p.relid FROM unnest(named) AS n, LATERAL pg_partition_tree(n) AS p);
    thinned := CASE WHEN {rows} THEN moved ELSE '{}' END;
    is_plain := NOT EXISTS (
        SELECT FROM pg_trigger t
        WHERE t.tgrelid = ANY (moved) AND NOT t.tgisinternal AND t.tgenabled <> 'D');
    IF sets IS NOT NULL THEN
        unsure := NULL;
    END IF;
END IF;
wanted := (
    -- Oldest first, so that two rollbacks that keep data lock in the same order.
    SELECT jsonb_agg(
        was || jsonb_build_object(
            'over', over.columns, 'thinned', (was ->> 'oid')::oid = ANY (thinned))
        ORDER BY (was ->> 'oid')::oid)
    FROM jsonb_array_elements(there) AS was
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(c -> 'n' ORDER BY c -> 'n'), '[]') AS columns
        FROM jsonb_array_elements(was -> 'columns') AS c
        WHERE (was ->> 'oid')::oid = ANY (moved) AND NOT (was ->> 'gone')::boolean
          AND NOT was -> 'lost' @> (c -> 'n') AND NOT (c ->> 'generated')::boolean
          AND (sets IS NULL OR NOT is_plain OR (was ->> 'oid')::oid = ANY (thinned)
               OR c ->> 'name' = ANY (sets)
               OR EXISTS (
                   SELECT FROM pg_constraint f
                   WHERE f.conrelid = (was ->> 'oid')::oid AND f.contype = 'f'
                     AND (c ->> 'n')::int2 = ANY (f.conkey)
                     AND (f.confupdtype IN ('c', 'n', 'd') OR f.confdeltype IN ('n', 'd')))))
        AS over
    WHERE (was ->> 'gone')::boolean OR was -> 'lost' <> '[]' OR (was ->> 'touched')::boolean
       OR over.columns <> '[]');
