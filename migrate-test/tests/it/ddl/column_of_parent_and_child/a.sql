CREATE TABLE base (a integer);
CREATE TABLE child () INHERITS (base);
CREATE TABLE grandchild () INHERITS (child);
