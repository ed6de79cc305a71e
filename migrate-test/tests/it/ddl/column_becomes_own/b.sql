CREATE TABLE one (id integer NOT NULL, i integer DEFAULT 3, t text, d integer GENERATED ALWAYS AS (id * 2) STORED, CHECK (t <> ''));
CREATE TABLE two (i integer, j text);
CREATE TABLE child (i integer DEFAULT 3, j text) INHERITS (one, two);
CREATE TABLE other (id integer) INHERITS (one);
