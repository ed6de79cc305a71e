CREATE TABLE seen (id integer PRIMARY KEY);
