CREATE TYPE state AS ENUM ('a');
CREATE TYPE moves AS (of state, note text);
CREATE DOMAIN known AS state;
CREATE TABLE t (s state[], d known, m text);
CREATE TABLE u (s state);
