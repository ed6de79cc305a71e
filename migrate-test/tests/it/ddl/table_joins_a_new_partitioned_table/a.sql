CREATE TABLE part (id integer NOT NULL, i integer);
