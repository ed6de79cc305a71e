CREATE TYPE pair AS (a integer, b text);
CREATE TABLE one (i integer);
CREATE TABLE child () INHERITS (one);
CREATE TABLE halves (b text, a integer) PARTITION BY LIST (a);
CREATE TABLE half PARTITION OF halves FOR VALUES IN (1);
