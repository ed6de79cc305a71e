CREATE TABLE t (id integer, i integer GENERATED ALWAYS AS (id + 1) STORED, t text COLLATE "C", CONSTRAINT own_key PRIMARY KEY (id, i));
CREATE TABLE u (id integer, i integer GENERATED ALWAYS AS (id + 1) STORED);
