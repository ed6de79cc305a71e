CREATE TYPE state AS ENUM ('a', 'b');
CREATE TYPE moves AS (of state, note text);
CREATE TABLE t (s state[] DEFAULT '{b,a}', m text);
CREATE TABLE u (s state);
CREATE VIEW v AS SELECT s FROM t WHERE s @> '{b}'::state[];
