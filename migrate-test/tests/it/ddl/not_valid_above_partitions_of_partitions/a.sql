CREATE TABLE p (id integer, i integer, t text) PARTITION BY RANGE (id);
CREATE INDEX ix ON p USING brin (i);
