CREATE TABLE p (t varchar(20) DEFAULT NULL, i integer);
CREATE TABLE t () INHERITS (p);
CREATE TABLE u (i integer) WITH (fillfactor = 70);
