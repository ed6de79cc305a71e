CREATE TYPE point3 AS (x int, y int, z text COLLATE "C");
CREATE TABLE t (p point3);
CREATE TYPE line AS (a point3, b point3[]);
COMMENT ON COLUMN line.a IS 'begin';
