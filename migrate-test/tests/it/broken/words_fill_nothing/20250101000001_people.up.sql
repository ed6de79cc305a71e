CREATE TABLE people (id integer PRIMARY KEY, nick text);
