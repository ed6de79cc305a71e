CREATE TABLE top (a integer, b integer);
CREATE TABLE child () INHERITS (top);
CREATE TABLE grandchild () INHERITS (child);
ALTER TABLE top ADD CONSTRAINT some_day CHECK (a > 0) NOT VALID;
CREATE TABLE halves (a integer, b integer) PARTITION BY LIST (a);
CREATE TABLE half PARTITION OF halves FOR VALUES IN (1);
ALTER TABLE halves ADD CONSTRAINT some_day CHECK (a > 0) NOT VALID;
