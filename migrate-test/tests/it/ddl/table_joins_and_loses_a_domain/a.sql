CREATE DOMAIN dom AS text DEFAULT 'x' CHECK (value <> '7');
CREATE TABLE t (id integer, i integer, t text);
CREATE TABLE u (id integer, i integer, t dom DEFAULT 'a', x integer[], CONSTRAINT own_key PRIMARY KEY (id) DEFERRABLE);
DO $$ BEGIN IF current_setting('server_version_num')::int >= 180000 THEN
    EXECUTE 'ALTER TABLE u ADD CONSTRAINT nn NOT NULL i NO INHERIT';
    EXECUTE 'ALTER TABLE t ADD CONSTRAINT nn NOT NULL id';
END IF; END $$;
