CREATE TYPE state AS ENUM ('a');
CREATE TABLE t (s state[], moved text);
CREATE TABLE p (id int NOT NULL, s state NOT NULL) PARTITION BY LIST (id);
