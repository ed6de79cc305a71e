-- Before an up is applied again: which rows that a rollback changed are still as it left them. Others have been changed since
-- by somebody who meant it, and keep what they have (no mark); and so does a row that was removed and is there again (!).
DECLARE
    settings CONSTANT jsonb := {settings};
    saved    CONSTANT jsonb := (SELECT jsonb_object_agg(s.k, current_setting(s.k)) FROM jsonb_each_text(settings) AS s (k, v));
    one      record;
    left_    jsonb;
    live     text;
BEGIN
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(settings) AS s (k, v);
    FOR one IN SELECT * FROM {registry} WHERE {chosen} AND shape ? 'left' ORDER BY id LOOP
        left_ := (
            SELECT jsonb_agg(jsonb_build_object('n', a.attnum, 'name', a.attname) ORDER BY a.attnum)
            FROM jsonb_array_elements(one.shape -> 'left') AS c
            JOIN pg_attribute a ON a.attrelid = (one.shape ->> 'oid')::oid AND a.attnum = (c ->> 'n')::int2 AND NOT a.attisdropped);
        CONTINUE WHEN jsonb_array_length(left_) IS DISTINCT FROM jsonb_array_length(one.shape -> 'left');
        live := {live};
        EXECUTE format('UPDATE %I.%I AS s SET roundtrip_left = ''='' FROM (%s) AS l WHERE s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth AND s.roundtrip_left = l.image',
            {schema}, one.store, live);
        EXECUTE format('UPDATE %I.%I AS s SET roundtrip_left = ''!'' FROM (%s) AS l WHERE s.roundtrip_key = l.key AND s.roundtrip_nth = l.nth AND s.roundtrip_left IS NULL',
            {schema}, one.store, live);
    END LOOP;
    PERFORM set_config(s.k, s.v, true) FROM jsonb_each_text(saved) AS s (k, v);
END
