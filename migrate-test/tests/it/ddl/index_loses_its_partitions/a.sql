CREATE TABLE parent (id integer, n integer) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parent FOR VALUES FROM (0) TO (10);
CREATE INDEX parent_n ON ONLY parent (n);
