-- Counts rows that the up script inserted again although they were no longer in the table when it
-- was rolled back, because somebody had removed them. They stay, and are reported. This is done
-- only if every new row is known to come from the up script, and if a key distinguishes rows or the
-- whole table was copied.
IF one.id = ANY (ours) AND one.id IS DISTINCT FROM thin
        AND ((one.shape ->> 'gone')::boolean OR (one.shape ->> 'unique')::boolean) THEN
    EXECUTE CASE WHEN by_key THEN
            format('SELECT count(*) FROM %s AS t WHERE %s NOT EXISTS ('
                'SELECT FROM %I.%I AS s WHERE %s)',
                target,
                CASE WHEN (one.shape ->> 'gone')::boolean THEN ''
                     ELSE format('t.xmin = %L::xid AND', pg_current_xact_id()::xid) END,
                {schema}, one.store, is_same)
        ELSE
            format('SELECT count(*) FROM (%s) AS l WHERE NOT EXISTS ('
                'SELECT FROM %I.%I AS s WHERE s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth)',
                CASE WHEN (one.shape ->> 'gone')::boolean THEN live
                     ELSE format('SELECT %s AS key, 1::bigint AS nth FROM %s AS t '
                         'WHERE t.xmin = %L::xid',
                         key_, target, pg_current_xact_id()::xid) END,
                {schema}, one.store)
        END INTO resown_;
    UPDATE {registry} SET shape = shape || jsonb_build_object('resown', resown_) WHERE id = one.id;
END IF;
