CREATE TABLE t (a integer, b integer CONSTRAINT nn NOT NULL, c integer);
