CREATE TYPE state AS ENUM ('a', 'b');
CREATE TYPE moves AS (of state, note text);
CREATE DOMAIN known AS state;
CREATE TABLE t (s state[] DEFAULT '{b,a}', d known, m text);
CREATE TABLE u (s state);
CREATE VIEW v AS SELECT s FROM t WHERE s @> '{b}'::state[];
