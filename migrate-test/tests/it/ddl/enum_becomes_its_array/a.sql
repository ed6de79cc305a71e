CREATE TYPE state AS ENUM ('a', 'b');
CREATE TABLE t (s state, moved state);
CREATE TABLE p (id int NOT NULL, s state NOT NULL) PARTITION BY RANGE (id);
