CREATE TABLE plain (a integer, b integer, c integer CONSTRAINT from_now_on NOT NULL);
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        EXECUTE $$
            ALTER TABLE plain ADD CONSTRAINT some_day NOT NULL a NO INHERIT;
            ALTER TABLE plain ADD CONSTRAINT now NOT NULL b;
        $$;
    END IF;
END $do$;
