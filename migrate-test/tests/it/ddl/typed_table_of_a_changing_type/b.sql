CREATE TYPE person AS (name varchar(30), age bigint, more text);
CREATE TABLE people OF person (PRIMARY KEY (name), more DEFAULT 'x');
