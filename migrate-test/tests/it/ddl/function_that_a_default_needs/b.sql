CREATE TABLE keep (id int);
CREATE FUNCTION number() RETURNS bigint LANGUAGE sql AS 'SELECT 2::bigint';
CREATE TABLE t (id int DEFAULT number(), other int DEFAULT number(), CHECK (number() > 0));
CREATE INDEX i ON t (id);
