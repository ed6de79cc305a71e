CREATE TABLE parent (a integer);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE below () INHERITS (child);
