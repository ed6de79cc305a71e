CREATE TABLE halves (a integer, b integer, c text) PARTITION BY LIST (a);
CREATE TABLE half PARTITION OF halves FOR VALUES IN (1);
CREATE TABLE other PARTITION OF halves FOR VALUES IN (2);
CREATE TABLE top (a integer DEFAULT 1, b text DEFAULT 'x');
CREATE TABLE child () INHERITS (top);
CREATE TABLE grandchild () INHERITS (child);
