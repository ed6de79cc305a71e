CREATE TABLE parent (a integer, b integer GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE brought () INHERITS (parent);
CREATE TABLE said_again (b integer, a integer) INHERITS (parent);
CREATE TABLE grandchild (c integer) INHERITS (said_again);
