CREATE TABLE one (id integer NOT NULL, i integer DEFAULT 3, t text, d integer GENERATED ALWAYS AS (id * 2) STORED, CHECK (t <> ''));
CREATE TABLE two (i integer, j text);
CREATE TABLE child () INHERITS (one, two);
CREATE TABLE other () INHERITS (one);
INSERT INTO other (id, i) VALUES (1, 2);
