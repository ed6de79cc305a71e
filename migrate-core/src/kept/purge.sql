-- Drops copies, and their rows in the registry.
DECLARE
    one record;
BEGIN
    FOR one IN SELECT id, store FROM {registry} WHERE {which} LOOP
        IF one.store IS NOT NULL THEN
            EXECUTE pg_catalog.format('DROP TABLE IF EXISTS %I.%I', {schema}, one.store);
        END IF;
        DELETE FROM {registry} WHERE id = one.id;
    END LOOP;
END
