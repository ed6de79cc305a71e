CREATE TABLE t (a int, b int, c int);
CREATE VIEW wide AS SELECT a, b FROM t;
CREATE VIEW narrow AS SELECT a, b, c FROM t;
CREATE VIEW above AS SELECT a FROM wide;
CREATE VIEW plain AS SELECT a FROM t;
