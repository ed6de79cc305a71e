CREATE DOMAIN code AS text;
ALTER DOMAIN code ADD CONSTRAINT filled CHECK (value <> '') NOT VALID;
CREATE TABLE t (c code);
