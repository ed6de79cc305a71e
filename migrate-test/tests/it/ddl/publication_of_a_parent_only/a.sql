CREATE TABLE one (id integer PRIMARY KEY, t text);
CREATE TABLE child () INHERITS (one);
CREATE PUBLICATION changes FOR TABLE ONLY one (id), child (id, t);
