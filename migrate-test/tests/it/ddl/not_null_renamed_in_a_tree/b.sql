CREATE TABLE top (id integer NOT NULL, i integer CONSTRAINT two NOT NULL);
CREATE TABLE child () INHERITS (top);
CREATE TABLE other_child (i integer CONSTRAINT its_own NOT NULL) INHERITS (top);
CREATE TABLE grandchild (i integer CONSTRAINT three NOT NULL) INHERITS (other_child);
CREATE TABLE new_child (i integer CONSTRAINT one NOT NULL) INHERITS (top);
CREATE TABLE halves (i integer CONSTRAINT two NOT NULL PRIMARY KEY) PARTITION BY LIST (i);
CREATE TABLE half (i integer CONSTRAINT its_own NOT NULL);
ALTER TABLE halves ATTACH PARTITION half FOR VALUES IN (1);
CREATE TABLE swapped (a integer CONSTRAINT two NOT NULL, b integer CONSTRAINT three NOT NULL, CONSTRAINT one CHECK (a > 0));
