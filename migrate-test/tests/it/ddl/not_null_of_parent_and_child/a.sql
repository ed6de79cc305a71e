CREATE TABLE top (id integer NOT NULL, i integer NOT NULL);
CREATE TABLE child (i integer) INHERITS (top);
CREATE TABLE own (i integer NOT NULL) INHERITS (top);
CREATE TABLE set_again () INHERITS (top);
