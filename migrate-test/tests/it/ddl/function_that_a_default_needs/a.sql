CREATE TABLE keep (id int);
CREATE FUNCTION number() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE t (id int DEFAULT number(), CHECK (number() > 0));
CREATE INDEX i ON t (id);
