CREATE TABLE top (a integer, b integer);
ALTER TABLE top ADD CONSTRAINT some_day CHECK (a > 0) NOT VALID;
CREATE TABLE halves (a integer, b integer) PARTITION BY LIST (a);
ALTER TABLE halves ADD CONSTRAINT some_day CHECK (a > 0) NOT VALID;
