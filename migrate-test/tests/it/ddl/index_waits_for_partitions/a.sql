CREATE TABLE halves (id integer PRIMARY KEY, b integer) PARTITION BY RANGE (id);
CREATE UNIQUE INDEX of_b ON ONLY halves (id DESC) WHERE id > 3;
CREATE TABLE half (id integer NOT NULL, b integer);
