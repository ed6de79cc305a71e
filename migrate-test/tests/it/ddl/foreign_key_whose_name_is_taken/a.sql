-- A partition has a constraint of the name that the foreign key of its parent has.
CREATE TABLE other (id int PRIMARY KEY);
CREATE TABLE t (id int NOT NULL, "to It" int, PRIMARY KEY (id)) PARTITION BY LIST (id);
CREATE TABLE t_1 PARTITION OF t (CONSTRAINT refers CHECK (id > 0)) FOR VALUES IN (1);
CREATE TABLE t_2 PARTITION OF t (CONSTRAINT refers CHECK (id > 0)) FOR VALUES IN (2);
ALTER TABLE t ADD CONSTRAINT refers FOREIGN KEY ("to It") REFERENCES other (id);
DO $$ BEGIN
    EXECUTE (SELECT format('ALTER TABLE t_2 RENAME CONSTRAINT %I TO other_name', conname)
             FROM pg_constraint WHERE conrelid = 't_2'::regclass AND contype = 'f');
END $$;
-- One that refers to its own table has names of the server's choice on both sides.
CREATE TABLE tree (id int NOT NULL, up int, CONSTRAINT goes_up FOREIGN KEY (up) REFERENCES tree (id), PRIMARY KEY (id))
    PARTITION BY LIST (id);
CREATE TABLE tree_1 (id int NOT NULL, up int, PRIMARY KEY (id), CONSTRAINT goes_up CHECK (true));
ALTER TABLE tree ATTACH PARTITION tree_1 FOR VALUES IN (1);
