-- Before a down: tries it out in a subtransaction, sees in the catalogs and the counters which tables lose something,
-- takes the try back, and copies those tables aside. All values are copied as text, for their types may go as well.
DECLARE
    settings CONSTANT jsonb := {settings};
    saved    CONSTANT jsonb := (SELECT jsonb_object_agg(s.k, current_setting(s.k)) FROM jsonb_each_text(settings) AS s (k, v));
    there    jsonb;
    wanted   jsonb;
    why      text;
    one      jsonb;
    number   bigint;
    cols     jsonb;
    keys     jsonb;
    is_whole boolean;
    root     text;
BEGIN
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
    there := (
        SELECT jsonb_agg(jsonb_build_object('oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
                   'node', pg_relation_filenode(c.oid), 'columns', (
                       SELECT coalesce(jsonb_agg(jsonb_build_object('n', a.attnum, 'name', a.attname,
                                  'type', format('%s %s', a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '') ORDER BY a.attnum), '[]')
                       FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r')) ORDER BY c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT (n.nspname = {schema} AND c.relname ~ {ours}));
    BEGIN
        PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
        EXECUTE {script};
        PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
        wanted := (
            SELECT jsonb_agg(was || jsonb_build_object('gone', c.oid IS NULL, 'lost', now.lost,
                       'touched', now.is_touched OR (c.oid IS NOT NULL AND (was ->> 'node') IS DISTINCT FROM pg_relation_filenode(c.oid)::text))
                       -- The oldest first: two rollbacks that keep lock in the same order.
                       ORDER BY (was ->> 'oid')::oid)
            FROM jsonb_array_elements(there) AS was
            LEFT JOIN pg_class c ON c.oid = (was ->> 'oid')::oid
            CROSS JOIN LATERAL (
                SELECT coalesce(jsonb_agg(column_ -> 'n') FILTER (WHERE a.attisdropped IS NOT FALSE), '[]') AS lost,
                       coalesce(bool_or(NOT a.attisdropped AND format('%s %s', a.atttypid, a.atttypmod) <> column_ ->> 'type'), false)
                           OR pg_stat_get_xact_tuples_updated(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid) > 0 AS is_touched
                FROM jsonb_array_elements(was -> 'columns') AS column_
                LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = (column_ ->> 'n')::int2) AS now
            WHERE c.oid IS NULL OR now.lost <> '[]' OR now.is_touched OR (was ->> 'node') IS DISTINCT FROM pg_relation_filenode(c.oid)::text);
        RAISE EXCEPTION USING ERRCODE = 'RT001';
    EXCEPTION
        WHEN SQLSTATE 'RT001' THEN NULL;
        WHEN lock_not_available OR deadlock_detected THEN RAISE;
        WHEN OTHERS THEN why := SQLERRM;
    END;
    IF current_setting('track_counts') <> 'on' THEN
        why := 'the server does not count rows (track_counts is off)';
    END IF;
    IF (why IS NOT NULL OR wanted IS NOT NULL) AND to_regclass({registry_name}) IS NULL THEN
        EXECUTE {create};
    END IF;
    number := 0;
    IF why IS NOT NULL OR wanted IS NOT NULL THEN
        number := (SELECT coalesce(max(id), 0) FROM {registry});
    END IF;
    IF why IS NOT NULL THEN
        number := number + 1;
        -- Should the script work all the same, its end is refused: see judge.sql.
        INSERT INTO {registry} (id, version, name, relation, what, shape) VALUES (number, {version}, {name}, '', 'nothing', jsonb_build_object('why', why));
    END IF;
    FOR one IN SELECT jsonb_array_elements(coalesce(wanted, '[]')) LOOP
        number := number + 1;
        IF one ->> 'kind' = 'S' THEN
            EXECUTE format('SELECT to_jsonb(s) FROM (SELECT last_value, is_called FROM %I.%I) AS s', one ->> 'schema', one ->> 'name') INTO cols;
            INSERT INTO {registry} (id, version, name, relation, what, shape)
            VALUES (number, {version}, {name}, format('%I.%I', one ->> 'schema', one ->> 'name'), 'sequence', cols);
            CONTINUE;
        END IF;
        is_whole := (one ->> 'gone')::boolean OR (one ->> 'touched')::boolean;
        cols := (SELECT jsonb_agg(c ORDER BY c -> 'n') FROM jsonb_array_elements(one -> 'columns') AS c
                    WHERE NOT (c ->> 'generated')::boolean AND (is_whole OR one -> 'lost' @> (c -> 'n')));
        CONTINUE WHEN cols IS NULL;
        -- From here on nobody writes into the table any more; reading goes on.
        EXECUTE format('LOCK TABLE ONLY %I.%I IN SHARE ROW EXCLUSIVE MODE', one ->> 'schema', one ->> 'name');
        -- What a row is known by: the best unique index without NULLs whose columns stay, or everything that stays.
        keys := (
            SELECT jsonb_agg(to_jsonb(a.attname) ORDER BY k.position)
            FROM (SELECT i.* FROM pg_index i WHERE i.indrelid = (one ->> 'oid')::oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                    AND i.indpred IS NULL AND i.indexprs IS NULL
                    AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (n, position)
                        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n
                        WHERE u.position <= i.indnkeyatts
                          AND (NOT a.attnotnull OR (one -> 'lost' @> to_jsonb(u.n) AND NOT (one ->> 'gone')::boolean)))
                  ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) AS i,
                 unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, position)
            JOIN pg_attribute a ON a.attrelid = (one ->> 'oid')::oid AND a.attnum = k.n
            WHERE k.position <= i.indnkeyatts);
        one := one || jsonb_build_object('whole', is_whole, 'unique', keys IS NOT NULL, 'columns', cols, 'all', one -> 'columns', 'key', coalesce(keys, (
            SELECT jsonb_agg(c -> 'name' ORDER BY c -> 'n') FROM jsonb_array_elements(one -> 'columns') AS c
            WHERE NOT (c ->> 'generated')::boolean AND ((one ->> 'gone')::boolean OR NOT one -> 'lost' @> (c -> 'n'))), '[]'));
        root := (SELECT pg_partition_root((one ->> 'oid')::oid)::text);
        INSERT INTO {registry} (id, version, name, relation, what, store, shape)
        VALUES (number, {version}, {name}, format('%I.%I', one ->> 'schema', one ->> 'name'), CASE
                   WHEN (one ->> 'gone')::boolean THEN 'rows'
                   WHEN one -> 'lost' <> '[]' THEN 'values of ' || (SELECT string_agg(quote_ident(c ->> 'name'), ', ' ORDER BY c -> 'n')
                       FROM jsonb_array_elements(cols) AS c WHERE one -> 'lost' @> (c -> 'n'))
                   ELSE 'rows and values' END, {prefix} || number, one || jsonb_build_object('root', root));
        EXECUTE (
            SELECT format('CREATE TABLE %I.%I AS SELECT ROW(%s)::text AS roundtrip_key, %s AS roundtrip_nth, %s::text AS roundtrip_left, %s FROM ONLY %I.%I AS t',
                {schema}, {prefix} || number, k.list,
                CASE WHEN (one ->> 'unique')::boolean THEN '1::bigint' ELSE format('row_number() OVER (PARTITION BY ROW(%s)::text)', k.list) END,
                CASE WHEN is_whole THEN 'NULL' ELSE '''there''' END,
                (SELECT string_agg(format('CASE WHEN t.%1$I IS DISTINCT FROM NULL THEN pg_catalog.format(''%%s'', t.%1$I) END AS %1$I', c ->> 'name'), ', ' ORDER BY c -> 'n')
                 FROM jsonb_array_elements(cols) AS c),
                one ->> 'schema', one ->> 'name')
            FROM (SELECT coalesce(string_agg(format('t.%I', name), ', ' ORDER BY position), '') AS list
                  FROM jsonb_array_elements_text(one -> 'key') WITH ORDINALITY AS e (name, position)) AS k);
        EXECUTE format('UPDATE %s SET rows = (SELECT count(*) FROM %I.%I) WHERE id = %s', {registry_name}, {schema}, {prefix} || number, number);
    END LOOP;
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
END
