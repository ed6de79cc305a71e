CREATE TYPE state AS ENUM ('a', 'b', 'c', 'c2', 'd', 'e');
CREATE TABLE t (s state DEFAULT 'b');
