ALTER TABLE t ALTER COLUMN b TYPE integer USING b::integer;
