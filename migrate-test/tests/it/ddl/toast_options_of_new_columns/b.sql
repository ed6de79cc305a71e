CREATE TABLE plain (b text, a bigint) WITH (toast.autovacuum_enabled = false, fillfactor = 80);
CREATE TABLE wide (b text) WITH (toast.autovacuum_vacuum_threshold = 9);
