CREATE TYPE state AS ENUM ('a', 'b');
CREATE TABLE t (s state DEFAULT 'b', CHECK (s <> 'b' OR s IS NULL));
CREATE TYPE "Odd state" AS ENUM ('a', 'b');
CREATE TABLE u (s "Odd state"[] DEFAULT ARRAY['a'::"Odd state"]);
