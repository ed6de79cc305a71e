CREATE TYPE mood AS ENUM ('bad', 'fine');
CREATE TYPE person AS (name text, mood mood);
CREATE TYPE pair AS (one person, other person);
CREATE TABLE people OF person (PRIMARY KEY (name), mood DEFAULT 'fine');
CREATE TABLE pairs OF pair;
