CREATE TABLE kept (a integer, b integer);
CREATE TABLE top (a integer, b integer);
CREATE TABLE child () INHERITS (top);
CREATE TABLE grandchild () INHERITS (child);
CREATE TABLE of_kept () INHERITS (kept);
-- There is none that is not valid before PostgreSQL 18.
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        EXECUTE $$
            ALTER TABLE top ADD CONSTRAINT some_day NOT NULL a NOT VALID;
            COMMENT ON CONSTRAINT some_day ON top IS 'one day';
            COMMENT ON CONSTRAINT some_day ON child IS 'one day as well';
            ALTER TABLE kept ADD CONSTRAINT soon NOT NULL b NOT VALID;
            CREATE TABLE valid () INHERITS (top);
        $$;
    END IF;
END $do$;
