CREATE TABLE parent (i integer, e integer DEFAULT 1, t text);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE below () INHERITS (child);
ALTER TABLE below ALTER COLUMN e SET DEFAULT 2;
CREATE STATISTICS a_child (dependencies) ON i, t FROM child;
CREATE STATISTICS below_all (dependencies) ON i, t FROM below;
