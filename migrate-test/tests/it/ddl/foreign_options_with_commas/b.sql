CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE t (a int OPTIONS (name 'x, y'), b int OPTIONS (note 'a="b, c"')) SERVER s
    OPTIONS (kept '{1, "2"}', query 'select a, b, c', more '');
CREATE FOREIGN TABLE plain (a int) SERVER s OPTIONS (x '1, 2');
CREATE FOREIGN TABLE late (a int OPTIONS (name 'p, q')) SERVER s OPTIONS (query 'select 1, 2');
