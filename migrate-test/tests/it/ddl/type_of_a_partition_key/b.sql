CREATE TYPE mood AS ENUM ('bad', 'good');
CREATE TABLE halves (a integer, b text) PARTITION BY RANGE (a);
CREATE TABLE first PARTITION OF halves FOR VALUES FROM (0) TO (10);
CREATE TABLE moods (m mood, a integer) PARTITION BY LIST (m);
CREATE TABLE kept (m mood, a bigint) PARTITION BY LIST (m);
