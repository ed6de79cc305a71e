CREATE TABLE t (a int, b int, c int);
CREATE VIEW wide AS SELECT a, b, c FROM t;
CREATE VIEW narrow AS SELECT a, c FROM t;
CREATE VIEW above AS SELECT a, b FROM wide;
CREATE VIEW plain WITH (security_barrier) AS SELECT a FROM t WHERE a > 1;
CREATE VIEW upon AS SELECT narrow.c, above.* FROM narrow, above;
