CREATE DOMAIN code AS text;
ALTER DOMAIN code ADD CONSTRAINT filled CHECK (value <> '');
CREATE TABLE t (c code);
