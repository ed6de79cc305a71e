CREATE TABLE t (a integer CONSTRAINT nn NOT NULL, b integer, c integer);
