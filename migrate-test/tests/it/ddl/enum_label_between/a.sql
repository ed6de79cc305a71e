CREATE TYPE state AS ENUM ('b', 'd');
CREATE TABLE t (s state);
