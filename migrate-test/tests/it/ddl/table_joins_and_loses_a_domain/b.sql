CREATE TABLE t (id integer, i integer, t text);
CREATE TABLE u () INHERITS (t);
DO $$ BEGIN IF current_setting('server_version_num')::int >= 180000 THEN
    EXECUTE 'ALTER TABLE t ADD CONSTRAINT nn NOT NULL id';
END IF; END $$;
