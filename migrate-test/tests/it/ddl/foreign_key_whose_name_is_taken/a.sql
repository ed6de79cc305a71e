-- A partition has a constraint of the name that the foreign key of its parent has.
CREATE TABLE other (id int PRIMARY KEY);
CREATE TABLE t (id int NOT NULL, "to It" int, PRIMARY KEY (id)) PARTITION BY LIST (id);
CREATE TABLE t_1 PARTITION OF t (CONSTRAINT refers CHECK (id > 0)) FOR VALUES IN (1);
CREATE TABLE t_2 PARTITION OF t (CONSTRAINT refers CHECK (id > 0)) FOR VALUES IN (2);
ALTER TABLE t ADD CONSTRAINT refers FOREIGN KEY ("to It") REFERENCES other (id);
ALTER TABLE t_2 RENAME CONSTRAINT "t_2_to It_fkey" TO other_name;
