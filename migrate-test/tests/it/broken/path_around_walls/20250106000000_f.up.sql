CREATE TABLE f (id integer);
