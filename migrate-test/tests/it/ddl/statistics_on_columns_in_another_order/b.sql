CREATE TABLE t (b text, a smallint);
CREATE STATISTICS st (dependencies) ON a, b FROM t;
