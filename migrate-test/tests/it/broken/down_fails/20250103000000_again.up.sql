CREATE TABLE y (id integer);
