CREATE TABLE parent (f1 integer);
CREATE TABLE child1 (f1 integer NOT NULL);
CREATE TABLE child2 (f1 integer);
ALTER TABLE child1 INHERIT parent;
ALTER TABLE child2 ALTER COLUMN f1 SET NOT NULL;
ALTER TABLE child2 INHERIT child1;
ALTER TABLE parent ALTER COLUMN f1 SET NOT NULL;
CREATE TABLE outer_one (t text NOT NULL);
CREATE TABLE inner_one () INHERITS (outer_one);
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        EXECUTE $$
            CREATE TABLE top (i integer);
            CREATE TABLE child (i integer) INHERITS (top);
            CREATE TABLE grandchild () INHERITS (top, child);
            ALTER TABLE top ADD CONSTRAINT nn NOT NULL i NOT VALID;
            ALTER TABLE child ALTER COLUMN i SET NOT NULL;
            ALTER TABLE outer_one ALTER CONSTRAINT outer_one_t_not_null NO INHERIT;
        $$;
    END IF;
END $do$;
