CREATE TYPE state AS ENUM ('a', 'b');
CREATE TABLE t (s state DEFAULT 'b', CHECK (s <> 'b' OR s IS NULL));
