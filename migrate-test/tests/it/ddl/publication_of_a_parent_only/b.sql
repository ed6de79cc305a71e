CREATE TABLE one (id integer PRIMARY KEY, t text);
CREATE TABLE child () INHERITS (one);
CREATE TABLE "a, b" (id integer);
CREATE PUBLICATION changes FOR TABLE ONLY one WHERE (t <> ', '), "a, b" WHERE (id IN (1, 2));
