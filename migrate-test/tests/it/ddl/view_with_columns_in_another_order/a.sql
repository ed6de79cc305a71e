CREATE TABLE t (id integer PRIMARY KEY, t text);
CREATE VIEW v AS SELECT id, t FROM t;
