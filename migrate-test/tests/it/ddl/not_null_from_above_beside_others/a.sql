CREATE TABLE top (i integer, j integer NOT NULL);
CREATE TABLE child (x boolean CONSTRAINT own NOT NULL, j integer CONSTRAINT of_j NOT NULL) INHERITS (top);
CREATE TABLE twice (i integer CONSTRAINT both_i_is_there NOT NULL) INHERITS (top);
