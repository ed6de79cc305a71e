CREATE TABLE b (id integer, CONSTRAINT taken UNIQUE (id));
CREATE TABLE p (id integer, i integer) PARTITION BY RANGE (id);
CREATE TABLE t PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE INDEX ix ON p USING brin (id);
CREATE TABLE a (id integer);
