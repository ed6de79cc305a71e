CREATE TABLE plain (a bigint);
CREATE TABLE wide (a text) WITH (toast.autovacuum_enabled = false);
