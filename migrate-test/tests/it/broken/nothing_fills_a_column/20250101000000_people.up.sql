CREATE TABLE people (id integer PRIMARY KEY, nick text);
CREATE TABLE places (id integer PRIMARY KEY, name text);
