CREATE TABLE t (id integer, n integer);
-- There is none that is not valid before PostgreSQL 18.
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        EXECUTE 'ALTER TABLE t ADD CONSTRAINT nn NOT NULL n NOT VALID';
        EXECUTE 'COMMENT ON CONSTRAINT nn ON t IS $$some day$$';
    END IF;
END $do$;
