CREATE TYPE state AS ENUM ('a');
CREATE TYPE moves AS (of state, note text);
CREATE TABLE t (s state[], m text);
CREATE TABLE u (s state);
