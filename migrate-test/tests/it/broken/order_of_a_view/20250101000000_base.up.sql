CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer);
CREATE VIEW v AS SELECT * FROM t;
CREATE VIEW w AS WITH x AS (SELECT * FROM v) SELECT x.*, 1 AS one FROM x;
