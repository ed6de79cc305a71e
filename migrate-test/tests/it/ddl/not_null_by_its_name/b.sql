CREATE TABLE plain (a integer CONSTRAINT a_is_there NOT NULL, b integer CONSTRAINT b_is_there NOT NULL);
CREATE TABLE parent (a integer NOT NULL, b integer);
CREATE TABLE halves (a integer, b integer) PARTITION BY LIST (a);
CREATE TABLE half (a integer CONSTRAINT other_name NOT NULL, b integer NOT NULL);
ALTER TABLE halves ATTACH PARTITION half FOR VALUES IN (1);
-- Such constraints are objects of their own from PostgreSQL 18 on.
DO $do$ BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        EXECUTE $$
            COMMENT ON CONSTRAINT a_is_there ON plain IS 'always';
            CREATE TABLE child (CONSTRAINT own_name NOT NULL a, CONSTRAINT of_b NOT NULL b) INHERITS (parent);
            COMMENT ON CONSTRAINT of_b ON child IS 'its own';
            CREATE TABLE later (a integer, b integer) PARTITION BY LIST (a);
            CREATE TABLE later_1 PARTITION OF later FOR VALUES IN (1);
            ALTER TABLE later ADD CONSTRAINT some_day NOT NULL b NOT VALID;
        $$;
    END IF;
END $do$;
-- Two parents with the same name: the server chooses another one for the second column.
CREATE TABLE one_parent (a integer CONSTRAINT nn NOT NULL);
CREATE TABLE other_parent (b integer CONSTRAINT nn NOT NULL);
CREATE TABLE of_both () INHERITS (one_parent, other_parent);
