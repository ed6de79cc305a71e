CREATE TABLE t (a text COMPRESSION pglz, b numeric, c jsonb) WITH (autovacuum_enabled = off);
ALTER TABLE t ALTER a SET STORAGE main, ALTER b SET STATISTICS 50, ALTER c SET (n_distinct = 5), REPLICA IDENTITY FULL;
CREATE TABLE u (a int);
CREATE INDEX i ON t (a);
