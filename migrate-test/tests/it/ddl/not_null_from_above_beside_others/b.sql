CREATE TABLE top (i integer NOT NULL, j integer, t text CONSTRAINT own NOT NULL);
CREATE TABLE child (x boolean CONSTRAINT own NOT NULL, i integer CONSTRAINT of_i NOT NULL) INHERITS (top);
CREATE TABLE grandchild (t text CONSTRAINT of_t NOT NULL) INHERITS (child);
CREATE TABLE twice () INHERITS (top);
