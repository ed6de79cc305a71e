CREATE TABLE parent (id integer NOT NULL, i integer) PARTITION BY RANGE (id);
CREATE TABLE part (id integer NOT NULL, i integer);
ALTER TABLE parent ATTACH PARTITION part FOR VALUES FROM (10) TO (20);
ALTER TABLE parent ADD UNIQUE (id, i);
CREATE INDEX ON parent (i);
