CREATE TABLE parent (i integer, e integer[] DEFAULT '{1}');
CREATE TABLE child () INHERITS (parent);
CREATE TABLE below () INHERITS (child);
ALTER TABLE below ALTER COLUMN e SET DEFAULT '{2}';
