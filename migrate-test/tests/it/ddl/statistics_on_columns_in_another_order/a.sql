CREATE TABLE t (a integer, b text);
CREATE STATISTICS st (dependencies) ON a, b FROM t;
