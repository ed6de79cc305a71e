CREATE TABLE base (a integer, b text, CHECK (a > 0));
CREATE TABLE joins (a integer);
CREATE TABLE leaves (c integer) INHERITS (base);
CREATE TABLE changes (c integer) INHERITS (base);
CREATE TABLE other (z integer);
CREATE TABLE parted (k integer PRIMARY KEY, v text) PARTITION BY LIST (k);
CREATE INDEX ON parted (v);
CREATE TABLE becomes (k integer);
CREATE TABLE was PARTITION OF parted FOR VALUES IN (2);
