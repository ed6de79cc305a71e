CREATE TABLE p (id integer, n integer) PARTITION BY RANGE (id);
