-- migrate: lossy nobody reads it
ALTER TABLE t DROP COLUMN b;
