CREATE TYPE state AS ENUM ('a', 'b');
CREATE TABLE states (s state PRIMARY KEY);
CREATE TABLE t (s state REFERENCES states);
