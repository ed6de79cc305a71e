CREATE TABLE z (id integer PRIMARY KEY, x integer, t text);
