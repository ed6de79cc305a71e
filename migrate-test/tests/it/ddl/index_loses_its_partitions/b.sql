CREATE TABLE parent (id integer, n integer) PARTITION BY RANGE (id);
CREATE INDEX parent_n ON ONLY parent (n);
