-- Copies one table, or records the position of one sequence.
IF one ->> 'kind' = 'S' THEN
    EXECUTE format('SELECT to_jsonb(s) FROM (SELECT last_value, is_called FROM %I.%I) AS s',
        one ->> 'schema', one ->> 'name') INTO cols;
    INSERT INTO {registry} (id, version, name, relation, what, shape)
    VALUES (number, {version}, {name}, format('%I.%I', one ->> 'schema', one ->> 'name'),
        'sequence', cols);
    CONTINUE;
END IF;
is_whole := (one ->> 'gone')::boolean OR (one ->> 'touched')::boolean
    OR (one ->> 'thinned')::boolean;
cols := (
    SELECT jsonb_agg(c ORDER BY c -> 'n') FROM jsonb_array_elements(one -> 'columns') AS c
    WHERE NOT (c ->> 'generated')::boolean
      AND (is_whole OR one -> 'lost' @> (c -> 'n') OR one -> 'over' @> (c -> 'n')));
CONTINUE WHEN cols IS NULL;
-- From here on, nobody else can write to the table; reading is still possible.
EXECUTE format('LOCK TABLE ONLY %I.%I IN SHARE ROW EXCLUSIVE MODE',
    one ->> 'schema', one ->> 'name');
-- The key of a row: the best unique index without NULLs whose columns do not change, or else all
-- columns that do not change.
keys := (
    SELECT jsonb_agg(to_jsonb(a.attname) ORDER BY k.position)
    FROM (
        SELECT i.* FROM pg_index i
        WHERE i.indrelid = (one ->> 'oid')::oid AND i.indisunique AND i.indisvalid
          AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
          AND NOT EXISTS (
              SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (n, position)
              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n
              WHERE u.position <= i.indnkeyatts
                AND (NOT a.attnotnull
                     OR (one -> 'lost' @> to_jsonb(u.n) AND NOT (one ->> 'gone')::boolean)
                     OR (one -> 'over' <> '[]' AND coalesce(a.attname = ANY (sets), false))))
        ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) AS i,
        unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, position)
    JOIN pg_attribute a ON a.attrelid = (one ->> 'oid')::oid AND a.attnum = k.n
    WHERE k.position <= i.indnkeyatts);
-- What remains of a row is known before the down script, if that changes no row of the table.
one := one || jsonb_build_object(
    'still', CASE WHEN keys IS NOT NULL AND NOT (one ->> 'gone')::boolean
                      AND NOT (one ->> 'touched')::boolean THEN
        jsonb_build_array(pg_relation_filenode((one ->> 'oid')::oid),
            pg_stat_get_xact_tuples_updated((one ->> 'oid')::oid)
                + pg_stat_get_xact_tuples_deleted((one ->> 'oid')::oid)) END,
    'form', 2, 'whole', is_whole, 'unique', keys IS NOT NULL,
    'columns', cols, 'all', one -> 'columns',
    'root', pg_partition_root((one ->> 'oid')::oid)::text,
    'key', coalesce(keys, (
        SELECT jsonb_agg(c -> 'name' ORDER BY c -> 'n')
        FROM jsonb_array_elements(one -> 'columns') AS c
        WHERE NOT (c ->> 'generated')::boolean AND NOT one -> 'over' @> (c -> 'n')
          AND ((one ->> 'gone')::boolean OR NOT one -> 'lost' @> (c -> 'n'))), '[]'));
INSERT INTO {registry} (id, version, name, relation, what, store, shape)
VALUES (number, {version}, {name}, format('%I.%I', one ->> 'schema', one ->> 'name'),
    CASE WHEN (one ->> 'gone')::boolean THEN 'rows'
         WHEN one -> 'lost' <> '[]' THEN 'values of ' || (
             SELECT string_agg(quote_ident(c ->> 'name'), ', ' ORDER BY c -> 'n')
             FROM jsonb_array_elements(cols) AS c WHERE one -> 'lost' @> (c -> 'n'))
         WHEN (one ->> 'touched')::boolean THEN 'rows and values'
         ELSE 'what its up writes over' END,
    {prefix} || number, one);
-- What remains of a row is already known if the down script changes none of them.
digest := (is_whole OR one -> 'over' <> '[]') AND one -> 'still' <> 'null';
-- Values of PostgreSQL's built-in types are copied unchanged, and others become text: their types
-- may be dropped by this rollback or by a later one, which a column of such a type would prevent.
-- The same is true for the objects that a regclass names.
EXECUTE (
    SELECT format('CREATE TABLE %I.%I AS SELECT %s %s FROM ONLY %I.%I AS t',
        {schema}, {prefix} || number,
        (SELECT string_agg(
             CASE WHEN y.oid < 10000 AND y.typtype IN ('b', 'r', 'm')
                       AND y.typname !~ '^_?(reg|aclitem)'
                  THEN format('t.%1$I%2$s AS %1$I', a.attname,
                      CASE WHEN a.attcollation <> y.typcollation
                           THEN ' COLLATE pg_catalog."default"' END)
                  ELSE format('{text} AS %1$I', a.attname) END,
             ', ' ORDER BY a.attnum)
         FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
         WHERE a.attrelid = (one ->> 'oid')::oid AND a.attnum > 0 AND NOT a.attisdropped
           AND (cols @> jsonb_build_array(jsonb_build_object('n', a.attnum))
                OR (one ->> 'unique')::boolean AND one -> 'key' @> to_jsonb(a.attname))),
        CASE WHEN (one ->> 'unique')::boolean THEN ''
             ELSE format(', ROW(%1$s)::text AS roundtrip_key, '
                 'row_number() OVER (PARTITION BY ROW(%1$s)::text) AS roundtrip_nth', k.list) END
        || CASE WHEN digest THEN (
                SELECT format(', md5(ROW(%s)::text) AS roundtrip_left',
                    string_agg(format('t.%I', c ->> 'name'), ', ' ORDER BY c -> 'n'))
                FROM jsonb_array_elements(cols) AS c WHERE NOT one -> 'lost' @> (c -> 'n'))
           ELSE '' END,
        one ->> 'schema', one ->> 'name')
    FROM (SELECT coalesce(string_agg(format('t.%I', name), ', ' ORDER BY position), '') AS list
          FROM jsonb_array_elements_text(one -> 'key') WITH ORDINALITY AS e (name, position)) AS k);
GET DIAGNOSTICS many = ROW_COUNT;
-- A value that is the same for all rows is not written to each row: a table that is dropped
-- completely is copied as it is.
EXECUTE format('ALTER TABLE %I.%I %s ADD roundtrip_mark text', {schema}, {prefix} || number,
    CASE WHEN digest THEN ''
         WHEN NOT is_whole AND one -> 'over' = '[]'
         THEN 'ADD roundtrip_left text DEFAULT ''there'','
         ELSE 'ADD roundtrip_left text,' END);
UPDATE {registry} SET rows = many WHERE id = number;
-- Text that distinguishes rows is used for joins: without statistics such joins are planned badly.
IF NOT (one ->> 'unique')::boolean THEN
    EXECUTE format('ANALYZE %I.%I', {schema}, {prefix} || number);
END IF;
