CREATE TYPE state AS ENUM ('a');
CREATE TABLE t (s state DEFAULT 'a');
CREATE TYPE "Odd state" AS ENUM ();
