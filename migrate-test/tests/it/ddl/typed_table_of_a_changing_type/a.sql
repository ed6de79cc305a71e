CREATE TYPE person AS (name text, age integer, gone date);
CREATE TABLE people OF person (PRIMARY KEY (name));
INSERT INTO people VALUES ('ann', 3);
