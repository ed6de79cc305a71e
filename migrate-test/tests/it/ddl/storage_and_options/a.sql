CREATE TABLE t (a text, b numeric, c jsonb) WITH (fillfactor = 70, toast.autovacuum_enabled = off);
CREATE UNLOGGED TABLE u (a int);
CREATE INDEX i ON t (a) WITH (fillfactor = 50);
