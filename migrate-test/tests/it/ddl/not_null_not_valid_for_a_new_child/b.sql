CREATE TABLE t (id integer, n integer);
CREATE TABLE local_too (id integer, n integer) INHERITS (t);
CREATE TABLE child () INHERITS (t);
CREATE TABLE grandchild () INHERITS (child);
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        EXECUTE 'ALTER TABLE t ADD CONSTRAINT nn NOT NULL n NOT VALID';
        EXECUTE 'COMMENT ON CONSTRAINT nn ON t IS $$some day$$';
    END IF;
END $do$;
