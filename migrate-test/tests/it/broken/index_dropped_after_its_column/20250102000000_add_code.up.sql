ALTER TABLE t ADD COLUMN code text;
CREATE INDEX t_code ON t (code);
