CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE person AS (name text, mood mood);
CREATE TYPE pair AS (one person, other person);
CREATE TABLE people OF person (PRIMARY KEY (name), mood DEFAULT 'good');
CREATE TABLE pairs OF pair;
INSERT INTO people VALUES ('ann', 'bad');
