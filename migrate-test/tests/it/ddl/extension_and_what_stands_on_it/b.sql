CREATE EXTENSION citext;
CREATE TABLE t (name citext DEFAULT 'x'::citext, list citext[]);
CREATE INDEX i ON t (name);
CREATE VIEW v AS SELECT name FROM t WHERE name = 'a'::citext;
CREATE DOMAIN mail AS citext CHECK (VALUE ~ '@');
