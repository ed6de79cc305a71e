CREATE TABLE b (id integer);
CREATE TABLE p (id integer, i integer) PARTITION BY RANGE (id);
CREATE TABLE t (x json NOT NULL);
CREATE TABLE a (id integer, CONSTRAINT taken PRIMARY KEY (id));
CREATE INDEX ix ON a USING brin (id);
