CREATE TABLE plain (a integer, b integer, c integer NOT NULL);
-- There is none that is not valid before PostgreSQL 18.
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        EXECUTE $$
            ALTER TABLE plain ADD CONSTRAINT some_day NOT NULL a NOT VALID;
            ALTER TABLE plain ADD CONSTRAINT soon NOT NULL b NOT VALID;
        $$;
    END IF;
END $do$;
