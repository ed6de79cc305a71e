CREATE TYPE state AS ENUM ('b', 'a');
CREATE TABLE states (s state PRIMARY KEY);
CREATE TABLE t (s state REFERENCES states);
